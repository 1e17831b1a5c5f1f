//! What a connection's status says after something happened, or after nothing did. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    conditions::{Cause, Causes, conditions},
    failure::Failure,
    message,
    observe::{auth_differs, generation_unobserved, status_of},
    schedule::{after, backoff, next_on_grid},
};
use crate::api::{
    Account, App, Attempt, AuthType, BoxConnection, BoxConnectionStatus, Conditions, Consequence, Credentials,
    CurrentSync, Enterprise, Failures, LastSync, Reason, State, Trigger, UserCounts,
};

const LONGEST_HISTORY: usize = 5;
const MOST_NAMES: usize = 10;

/// What there is to report.
#[derive(Clone, Debug)]
pub(super) enum News<'a> {
    /// Nothing but that time has passed or the spec has changed.
    Nothing,
    /// A run that takes long goes on; Box let it in.
    Running(CurrentSync, &'a Access),
    /// A run was told to stop, and nothing came of it.
    Stopped,
    /// A probe ended.
    Probed(&'a Result<Access, Failure>),
    /// A run ended.
    Attempted(&'a Attempted),
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempted {
    pub(super) trigger: Trigger,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) calls: u32,
    /// The requests that it answers.
    pub(super) requests: Vec<String>,
    /// The value of the annotation that it answers.
    pub(super) annotation: Option<String>,
    /// The generation whose spec it followed.
    pub(super) generation: Option<i64>,
    /// The app that was kept out, where it is known.
    pub(super) app: Option<App>,
    /// Who let us in; `None` where nobody did.
    pub(super) access: Option<Access>,
    pub(super) result: Result<UserCounts, Failure>,
}

/// Box let us in: who answered, and to which credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) enterprise: Enterprise,
    pub(super) account: Account,
    pub(super) app: App,
    pub(super) method: AuthType,
    pub(super) secret_name: String,
    pub(super) resource_version: String,
}

/// The status that should stand there now, given the one that does.
pub(super) fn report(connection: &BoxConnection, news: &News<'_>, now: Timestamp) -> BoxConnectionStatus {
    let mut causes = Causes::of(status_of(connection));
    let mut status = status_of(connection).clone();
    match news {
        News::Nothing => {}
        News::Running(current, access) => {
            status.current_sync = Some(current.clone());
            let_in(&mut status, &mut causes, access, now);
        }
        News::Stopped => status.current_sync = None,
        News::Probed(Ok(access)) => let_in(&mut status, &mut causes, access, now),
        News::Probed(Err(failure)) => {
            if failure.reason.consequence() == Consequence::Disconnected {
                causes.connected = Cause::failed(failure, connection, &status, now);
            }
        }
        News::Attempted(attempted) => {
            if !repeats(connection, attempted) {
                attempt(connection, &mut status, &mut causes, attempted);
            }
        }
    }
    settle(connection, &mut status, causes, now);
    status
}

/// Whether a try found a lost connection just as lost as before, with nobody asking: that is no attempt, and no news.
fn repeats(connection: &BoxConnection, attempted: &Attempted) -> bool {
    let status = status_of(connection);
    let nobody_asked = attempted.requests.is_empty() && attempted.annotation.is_none();
    let lost = status.conditions.is("Connected", State::False);
    let known = attempted.generation == status.observed_generation;
    let as_before = attempted.result.as_ref().is_err_and(|f| match f.reason.consequence() {
        Consequence::Disconnected => status.conditions.reason("Connected") == Some(f.reason),
        Consequence::Retried | Consequence::Doubted => attempted.access.is_none(),
        Consequence::Stalled | Consequence::Refused | Consequence::Neutral => false,
    });
    lost && nobody_asked && known && as_before && status.current_sync.is_none()
}

fn attempt(connection: &BoxConnection, status: &mut BoxConnectionStatus, causes: &mut Causes, attempted: &Attempted) {
    status.current_sync = None;
    status.observed_generation = attempted.generation;
    if attempted.annotation.is_some() {
        status.last_handled_request.clone_from(&attempted.annotation);
    }
    if attempted.app.is_some() {
        status.app.clone_from(&attempted.app);
    }
    if let Some(access) = &attempted.access {
        let_in(status, causes, access, attempted.end);
    }
    match &attempted.result {
        Ok(users) => {
            status.users = Some(*users);
            status.failures = None;
            status.last_sync = Some(LastSync {
                trigger: attempted.trigger,
                start_time: Time(attempted.start),
                completion_time: Time(attempted.end),
            });
            causes.synced = Cause::new(State::True, Reason::Synced, message::holds(attempted.end, users));
        }
        Err(failure) => failed(connection, status, causes, failure, attempted.end),
    }
    remember(&mut status.history, attempted);
}

fn failed(
    connection: &BoxConnection,
    status: &mut BoxConnectionStatus,
    causes: &mut Causes,
    failure: &Failure,
    end: Timestamp,
) {
    let consequence = failure.reason.consequence();
    let passes = matches!(consequence, Consequence::Retried | Consequence::Doubted);
    if passes && causes.connected.state == State::False {
        return;
    }
    let before = status.failures.take().filter(|f| f.retry_time.is_some() == passes);
    let count = before.map_or(0, |f| f.count) + 1;
    let uid = connection.metadata.uid.as_deref().unwrap_or_default();
    let wait = failure.retry_after.unwrap_or_else(|| backoff(uid, count));
    status.failures = Some(Failures {
        reason: failure.reason.as_str().to_owned(),
        count,
        last_time: Time(end),
        retry_time: passes.then(|| Time(after(end, wait))),
        retry_after: passes && failure.retry_after.is_some(),
    });
    if consequence == Consequence::Disconnected {
        causes.connected = Cause::failed(failure, connection, status, end);
        causes.synced = Cause::new(State::False, failure.reason, message::see(failure.reason, "Connected"));
    } else {
        causes.synced = Cause::failed(failure, connection, status, end);
    }
}

fn let_in(status: &mut BoxConnectionStatus, causes: &mut Causes, access: &Access, now: Timestamp) {
    let same = status.credentials.as_ref().is_some_and(|c| {
        c.method == access.method
            && c.secret_name == access.secret_name
            && c.resource_version == access.resource_version
    });
    if same && causes.connected.state == State::True {
        return;
    }
    if !same {
        status.credentials = Some(Credentials {
            method: access.method,
            secret_name: access.secret_name.clone(),
            resource_version: access.resource_version.clone(),
            accepted_time: Time(now),
        });
    }
    status.enterprise = Some(access.enterprise.clone());
    status.account = Some(access.account.clone());
    status.app = Some(access.app.clone());
    let message = format!(
        "Box accepts the credentials of Secret {} for enterprise {} ({}) as {}.",
        access.secret_name, access.enterprise.id, access.enterprise.name, access.account.login
    );
    causes.connected = Cause::new(State::True, Reason::Connected, message);
}

fn remember(history: &mut Vec<Attempt>, attempted: &Attempted) {
    let (reason, users) = match &attempted.result {
        Ok(users) => (Reason::Synced, Some(users.total)),
        Err(failure) => (failure.reason, None),
    };
    let calls = i64::from(attempted.calls);
    match history.first_mut() {
        Some(last) if users.is_none() && last.reason == reason.as_str() => {
            last.completion_time = Time(attempted.end);
            last.attempts += 1;
            last.calls += calls;
            let new = attempted.requests.iter().filter(|r| !last.requests.contains(r)).cloned().collect::<Vec<_>>();
            last.requests.extend(new);
            last.requests.truncate(MOST_NAMES);
        }
        Some(_) | None => history.insert(
            0,
            Attempt {
                trigger: attempted.trigger,
                start_time: Time(attempted.start),
                completion_time: Time(attempted.end),
                reason: reason.as_str().to_owned(),
                attempts: 1,
                calls,
                users,
                requests: attempted.requests.iter().take(MOST_NAMES).cloned().collect(),
            },
        ),
    }
    history.truncate(LONGEST_HISTORY);
}

/// Brings all that follows from the rest up to date: observedGeneration, the times, and the conditions.
fn settle(connection: &BoxConnection, status: &mut BoxConnectionStatus, causes: Causes, now: Timestamp) {
    let spec = &connection.spec;
    let attempted = status.observed_generation != status_of(connection).observed_generation;
    if !attempted && (spec.suspend || !(generation_unobserved(connection) && auth_differs(connection))) {
        status.observed_generation = connection.metadata.generation;
    }
    status.stale_time = status.last_sync.as_ref().map(|l| Time(after(l.completion_time.0, spec.stale_after())));
    status.next_sync_time = next_sync(connection, status, &causes).map(Time);
    let new = conditions(connection, status, causes, now);
    status.conditions = status_of(connection).conditions.since(new);
}

fn next_sync(connection: &BoxConnection, status: &BoxConnectionStatus, causes: &Causes) -> Option<Timestamp> {
    if connection.spec.suspend || causes.connected.state == State::False {
        return None;
    }
    let uid = connection.metadata.uid.as_deref().unwrap_or_default();
    let grid = |t: &Time| next_on_grid(uid, connection.spec.sync_interval.length(), t.0);
    match (&status.failures, &status.last_sync) {
        (Some(Failures { retry_time: Some(retry), .. }), _) => Some(retry.0),
        (Some(failures), _) => Some(grid(&failures.last_time)),
        (None, Some(last)) => Some(grid(&last.start_time)),
        (None, None) => None,
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
