//! The sync schedule of a connection, and until when its list is fresh. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    backoff::{add_duration, next_on_grid, phase},
    cron::{CronError, CronSchedule},
    plan_reason::PlanReason,
};
use crate::api::{self, BoxConnection, GoDuration, LastSync};

/// How long a list is fresh without a valid schedule, as with the default interval.
const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(48 * 3600);

pub(crate) enum ResolvedSchedule {
    /// A grid with the connection's own phase.
    Interval { uid: String, interval: Duration },
    /// Before each of these times, by `phase`.
    Cron { cron: Box<CronSchedule>, phase: Duration },
    /// The schedule is invalid: no sync is scheduled.
    Invalid(CronError),
}

impl ResolvedSchedule {
    /// The schedule of a connection; with a cron schedule, syncs start at most `spread` early.
    pub(crate) fn for_connection(connection: &BoxConnection, spread: Duration) -> Self {
        let uid = connection.metadata.uid.as_deref().unwrap_or_default();
        match connection.spec.sync_schedule() {
            api::SyncSchedule::Interval(interval) => Self::Interval { uid: uid.to_owned(), interval },
            api::SyncSchedule::Cron(schedule) => match CronSchedule::parse(schedule) {
                Ok(cron) => Self::Cron { cron: Box::new(cron), phase: phase(uid, spread) },
                Err(error) => Self::Invalid(error),
            },
        }
    }

    /// The first start after `last`; `None`: there is none.
    pub(crate) fn next_start(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Interval { uid, interval } => Some(next_on_grid(uid, *interval, last)),
            Self::Cron { cron, phase } => {
                let scheduled = cron.next_after(add_duration(last, *phase))?;
                scheduled.checked_sub(*phase).ok()
            }
            Self::Invalid(_) => None,
        }
    }

    /// Why a sync at one of its times is due.
    pub(crate) fn plan_reason(&self) -> PlanReason {
        match self {
            Self::Interval { .. } | Self::Invalid(_) => PlanReason::Interval,
            Self::Cron { .. } => PlanReason::Cron,
        }
    }

    /// A time in the time zone of the schedule.
    pub(crate) fn format_time(&self, moment: Timestamp) -> String {
        match self {
            Self::Interval { .. } | Self::Invalid(_) => moment.to_string(),
            Self::Cron { cron, .. } => cron.in_time_zone(moment).to_string(),
        }
    }

    /// Until when the list of `last` is fresh by default: two scheduled syncs were missed.
    fn default_stale_time(&self, last: &LastSync) -> Timestamp {
        let second = |table: &CronSchedule, phase| {
            let first = table.next_after(add_duration(last.start_time.0, phase))?;
            table.next_after(first)
        };
        let completed = last.completion_time.0;
        match self {
            Self::Interval { interval, .. } => add_duration(completed, *interval * 2),
            Self::Cron { cron, phase } => {
                second(cron, *phase).unwrap_or_else(|| add_duration(completed, DEFAULT_STALE_AFTER))
            }
            Self::Invalid(_) => add_duration(completed, DEFAULT_STALE_AFTER),
        }
    }
}

/// Until when the connection's list is fresh; `None`: it has none.
pub(crate) fn stale_time(
    connection: &BoxConnection,
    schedule: &ResolvedSchedule,
    last: Option<&LastSync>,
) -> Option<Timestamp> {
    let last = last?;
    Some(match connection.spec.stale_after.as_ref().map(GoDuration::as_duration) {
        Some(age) => add_duration(last.completion_time.0, age),
        None => schedule.default_stale_time(last),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{api::Schedule, controller::test_support::new_connection};

    proptest! {
        #[test]
        fn a_cron_sync_starts_at_most_the_spread_before_a_scheduled_time(
            uid in "[0-9a-f]{8}", spread in 0_u64..7200, at in 1_700_000_000_i64..1_900_000_000,
            zone in prop::sample::select(&["Europe/Berlin", "America/New_York", "Asia/Tokyo"][..]),
            cron in prop::sample::select(&["0 20 * * *", "30 2 * * *", "15 */6 * * 1-5", "0 0 1 * *"][..]),
        ) {
            let mut connection = new_connection().on_cron(cron, zone).connection;
            connection.metadata.uid = Some(uid.clone());
            let spread = Duration::from_secs(spread);
            let time = |second| Timestamp::from_second(second).expect("in range");
            let next = ResolvedSchedule::for_connection(&connection, spread).next_start(time(at)).expect("there is one");
            let offset = phase(&uid, spread);
            prop_assert!(next > time(at) && (offset < spread || spread.is_zero()));
            let schedule = Schedule { cron: cron.to_owned(), time_zone: zone.to_owned() };
            let scheduled = add_duration(next, offset);
            let table = CronSchedule::parse(&schedule).expect("a schedule");
            prop_assert_eq!(table.next_after(time(scheduled.as_second() - 1)), Some(scheduled));
        }
    }
}
