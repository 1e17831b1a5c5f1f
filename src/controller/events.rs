//! Events: what changed, and how requested runs ended. An event that cannot be written fails nothing.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::{
    message,
    report::{Attempted, News},
};
use crate::api::{BoxConnectionStatus, Conditions, Consequence, Reason, State, UserSyncRequestStatus};

const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The API server takes 1,024 bytes.
const LONGEST_NOTE: usize = 1000;

/// Writes events.
pub(super) struct Events(Client);

/// One happening worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) reason: Reason,
    pub(super) text: String,
    pub(super) action: Action,
}

/// What the operator was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Connect,
    Sync,
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(super) async fn publish(&self, about: &ObjectReference, note: &Note) {
        let event = Event {
            type_: match note.reason.consequence() {
                Consequence::Neutral if !matches!(note.reason, Reason::Stale | Reason::AuthorizationEndsSoon) => {
                    EventType::Normal
                }
                _ => EventType::Warning,
            },
            reason: note.reason.as_str().to_owned(),
            note: Some(shortened(&note.text)),
            action: match note.action {
                Action::Connect => "Connect",
                Action::Sync => "Sync",
            }
            .to_owned(),
            secondary: None,
        };
        // One that is kept would remember every event for minutes, which adds up where there are many connections.
        let recorder = Recorder::new(self.0.clone(), Reporter::from("boxsync-operator"));
        let problem = match tokio::time::timeout(TIME_LIMIT, recorder.publish(&event, about)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", TIME_LIMIT.as_secs()),
        };
        tracing::debug!(object = about.name, reason = %note.reason, problem, "an event was not written");
    }
}

/// The reference by which events find their object.
pub(super) fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    object.object_ref(&())
}

/// What of a connection's new status is worth an event.
pub(super) fn of_connection(before: &BoxConnectionStatus, after: &BoxConnectionStatus, news: &News<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let changed = |kind: &str| {
        let old = before.conditions.of(kind).map(|c| (&c.status, &c.reason));
        after.conditions.of(kind).filter(|new| old != Some((&new.status, &new.reason)))
    };
    let mut tell = |kind: &str, action| {
        let reason = after.conditions.reason(kind);
        if let (Some(reason), Some(c)) = (reason, after.conditions.of(kind)) {
            notes.push(Note { reason, text: text(reason, &c.message), action });
        }
    };
    if changed("Connected").is_some_and(|c| c.status != State::Unknown.as_str()) {
        tell("Connected", Action::Connect);
    }
    let requested = |a: &Attempted| !a.requests.is_empty() || a.annotation.is_some();
    let told = match news {
        News::Attempted(attempted) => changed("Synced").is_some() || requested(attempted),
        News::Nothing | News::Running(..) | News::Stopped | News::Probed(_) => false,
    };
    // What disconnects was told as such.
    if told && after.conditions.reason("Synced").is_some_and(|r| r.consequence() != Consequence::Disconnected) {
        tell("Synced", Action::Sync);
    }
    if changed("Stalled").is_some_and(|c| c.reason == Reason::ScheduleInvalid.as_str()) {
        tell("Stalled", Action::Sync);
    }
    let looked_for = [Reason::Stale, Reason::RemovalsHeld].map(Reason::as_str);
    if changed("Ready").is_some_and(|c| looked_for.contains(&c.reason.as_str())) {
        tell("Ready", Action::Sync);
    }
    let warned = |s: &BoxConnectionStatus| s.authorization.as_ref().is_some_and(|a| a.warned_time.is_some());
    if let Some(authorization) = after.authorization.as_ref().filter(|_| warned(after) && !warned(before)) {
        notes.push(Note {
            reason: Reason::AuthorizationEndsSoon,
            text: message::ends_soon(authorization),
            action: Action::Connect,
        });
    }
    notes
}

/// What of a request's new status is worth an event: its end.
pub(super) fn of_request(after: &UserSyncRequestStatus) -> Option<Note> {
    let ended = ["Complete", "Failed"].into_iter().find_map(|kind| after.conditions.of(kind))?;
    let reason = Reason::parse(&ended.reason)?;
    Some(Note { reason, text: text(reason, &ended.message), action: Action::Sync })
}

/// The numbers of a success stay in the status: an event of the same reason within minutes repeats the first one's text.
fn text(reason: Reason, message: &str) -> String {
    if reason == Reason::Synced { "The whole user list was fetched.".to_owned() } else { message.to_owned() }
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_NOTE {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST_NOTE - 3)])
}
