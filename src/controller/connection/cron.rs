//! Cron schedules in a time zone. Pure: the time zone database is part of the program.
//! Invariant: civil times become moments in one way, which keeps their order. One that the clock skips is the moment of
//! the change; of one that comes twice, it is the first. So the days of the change have their times once, as others do.

use cronexpr::Crontab;
use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::{self, DateTime},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use crate::{api::Schedule, text::clamp_text};

/// As with a syncInterval.
const MIN_INTERVAL: SignedDuration = SignedDuration::from_mins(15);
const MAX_CRON_BYTES: usize = 100;
const MAX_TIME_ZONE_BYTES: usize = 64;
/// Where the validation of a schedule starts; the following year has a 29 February.
const VALIDATION_START: DateTime = civil::date(2023, 12, 31).at(23, 59, 0, 0);

#[derive(Clone, Debug)]
pub(crate) struct CronSchedule {
    /// Read in UTC, which has no gaps: what it finds are civil times.
    crontab: Crontab,
    time_zone: TimeZone,
}

/// Why a schedule that the API server accepted is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    #[error("{0:?} is not a valid cron expression")]
    InvalidExpression(String),
    #[error("unknown time zone {0:?}")]
    UnknownTimeZone(String),
    #[error("{0:?} never occurs within four years")]
    NeverOccurs(String),
    #[error("{0:?} occurs more often than every 15 minutes")]
    TooFrequent(String),
}

impl CronSchedule {
    pub(crate) fn parse(schedule: &Schedule) -> Result<Self, CronError> {
        let Schedule { cron, time_zone } = schedule;
        // As in the schema, which an older or edited CustomResourceDefinition may lack.
        if cron.len() > MAX_CRON_BYTES {
            return Err(CronError::InvalidExpression(clamp_text(cron, MAX_CRON_BYTES)));
        }
        if time_zone.len() > MAX_TIME_ZONE_BYTES {
            return Err(CronError::UnknownTimeZone(clamp_text(time_zone, MAX_TIME_ZONE_BYTES)));
        }
        let zone =
            TimeZoneDatabase::bundled().get(time_zone).map_err(|_| CronError::UnknownTimeZone(time_zone.clone()))?;
        // It would take a zone of its own, as a sixth field.
        let crontab = Some(cron).filter(|cron| cron.split_ascii_whitespace().count() == 5);
        let crontab = crontab.and_then(|cron| cronexpr::parse_crontab(&format!("{cron} UTC")).ok());
        let parsed =
            Self { crontab: crontab.ok_or_else(|| CronError::InvalidExpression(cron.clone()))?, time_zone: zone };
        let first = parsed.next_civil(VALIDATION_START).ok_or_else(|| CronError::NeverOccurs(cron.clone()))?;
        let mut time = first;
        // All days that have times have the same.
        while time.date() == first.date() {
            let Some(next) = parsed.next_civil(time) else { break };
            if time.duration_until(next) < MIN_INTERVAL {
                return Err(CronError::TooFrequent(cron.clone()));
            }
            time = next;
        }
        Ok(parsed)
    }

    /// The first of its times after `after`; `None` where none comes within four years.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.time_zone.to_datetime(after);
        loop {
            civil = self.next_civil(civil)?;
            // Where the clock was set back, civil times come again whose moment has passed.
            if let Some(moment) = self.resolve_civil(civil).filter(|moment| *moment > after) {
                return Some(moment);
            }
        }
    }

    /// A moment as the clock of the zone shows it.
    pub(crate) fn in_time_zone(&self, moment: Timestamp) -> Zoned {
        moment.to_zoned(self.time_zone.clone())
    }

    fn next_civil(&self, after: DateTime) -> Option<DateTime> {
        let after = after.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(self.crontab.find_next(after).ok()?.datetime())
    }

    fn resolve_civil(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.time_zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(civil).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
                self.time_zone.preceding(beyond).next().map(|change| change.timestamp())
            }
        }
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
