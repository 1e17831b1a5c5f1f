//! When a connection is synced without being asked, and until when its list counts as fresh. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    schedule::{after, next_on_grid, phase},
    timetable::{Timetable, Unusable},
};
use crate::api::{self, BoxConnection, Interval, LastSync};

/// A list without a rhythm to measure it by is fresh for so long, as with the usual interval.
const UNMEASURED: Duration = Duration::from_secs(48 * 3600);

pub(super) enum Rhythm {
    /// A grid of the connection's own.
    Every { uid: String, interval: Duration },
    /// So long before each of these times.
    Before { table: Box<Timetable>, phase: Duration },
    /// Its schedule cannot be kept: nothing comes by itself.
    Never(Unusable),
}

impl Rhythm {
    /// The connection's, with `spread` as the longest time by which a schedule's syncs go ahead.
    pub(super) fn of(connection: &BoxConnection, spread: Duration) -> Self {
        let uid = connection.metadata.uid.as_deref().unwrap_or_default();
        match connection.spec.rhythm() {
            api::Rhythm::Every(interval) => Self::Every { uid: uid.to_owned(), interval },
            api::Rhythm::At(schedule) => match Timetable::read(schedule) {
                Ok(table) => Self::Before { table: Box::new(table), phase: phase(uid, spread) },
                Err(unusable) => Self::Never(unusable),
            },
        }
    }

    /// The first start after `last`; `None`: there is none.
    pub(super) fn next(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { uid, interval } => Some(next_on_grid(uid, *interval, last)),
            Self::Before { table, phase } => {
                let named = table.next(after(last, *phase))?;
                named.checked_sub(*phase).ok()
            }
            Self::Never(_) => None,
        }
    }

    /// A moment as the one who set the rhythm reads it.
    pub(super) fn shown(&self, moment: Timestamp) -> String {
        match self {
            Self::Every { .. } | Self::Never(_) => moment.to_string(),
            Self::Before { table, .. } => table.shown(moment).to_string(),
        }
    }

    /// Until when the list of `last` counts as fresh, where the spec does not say: two syncs were due and did not come.
    fn usually_fresh_until(&self, last: &LastSync) -> Timestamp {
        let second = |table: &Timetable, phase| {
            let first = table.next(after(last.start_time.0, phase))?;
            table.next(first)
        };
        let completed = last.completion_time.0;
        match self {
            Self::Every { interval, .. } => after(completed, *interval * 2),
            Self::Before { table, phase } => second(table, *phase).unwrap_or_else(|| after(completed, UNMEASURED)),
            Self::Never(_) => after(completed, UNMEASURED),
        }
    }
}

/// Until when the connection's list counts as fresh; `None`: it has none.
pub(super) fn fresh_until(connection: &BoxConnection, rhythm: &Rhythm, last: Option<&LastSync>) -> Option<Timestamp> {
    let last = last?;
    Some(match connection.spec.stale_after.as_ref().map(Interval::length) {
        Some(age) => after(last.completion_time.0, age),
        None => rhythm.usually_fresh_until(last),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{api::Schedule, controller::fixture::conn};

    proptest! {
        #[test]
        fn a_sync_by_the_clock_begins_within_the_spread_before_a_named_time(
            uid in "[0-9a-f]{8}", spread in 0_u64..7200, at in 1_700_000_000_i64..1_900_000_000,
            zone in prop::sample::select(&["Europe/Berlin", "America/New_York", "Asia/Tokyo"][..]),
            cron in prop::sample::select(&["0 20 * * *", "30 2 * * *", "15 */6 * * 1-5", "0 0 1 * *"][..]),
        ) {
            let mut connection = conn().at(cron, zone).connection;
            connection.metadata.uid = Some(uid.clone());
            let spread = Duration::from_secs(spread);
            let time = |second| Timestamp::from_second(second).expect("in range");
            let next = Rhythm::of(&connection, spread).next(time(at)).expect("there is one");
            let ahead = phase(&uid, spread);
            prop_assert!(next > time(at) && (ahead < spread || spread.is_zero()));
            let schedule = Schedule { cron: cron.to_owned(), time_zone: zone.to_owned() };
            let named = after(next, ahead);
            let table = Timetable::read(&schedule).expect("a schedule");
            prop_assert_eq!(table.next(time(named.as_second() - 1)), Some(named));
        }
    }
}
