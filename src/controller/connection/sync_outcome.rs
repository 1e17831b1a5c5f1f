//! What a sign-in and a run produce, as values for the status. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{clock_check::ClockCheck, failure_messages::Failure, plan_input::status_of};
use crate::api::{
    AuthType, BoxAccount, BoxApp, BoxConnection, BoxEnterprise, MassChange, RemovalHold, RosterChange, RosterContent,
    Trigger, UserCounts,
};

/// A successful sign-in: the account, and the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) enterprise: BoxEnterprise,
    pub(crate) account: BoxAccount,
    pub(crate) app: BoxApp,
    pub(crate) method: AuthType,
    pub(crate) secret_name: String,
    pub(crate) resource_version: String,
    /// The Box user that the app acts as.
    pub(crate) user_id: Option<String>,
    /// When the authorization of a user expires unless it is renewed.
    pub(crate) authorization_expiration: Option<Timestamp>,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyncOutcome {
    pub(crate) trigger: Trigger,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) calls: u32,
    /// The requests that it answers.
    pub(crate) requests: Vec<String>,
    /// The value of the annotation that it answers.
    pub(crate) annotation: Option<String>,
    /// Who requested it, if recorded.
    pub(crate) requested_by: Vec<String>,
    /// The generation of the spec that it applied.
    pub(crate) generation: Option<i64>,
    /// The app whose sign-in failed, if known.
    pub(crate) app: Option<BoxApp>,
    /// The sign-in; `None` if it failed.
    pub(crate) signed_in: Option<SignedIn>,
    pub(crate) result: Result<SyncResult, Failure>,
}

/// A list that is published.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyncResult {
    pub(crate) users: UserCounts,
    pub(crate) added: i64,
    pub(crate) updated: i64,
    pub(crate) removed: i64,
    pub(crate) revision: i64,
    pub(crate) held: Option<RemovalHold>,
    /// The digest of the removals that were approved and applied.
    pub(crate) approved: Option<String>,
    /// Changes of so many users at once that somebody should know of them.
    pub(crate) mass_changes: Vec<MassChange>,
    /// Removed users and changes of an adopted list that were dropped because their slices were damaged.
    pub(crate) damaged_history: i64,
    /// How long new users waited for the list since they were created in Box.
    pub(crate) visibility_delays: Vec<Duration>,
    /// The clocks, when the list was published.
    pub(crate) clock: ClockCheck,
    /// When and by which sync the list was published, if by an earlier one.
    pub(crate) earlier_publish: Option<(Timestamp, RosterChange)>,
}

impl SyncResult {
    /// A sync that published this roster.
    pub(crate) fn from_published(roster: &RosterContent) -> Self {
        let change = &roster.change;
        Self {
            users: roster.users,
            added: change.added,
            updated: change.updated,
            removed: change.removed,
            revision: roster.revision,
            held: roster.held.clone(),
            approved: change.approved.clone(),
            mass_changes: change.mass_changes.clone(),
            damaged_history: 0,
            visibility_delays: Vec::new(),
            clock: ClockCheck::Right,
            earlier_publish: None,
        }
    }

    /// A sync that found the list unchanged.
    pub(crate) fn from_unchanged(roster: &RosterContent) -> Self {
        let earlier_publish = Some((roster.revision_time.0, roster.change.clone()));
        let mass_changes = Vec::new();
        Self {
            added: 0,
            updated: 0,
            removed: 0,
            approved: None,
            mass_changes,
            earlier_publish,
            ..Self::from_published(roster)
        }
    }
}

impl SyncOutcome {
    /// A sync that published this roster and ended before it could report.
    pub(crate) fn from_unreported(connection: &BoxConnection, roster: &RosterContent) -> Self {
        let change = &roster.change;
        Self {
            trigger: change.trigger,
            start: change.start_time.0,
            end: roster.revision_time.0,
            calls: u32::try_from(change.calls).unwrap_or_default(),
            requests: change.requests.iter().map(|r| r.name.clone()).collect(),
            annotation: change.requested_at.clone(),
            requested_by: change.requested_by.clone(),
            generation: status_of(connection).observed_generation,
            app: None,
            signed_in: None,
            result: Ok(SyncResult::from_published(roster)),
        }
    }
}
