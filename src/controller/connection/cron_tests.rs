//! Days of the clock: those on which it is set forward or back, and the others.

use proptest::prelude::*;

use super::*;

fn parse_schedule(cron: &str, zone: &str) -> Result<CronSchedule, CronError> {
    CronSchedule::parse(&Schedule { cron: cron.to_owned(), time_zone: zone.to_owned() })
}

fn parse_time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The first times after `after`, as the clock of the zone shows them.
fn next_times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let table = parse_schedule(cron, zone).expect("a schedule");
    let next = |last: &Timestamp| table.next_after(*last);
    let all = std::iter::successors(table.next_after(parse_time(after)), next).take(count);
    all.map(|t| table.in_time_zone(t).strftime("%m-%d %H:%M %z").to_string()).collect()
}

#[test]
fn cron_times_follow_daylight_saving_of_their_zone() {
    for (sentence, cron, zone, after, expected) in [
        (
            "summer time ends, and 20:00 stays 20:00",
            "0 20 * * *",
            "Europe/Berlin",
            "2026-10-24T00:00:00Z",
            &["10-24 20:00 +0200", "10-25 20:00 +0100", "10-26 20:00 +0100"][..],
        ),
        (
            "summer time begins, and 20:00 stays 20:00",
            "0 20 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            &["03-07 20:00 -0500", "03-08 20:00 -0400", "03-09 20:00 -0400"],
        ),
        (
            "a time that the clock skips is the moment of the change",
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["03-29 03:00 +0200", "03-30 02:30 +0200"],
        ),
        (
            "so it is in New York",
            "15 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            &["03-08 03:00 -0400", "03-09 02:15 -0400"],
        ),
        (
            "all that the clock skips is one moment",
            "0,30 2,3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["03-29 03:00 +0200", "03-29 03:30 +0200", "03-30 02:00 +0200"],
        ),
        (
            "of a time that comes twice the first counts",
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["10-25 02:30 +0200", "10-26 02:30 +0100"],
        ),
        (
            "so it is in New York",
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            &["11-01 01:30 -0400", "11-02 01:30 -0500"],
        ),
        (
            "in the hour that comes again nothing comes again",
            "0,30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:10:00Z",
            &["10-25 02:30 +0200", "10-25 03:00 +0100"],
        ),
        (
            "asked in that hour, too",
            "0,30 * * * *",
            "Europe/Berlin",
            "2026-10-25T01:10:00Z",
            &["10-25 03:00 +0100", "10-25 03:30 +0100"],
        ),
        (
            "half an hour of summer time is enough",
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            &["10-04 02:30 +1100", "10-05 02:15 +1100"],
        ),
        (
            "a zone without summer time has every time once",
            "30 2 * * *",
            "Asia/Tokyo",
            "2026-03-28T12:00:00Z",
            &["03-29 02:30 +0900", "03-30 02:30 +0900"],
        ),
        (
            "weekdays skip the weekend",
            "0 20 * * MON-fri",
            "UTC",
            "2026-11-20T12:00:00Z",
            &["11-20 20:00 +0000", "11-23 20:00 +0000"],
        ),
        (
            "a day of the month that not all have",
            "0 6 31 * *",
            "UTC",
            "2026-01-31T12:00:00Z",
            &["03-31 06:00 +0000", "05-31 06:00 +0000"],
        ),
        (
            "the day of the month or the weekday, as in any cron",
            "0 0 13 * 5",
            "UTC",
            "2026-11-11T00:00:00Z",
            &["11-13 00:00 +0000", "11-20 00:00 +0000"],
        ),
        ("a leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["02-29 00:00 +0000", "02-29 00:00 +0000"]),
    ] {
        assert_eq!(next_times(cron, zone, after, expected.len()), expected, "{sentence}");
    }
}

#[test]
fn an_invalid_schedule_returns_its_error() {
    let cron = |text: &str| CronError::InvalidExpression(text.to_owned());
    for (text, zone, expected) in [
        ("61 20 * * *", "UTC", cron("61 20 * * *")),
        ("0 24 * * *", "UTC", cron("0 24 * * *")),
        ("0 20 * *", "UTC", cron("0 20 * *")),
        ("0 20 * * * *", "UTC", cron("0 20 * * * *")),
        ("TZ=UTC 20 * * *", "UTC", cron("TZ=UTC 20 * * *")),
        ("@daily", "UTC", cron("@daily")),
        ("", "UTC", cron("")),
        ("0 20 * * 5-1", "UTC", cron("0 20 * * 5-1")),
        ("0 20 * * *", "Europe/Berln", CronError::UnknownTimeZone("Europe/Berln".to_owned())),
        ("0 20 * * *", "", CronError::UnknownTimeZone(String::new())),
        ("0 20 * * *", "Local", CronError::UnknownTimeZone("Local".to_owned())),
        ("0 20 30 2 *", "UTC", CronError::NeverOccurs("0 20 30 2 *".to_owned())),
        ("* * * * *", "UTC", CronError::TooFrequent("* * * * *".to_owned())),
        ("0,10 3 1 * *", "UTC", CronError::TooFrequent("0,10 3 1 * *".to_owned())),
        ("0,50 0,23 * * *", "UTC", CronError::TooFrequent("0,50 0,23 * * *".to_owned())),
    ] {
        assert_eq!(parse_schedule(text, zone).err(), Some(expected), "{text} {zone}");
    }
    for text in ["*/15 * * * *", "0,45 3,5 * * *", "5 0 * * *", "0 20 * * 0", "0 20 * * 7", "0 20 1-7 JAN,jul *"] {
        assert!(parse_schedule(text, "europe/berlin").is_ok(), "{text}");
    }
}

const CORPUS: &str = include_str!("../../box_client/fixtures/corpus/cron.txt");

proptest! {
    #[test]
    fn any_text_is_refused_or_becomes_a_schedule(
        fields in prop::collection::vec(
            prop_oneof!["[0-9*,/a-zA-Z?#LW-]{0,20}", r"\*(/[0-9]{1,3})?", "[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2}){0,9}"],
            5,
        ),
        zone in prop_oneof![Just("Europe/Berlin".to_owned()), "[A-Za-z/_+-]{0,70}", any::<String>()],
        known in prop::option::of(prop::sample::select(CORPUS.lines().collect::<Vec<_>>())),
    ) {
        let cron = known.map_or_else(|| fields.join(" "), str::to_owned);
        for zone in [zone.as_str(), "UTC"] {
            match parse_schedule(&cron, zone) {
                Ok(schedule) => drop(schedule.next_after(parse_time("2026-11-22T12:00:00Z"))),
                Err(error) => prop_assert!(error.to_string().len() < 2000, "{}", error),
            }
        }
    }

    #[test]
    fn next_after_returns_the_first_scheduled_time(
        minute in 0_u8..60, hour in 0_u8..24, weekday in 0_u8..8, later in 1_i64..700_000,
        zone in prop::sample::select(&["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"][..]),
        at in 1_600_000_000_i64..2_000_000_000,
    ) {
        let table = parse_schedule(&format!("{minute} {hour} * * {weekday}"), zone).expect("a schedule");
        let after = Timestamp::from_second(at).expect("in range");
        let next = table.next_after(after).expect("every week has one");
        prop_assert!(next > after && after.duration_until(next) <= SignedDuration::from_hours(8 * 24));
        let shown = table.in_time_zone(next);
        let at_scheduled_time = (shown.minute(), shown.hour()) == (minute.cast_signed(), hour.cast_signed());
        // Otherwise it is the moment at which the clock changed.
        let changed = table.time_zone.preceding(next + SignedDuration::from_secs(1)).next().map(|c| c.timestamp());
        prop_assert!(at_scheduled_time || changed == Some(next), "{}", shown);
        let between = Timestamp::from_second(at + later).expect("in range");
        if between < next {
            prop_assert_eq!(table.next_after(between), Some(next));
        }
    }
}
