//! Events: status changes and the results of requested runs. An event that cannot be written fails nothing.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::connection::{messages, status::StatusUpdate, sync_outcome::SyncOutcome};
use crate::api::{
    BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, FailureClass, Reason, UserSyncRequestStatus,
    event_message,
};

const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The API server takes 1,024 bytes.
const MAX_NOTE_BYTES: usize = 1000;

/// Writes events.
pub(super) struct Events(Client);

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingEvent {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) action: EventAction,
}

/// What the operator was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventAction {
    Connect,
    Sync,
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(super) async fn publish_event(&self, regarding: &ObjectReference, pending: &PendingEvent) {
        let event = Event {
            type_: match pending.reason.failure_class() {
                FailureClass::Neutral
                    if !matches!(
                        pending.reason,
                        Reason::Stale | Reason::AuthorizationEndsSoon | Reason::MassChange
                    ) =>
                {
                    EventType::Normal
                }
                _ => EventType::Warning,
            },
            reason: pending.reason.as_str().to_owned(),
            note: Some(truncate_message(&event_message(&pending.message))),
            action: match pending.action {
                EventAction::Connect => "Connect",
                EventAction::Sync => "Sync",
            }
            .to_owned(),
            secondary: None,
        };
        // A long-lived recorder caches every event for minutes, which adds up with many connections.
        let recorder = Recorder::new(self.0.clone(), Reporter::from("boxsync-operator"));
        let error = match tokio::time::timeout(TIME_LIMIT, recorder.publish(&event, regarding)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("timed out after {} s", TIME_LIMIT.as_secs()),
        };
        tracing::debug!(object = regarding.name, reason = %pending.reason, error, "event publish failed");
    }
}

/// The object that an event refers to.
pub(super) fn object_reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    object.object_ref(&())
}

/// Events for the changes in a connection's status.
pub(super) fn connection_events(
    connection: &BoxConnection,
    previous: &BoxConnectionStatus,
    current: &BoxConnectionStatus,
    update: &StatusUpdate<'_>,
) -> Vec<PendingEvent> {
    let mut events = Vec::new();
    let changed = |kind: &str| {
        let old = previous.conditions.find_condition(kind).map(|c| (&c.status, &c.reason));
        current.conditions.find_condition(kind).filter(|new| old != Some((&new.status, &new.reason)))
    };
    let mut push_event = |kind: &str, action| {
        let reason = current.conditions.reason(kind);
        if let (Some(reason), Some(c)) = (reason, current.conditions.find_condition(kind)) {
            let message = match update {
                StatusUpdate::SyncFinished(SyncOutcome { result: Ok(synced), .. }) if reason == Reason::Synced => {
                    messages::sync_counts(synced)
                }
                _ => event_message(&c.message),
            };
            events.push(PendingEvent { reason, message, action });
        }
    };
    if changed("Connected").is_some_and(|c| c.status != ConditionStatus::Unknown.as_str()) {
        push_event("Connected", EventAction::Connect);
    }
    let requested = |a: &SyncOutcome| !a.requests.is_empty() || a.annotation.is_some();
    let sync_reported = match update {
        StatusUpdate::SyncFinished(attempted) => changed("Synced").is_some() || requested(attempted),
        StatusUpdate::Refresh | StatusUpdate::Progress(..) | StatusUpdate::Stopped | StatusUpdate::Probed(_) => false,
    };
    // A failure that disconnects has the event of the condition Connected.
    if sync_reported
        && current.conditions.reason("Synced").is_some_and(|r| r.failure_class() != FailureClass::Disconnected)
    {
        push_event("Synced", EventAction::Sync);
    }
    if changed("Stalled").is_some_and(|c| c.reason == Reason::ScheduleInvalid.as_str()) {
        push_event("Stalled", EventAction::Sync);
    }
    let reported_reasons = [Reason::Stale, Reason::RemovalsHeld].map(Reason::as_str);
    if changed("Ready").is_some_and(|c| reported_reasons.contains(&c.reason.as_str())) {
        push_event("Ready", EventAction::Sync);
    }
    if let StatusUpdate::SyncFinished(SyncOutcome { result: Ok(synced), .. }) = update
        && !synced.mass_changes.is_empty()
    {
        events.push(PendingEvent {
            reason: Reason::MassChange,
            message: messages::mass_changes(&synced.mass_changes, synced.users.total, synced.revision, connection),
            action: EventAction::Sync,
        });
    }
    let warned = |s: &BoxConnectionStatus| s.authorization.as_ref().is_some_and(|a| a.warned_time.is_some());
    if let Some(authorization) = current.authorization.as_ref().filter(|_| warned(current) && !warned(previous)) {
        events.push(PendingEvent {
            reason: Reason::AuthorizationEndsSoon,
            message: messages::authorization_expiring(authorization, connection),
            action: EventAction::Connect,
        });
    }
    events
}

/// The event of a request's new status, if it is finished.
pub(super) fn request_event(status: &UserSyncRequestStatus) -> Option<PendingEvent> {
    let ended = ["Complete", "Failed"].into_iter().find_map(|kind| status.conditions.find_condition(kind))?;
    let reason = Reason::parse(&ended.reason)?;
    Some(PendingEvent { reason, message: event_message(&ended.message), action: EventAction::Sync })
}

fn truncate_message(text: &str) -> String {
    if text.len() <= MAX_NOTE_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_NOTE_BYTES - 3)])
}
