//! When a connection syncs automatically: by interval or by cron schedule.

use std::time::Duration;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::BoxConnectionSpec;

/// The interval of a connection that sets neither an interval nor a schedule.
const DEFAULT_SYNC_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Wall-clock times at which the list must be ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Minute, hour, day of the month, month and weekday, as in a CronJob: `0 20 * * 1-5`, `30 6 * * MON,THU`. Months and
    /// weekdays may be names. Two times must be at least 15 minutes apart. A time that is skipped when daylight saving
    /// time begins counts as the moment of the change; of a time that occurs twice when it ends, the first counts.
    #[x_kube(
        validation = Rule::new("self.matches('(?i)^[0-9*,/-]+ +[0-9*,/-]+ +[0-9*,/-]+ +([0-9*,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)+ +([0-9*,/-]|sun|mon|tue|wed|thu|fri|sat)+$')").message("write minute, hour, day of the month, month and weekday, such as '0 20 * * 1-5'; set the time zone in timeZone")
    )]
    #[schemars(length(max = 100))]
    pub cron: String,

    /// The time zone of cron, an IANA name such as Europe/Berlin. Default UTC.
    #[serde(default = "default_time_zone")]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')").message("write the IANA name of a time zone, such as Europe/Berlin or UTC")
    )]
    #[schemars(length(max = 64))]
    pub time_zone: String,
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

/// How often, or when, a connection syncs automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncSchedule<'a> {
    Interval(Duration),
    Cron(&'a Schedule),
}

impl BoxConnectionSpec {
    pub fn sync_schedule(&self) -> SyncSchedule<'_> {
        match (&self.schedule, &self.sync_interval) {
            (Some(schedule), _) => SyncSchedule::Cron(schedule),
            (None, Some(interval)) => SyncSchedule::Interval(interval.as_duration()),
            (None, None) => SyncSchedule::Interval(DEFAULT_SYNC_INTERVAL),
        }
    }
}
