//! The input of a plan, as plain values.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    api::{BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, UserRoster, UserSyncRequest},
    roster::{Ownership, check_ownership},
    text::clamp_text,
};

/// Of the annotation that requests a sync; two values that differ beyond it are the same request.
const MAX_REQUESTED_AT_CHARS: usize = 256;

/// A connection, its published list, its unfinished requests and the in-memory state. Nothing in it can do IO.
#[derive(Clone, Debug)]
pub(crate) struct PlanInput {
    pub(crate) connection: Arc<BoxConnection>,
    /// The roster of the connection's name, whoever owns it.
    pub(crate) roster: Option<Arc<UserRoster>>,
    /// Unfinished requests of this connection, oldest first.
    pub(crate) requests: Vec<Arc<UserSyncRequest>>,
    pub(crate) state: StateView,
}

/// The in-memory state of a connection, as spans measured on a monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateView {
    /// Since the Secret's version was last read.
    pub(crate) since_secret_check: Option<Duration>,
    /// Whether the Secret last read differs from the one last used.
    pub(crate) secret_changed: bool,
    /// Since the last sign-in.
    pub(crate) since_sign_in: Option<Duration>,
    /// Since the last listing ended.
    pub(crate) since_listing: Option<Duration>,
    /// Since this process first read `status.failures` as it is now.
    pub(crate) since_failure: Duration,
    /// Until the next probe.
    pub(crate) until_probe: Duration,
    /// Until Box may be called again, as it requested; in addition to the status, which records only syncs.
    pub(crate) until_retry_allowed: Duration,
    /// Whether this process knows that the roster exists, although the watch has not delivered it yet.
    pub(crate) published: bool,
    /// Whether slices of the published list were deleted.
    pub(crate) slices_missing: bool,
    /// Until unreferenced slices are due to be deleted; `None`: there are none.
    pub(crate) until_garbage_collection: Option<Duration>,
}

/// Whether the published list exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RosterPresence {
    /// It does, or none was published yet.
    Present,
    /// It was published and is missing.
    Missing,
    /// Slices that the roster names are missing: no reader can read it.
    Incomplete,
}

impl RosterPresence {
    /// The presence of a roster that exists.
    pub(crate) fn with_roster(slices_missing: bool) -> Self {
        if slices_missing { RosterPresence::Incomplete } else { RosterPresence::Present }
    }

    /// The presence if there is no roster.
    pub(crate) fn without_roster(connection: &BoxConnection) -> Self {
        if status_of(connection).roster_ref.is_some() { RosterPresence::Missing } else { RosterPresence::Present }
    }
}

impl PlanInput {
    pub(crate) fn new(
        connection: Arc<BoxConnection>,
        roster: Option<Arc<UserRoster>>,
        mut requests: Vec<Arc<UserSyncRequest>>,
        state: StateView,
    ) -> Self {
        requests.retain(|r| !r.is_finished() && r.metadata.deletion_timestamp.is_none());
        requests.sort_by_cached_key(|r| (r.creation_timestamp().map(|t| t.0), r.name_any()));
        Self { connection, roster, requests, state }
    }

    pub(crate) fn uid(&self) -> &str {
        self.connection.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> &BoxConnectionStatus {
        status_of(&self.connection)
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        self.status().conditions.has_status("Connected", ConditionStatus::False)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.status().conditions.has_status("Connected", ConditionStatus::True)
    }

    /// When the connection was lost; meaningful only while it is disconnected.
    pub(crate) fn disconnected_since(&self) -> Option<Timestamp> {
        self.status().conditions.find_condition("Connected").map(|c| c.last_transition_time.0)
    }

    pub(crate) fn roster_presence(&self) -> RosterPresence {
        let present = self.roster.is_some() || self.state.published;
        if present {
            RosterPresence::with_roster(self.state.slices_missing)
        } else {
            RosterPresence::without_roster(&self.connection)
        }
    }

    /// Whether the roster of this name belongs to something else.
    pub(crate) fn has_roster_conflict(&self) -> bool {
        let enterprise = &self.connection.spec.enterprise_id;
        self.roster.as_ref().is_some_and(|roster| check_ownership(roster, self.uid(), enterprise).is_err())
    }

    /// The roster, if it records a sync that the connection's status or a request does not: the process that wrote it
    /// ended before it could report.
    pub(crate) fn unreported_publish(&self) -> Option<&UserRoster> {
        let roster = self.roster.as_deref()?;
        let ours = check_ownership(roster, self.uid(), &self.connection.spec.enterprise_id) == Ok(Ownership::Owned);
        let known = self.status().roster_ref.as_ref().map_or(0, |r| r.revision);
        let unanswered = || {
            let answered = |r: &Arc<UserSyncRequest>| {
                roster.spec.change.requests.iter().any(|a| Some(&a.uid) == r.metadata.uid.as_ref())
            };
            roster.spec.revision == known && self.requests.iter().any(answered)
        };
        (ours && (roster.spec.revision > known || unanswered())).then_some(roster)
    }

    /// The value of the annotation that requests a sync, unless it was handled.
    pub(crate) fn pending_annotation(&self) -> Option<String> {
        let value = self.connection.annotations().get(crate::api::REQUESTED_AT_ANNOTATION)?;
        // It is copied into the status and the roster.
        let value = clamp_text(value, MAX_REQUESTED_AT_CHARS);
        (self.status().last_handled_request.as_ref() != Some(&value)).then_some(value)
    }

    /// Whether the spec names other credentials than those that Box last accepted, in a generation not tried yet.
    pub(crate) fn auth_changed(&self) -> bool {
        generation_unobserved(&self.connection) && auth_differs(&self.connection)
    }
}

pub(crate) fn status_of(connection: &BoxConnection) -> &BoxConnectionStatus {
    const EMPTY: &BoxConnectionStatus = &BoxConnectionStatus {
        observed_generation: None,
        conditions: Vec::new(),
        enterprise: None,
        account: None,
        app: None,
        users: None,
        last_sync: None,
        current_sync: None,
        next_sync_time: None,
        next_sync: None,
        stale_time: None,
        failures: None,
        history: Vec::new(),
        credentials: None,
        authorization: None,
        last_handled_request: None,
        held: None,
        roster_ref: None,
        operator: None,
    };
    connection.status.as_ref().unwrap_or(EMPTY)
}

pub(crate) fn generation_unobserved(connection: &BoxConnection) -> bool {
    status_of(connection).observed_generation != connection.metadata.generation
}

pub(crate) fn auth_differs(connection: &BoxConnection) -> bool {
    let auth = &connection.spec.auth;
    let accepted = status_of(connection).credentials.as_ref();
    let accepted = accepted.map(|c| (c.method.as_str(), c.secret_name.as_str(), c.user_id.as_deref()));
    let selected = auth.selected_method().map(|(method, secret)| (method.as_str(), secret, auth.user_id()));
    accepted.is_none() || accepted != selected
}
