//! What a request's status says. Pure. A finished request is returned as it is: that it never runs again lives here.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    message,
    observe::status_of,
    plan::{MOST_REQUESTS, deadline},
    report::{Attempted, Synced},
    schedule::{after, seconds},
};
use crate::api::{
    BoxConnection, Conditions, Consequence, Phase, Progress, Reason, State, UserSyncRequest, UserSyncRequestStatus,
    condition,
};

/// How long a request waits for a connection that does not exist (yet).
pub(super) const CONNECTION_AWAITED: Duration = Duration::from_secs(60);
/// After how many answers that make no sense a request gives up.
const DOUBTED_TRIES: i64 = 3;
/// The next try for a request whose connection is lost, see the plan.
const LOST_RETRY: Duration = Duration::from_secs(60);

const ANOTHER: &str = "For another sync create a new request.";

/// The request is known and waits.
pub(super) fn waits(
    request: &UserSyncRequest,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> UserSyncRequestStatus {
    told(request, Phase::Pending, [("Reconciling", reason, message)], now, |_| {})
}

/// It waits for the end of the operator's pause. That is no time of its own: its deadline counts from then on.
pub(super) fn paused(request: &UserSyncRequest, message: String, now: Timestamp) -> UserSyncRequestStatus {
    let status = waits(request, Reason::Paused, message, now);
    if status.phase.finished() { status } else { UserSyncRequestStatus { start_time: None, ..status } }
}

/// Its run goes on and takes long; how far it is, where that is known.
pub(super) fn running(
    request: &UserSyncRequest,
    progress: Option<Progress>,
    start: Timestamp,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let message = format!("{}.", Reason::Running.headline());
    told(request, Phase::Running, [("Reconciling", Reason::Running, message)], now, |s| {
        s.start_time.get_or_insert(Time(start));
        s.progress = progress;
    })
}

/// It is refused without asking Box.
pub(super) fn refused(
    request: &UserSyncRequest,
    reason: Reason,
    connection: Option<&BoxConnection>,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let name = &request.spec.connection_ref.name;
    let why = match reason {
        Reason::Suspended => {
            format!("BoxConnection {name} is suspended. Set its spec.suspend to false, then create a new request.")
        }
        Reason::TooManyRequests => format!(
            "{MOST_REQUESTS} older requests wait for BoxConnection {name}; one is enough, since a sync answers all that wait. Wait for one of them."
        ),
        Reason::HeldListChanged => match connection {
            Some(connection) => return fail(request, reason, not_approved(request, connection, now), now, |_| {}),
            None => String::new(),
        },
        Reason::ConnectionNotFound => format!(
            "There is no BoxConnection {name} in namespace {}. See kubectl get boxconnections, then create a new request.",
            request.namespace().unwrap_or_default()
        ),
        other => format!(
            "The deadline of {} seconds came before the sync did. Last trouble: {}. See kubectl describe boxconnection {name}, then create a new request.",
            request.spec.active_deadline_seconds,
            lower(other.headline())
        ),
    };
    let kept = connection.map(|c| message::kept(status_of(c), now)).unwrap_or_default();
    fail(request, reason, message::sentences([&why, &kept]), now, |_| {})
}

/// Its run, the `tries`th, ended; `connection` has the status that tells of it.
pub(super) fn answered(
    request: &UserSyncRequest,
    tries: i64,
    attempted: &Attempted,
    connection: &BoxConnection,
    now: Timestamp,
) -> UserSyncRequestStatus {
    let begun = |s: &mut UserSyncRequestStatus| {
        s.start_time.get_or_insert(Time(attempted.start));
        s.attempts = tries;
    };
    let failure = match &attempted.result {
        Ok(synced) if request.spec.approve_removals.is_none() || request.spec.approve_removals == synced.approved => {
            let Synced { users, added, updated, removed, revision, held, approved: _, earlier } = synced;
            let answers = message::answers(attempted.end, users, *revision);
            let what = match earlier {
                Some((published, change)) => message::earlier(*published, change, *revision, attempted.end),
                None => format!("It was published just now: {}.", message::changed(*added, *updated, *removed)),
            };
            let held = held.as_ref().map(|h| {
                format!(
                    "The removal of {} is held: see the condition Ready of BoxConnection {}.",
                    message::people(h.removals),
                    request.spec.connection_ref.name
                )
            });
            let message = message::sentences([&answers, &what, held.as_deref().unwrap_or_default(), ANOTHER]);
            return told(request, Phase::Succeeded, [("Complete", Reason::Synced, message)], now, |s| {
                begun(s);
                s.completion_time = Some(Time(now));
                s.users = Some(*users);
                s.added = Some(*added);
                s.updated = Some(*updated);
                s.removed = Some(*removed);
                s.revision = Some(*revision);
            });
        }
        Ok(_) => {
            let message = not_approved(request, connection, now);
            return fail(request, Reason::HeldListChanged, message, now, begun);
        }
        Err(failure) if failure.reason == Reason::RemovalsHeld && request.spec.approve_removals.is_some() => {
            let message = not_approved(request, connection, now);
            return fail(request, Reason::HeldListChanged, message, now, begun);
        }
        Err(failure) => failure,
    };
    let next = next_try(connection, now);
    let late = next > deadline(request, attempted.start);
    // What the message ends with where the request does.
    let over = match failure.reason.consequence() {
        Consequence::Disconnected | Consequence::Stalled | Consequence::Refused | Consequence::Neutral => {
            Some("Then create a new request.".to_owned())
        }
        Consequence::Doubted if tries >= DOUBTED_TRIES => {
            Some(format!("It was tried {tries} times; create a new request once it is mended."))
        }
        Consequence::Doubted | Consequence::Retried => late
            .then(|| format!("The next try, at {next}, would come after this request's deadline; create a new one.")),
    };
    let kept = match failure.held {
        Some(_) => String::new(),
        None => message::kept(status_of(connection), now),
    };
    let again = format!("It is tried again at {next}.");
    let last = over.as_ref().unwrap_or(&again);
    let message = message::sentences([&failure.what, &kept, &failure.remedy, last]);
    match over {
        Some(_) => fail(request, failure.reason, message, now, begun),
        None => told(request, Phase::Pending, [("Reconciling", failure.reason, message)], now, begun),
    }
}

fn next_try(connection: &BoxConnection, now: Timestamp) -> Timestamp {
    let status = status_of(connection);
    let retry = status.failures.as_ref().and_then(|f| f.retry_time.as_ref()).map(|t| t.0);
    let lost = status.conditions.is("Connected", State::False);
    retry.filter(|_| !lost).unwrap_or_else(|| after(now, LOST_RETRY))
}

/// Why an approval took no effect.
fn not_approved(request: &UserSyncRequest, connection: &BoxConnection, now: Timestamp) -> String {
    let name = &request.spec.connection_ref.name;
    let what = match &status_of(connection).held {
        Some(held) => format!(
            "The removals that wait for approval are not those that this request approves: {} now, with digest {}.",
            message::people(held.removals),
            held.digest
        ),
        None => "Nothing that waits for approval: no removal is held (any more).".to_owned(),
    };
    let kept = message::kept(status_of(connection), now);
    let again = format!("Look again (kubectl boxsync approve {name}), then create a new request.");
    message::sentences([&what, "Nobody was removed on its account.", &kept, &again])
}

fn fail(
    request: &UserSyncRequest,
    reason: Reason,
    message: String,
    now: Timestamp,
    more: impl FnOnce(&mut UserSyncRequestStatus),
) -> UserSyncRequestStatus {
    let stalled = message::see(reason, "Failed");
    told(request, Phase::Failed, [("Failed", reason, message), ("Stalled", reason, stalled)], now, |s| {
        more(s);
        s.completion_time = Some(Time(now));
    })
}

/// The request's status with this phase and these conditions, all of them True.
fn told<const N: usize>(
    request: &UserSyncRequest,
    phase: Phase,
    conditions: [(&str, Reason, String); N],
    now: Timestamp,
    more: impl FnOnce(&mut UserSyncRequestStatus),
) -> UserSyncRequestStatus {
    let before = request.status.clone().unwrap_or_default();
    if before.phase.finished() {
        return before;
    }
    let generation = request.metadata.generation.unwrap_or(-1);
    let new = conditions.map(|(kind, reason, message)| condition(kind, State::True, reason, message, generation, now));
    let mut status = UserSyncRequestStatus {
        observed_generation: request.metadata.generation,
        conditions: before.conditions.since(new.to_vec()),
        phase,
        progress: None,
        ..before
    };
    more(&mut status);
    status.start_time.get_or_insert(Time(now));
    status
}

/// When a finished request is to be deleted; `None`: never.
pub(super) fn expires(request: &UserSyncRequest) -> Option<Timestamp> {
    let ttl = request.spec.ttl_seconds_after_finished?;
    let status = request.status.as_ref().filter(|s| s.phase.finished())?;
    let limit = Duration::from_secs(ttl.unsigned_abs().into());
    Some(super::schedule::later(status.completion_time.as_ref()?.0, seconds(limit)))
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().filter(|_| !text.starts_with("Box"));
    first.map_or_else(|| text.to_owned(), |c| c.to_lowercase().chain(chars).collect())
}
