//! A status that the API server refuses for good, by a policy, a webhook, the schema or its size. It is written again with
//! growing pauses, and the connection is planned by it meanwhile. A minimal status is written in its place.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::slow_backoff;
use crate::{
    api::{BoxConnectionStatus, ConditionsExt, Reason},
    text::clamp_text,
};

/// The limit for the API server's reason in a condition.
const MAX_REASON_CHARS: usize = 300;

pub(crate) struct UnwrittenStatus {
    /// What is stored instead.
    stored: Option<BoxConnectionStatus>,
    status: BoxConnectionStatus,
    tries: u32,
    next_try: Instant,
}

impl UnwrittenStatus {
    /// The status was refused, `before` other ones in a row.
    pub(crate) fn new(
        uid: &str,
        stored: Option<BoxConnectionStatus>,
        status: BoxConnectionStatus,
        before: Option<&Self>,
    ) -> Self {
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        Self { stored, status, tries, next_try: Instant::now() + slow_backoff(uid, tries) }
    }

    /// The status that an object with this status should have; `None` if another process has written it.
    pub(crate) fn instead_of(&self, stored: Option<&BoxConnectionStatus>) -> Option<&BoxConnectionStatus> {
        let known = stored == self.stored.as_ref() || stored == Some(&self.status);
        known.then_some(&self.status)
    }

    /// The stored status of an object that has this one.
    pub(crate) fn stored_instead_of(&self, status: Option<&BoxConnectionStatus>) -> Option<&BoxConnectionStatus> {
        self.stored.as_ref().filter(|_| status == Some(&self.status))
    }

    pub(crate) fn until_next_try(&self) -> Duration {
        self.next_try - Instant::now()
    }

    /// Whether this status can wait for the next try: it says the same as the refused one.
    pub(crate) fn can_wait(&self, status: &BoxConnectionStatus) -> bool {
        let verdicts = |s: &BoxConnectionStatus| {
            let verdict = |kind| s.conditions.find_condition(kind).map(|c| (c.status.clone(), c.reason.clone()));
            (s.observed_generation, ["Ready", "Connected", "Synced"].map(verdict))
        };
        !self.until_next_try().is_zero() && verdicts(status) == verdicts(&self.status)
    }
}

/// The conditions, counts and times of a status, without the texts for which it may be refused. `why`: what the API server
/// said; `None` where it may repeat such a text.
pub(crate) fn minimal_status(full: &BoxConnectionStatus, why: Option<&str>) -> BoxConnectionStatus {
    let why = why.map_or_else(|| "the operator's log says why".to_owned(), |why| clamp_text(why, MAX_REASON_CHARS));
    let mut conditions = full.conditions.clone();
    for condition in &mut conditions {
        let summary = Reason::parse(&condition.reason).map(|reason| format!("{}. ", reason.summary()));
        condition.message = format!("{}The API server refuses the full status: {why}.", summary.unwrap_or_default());
    }
    BoxConnectionStatus {
        observed_generation: full.observed_generation,
        conditions,
        users: full.users,
        last_sync: full.last_sync.clone(),
        next_sync_time: full.next_sync_time.clone(),
        stale_time: full.stale_time.clone(),
        failures: full.failures.clone(),
        authorization: full.authorization.clone(),
        held: full.held.clone(),
        roster_ref: full.roster_ref.clone(),
        ..BoxConnectionStatus::default()
    }
}
