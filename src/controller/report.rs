//! What a connection's status says after something happened, or after nothing did. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    authorization,
    conditions::{Cause, Causes, Circumstances, conditions},
    context::Rules,
    failure::Failure,
    message,
    observe::{List, auth_differs, generation_unobserved, status_of},
    requester,
    rhythm::{Rhythm, fresh_until},
    schedule::{after, backoff},
};
use crate::api::{
    Account, App, Attempt, AuthType, BoxConnection, BoxConnectionStatus, Change, Conditions, Consequence, Credentials,
    CurrentSync, Enterprise, Failures, Held, LastSync, Reason, RosterContent, RosterRef, State, Trigger, UserCounts,
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
    /// Who asked, as far as that is told.
    pub(super) requested_by: Vec<String>,
    /// The generation whose spec it followed.
    pub(super) generation: Option<i64>,
    /// The app that was kept out, where it is known.
    pub(super) app: Option<App>,
    /// Who let us in; `None` where nobody did.
    pub(super) access: Option<Access>,
    pub(super) result: Result<Synced, Failure>,
}

/// A list that is published.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Synced {
    pub(super) users: UserCounts,
    pub(super) added: i64,
    pub(super) updated: i64,
    pub(super) removed: i64,
    pub(super) revision: i64,
    pub(super) held: Option<Held>,
    /// The digest whose removals were approved and took place.
    pub(super) approved: Option<String>,
    /// When and by what sync the list was published, where it was an earlier one.
    pub(super) earlier: Option<(Timestamp, Change)>,
}

impl Synced {
    /// A sync that published this roster.
    pub(super) fn published(roster: &RosterContent) -> Self {
        let change = &roster.change;
        Self {
            users: roster.users,
            added: change.added,
            updated: change.updated,
            removed: change.removed,
            revision: roster.revision,
            held: roster.held.clone(),
            approved: change.approved.clone(),
            earlier: None,
        }
    }

    /// A sync that found the list as it was published before.
    pub(super) fn unchanged(roster: &RosterContent) -> Self {
        let earlier = Some((roster.revision_time.0, roster.change.clone()));
        Self { added: 0, updated: 0, removed: 0, approved: None, earlier, ..Self::published(roster) }
    }
}

impl Attempted {
    /// A sync that published this roster and was ended before it could tell.
    pub(super) fn untold(connection: &BoxConnection, roster: &RosterContent) -> Self {
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
            access: None,
            result: Ok(Synced::published(roster)),
        }
    }
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
    /// Until when the authorization of a user can be renewed.
    pub(super) authorization_ends: Option<Timestamp>,
}

/// The status that should stand there now, given the one that does.
pub(super) fn report(
    connection: &BoxConnection,
    list: List,
    news: &News<'_>,
    rules: &Rules,
    now: Timestamp,
) -> BoxConnectionStatus {
    let rhythm = Rhythm::of(connection, rules.schedule_spread);
    let mut causes = Causes::of(status_of(connection));
    let mut status = status_of(connection).clone();
    // What a failure leaves behind is told by the spec of now.
    status.stale_time = fresh_until(connection, &rhythm, status.last_sync.as_ref()).map(Time);
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
    let circumstances = Circumstances { list, rhythm: &rhythm, paused: rules.paused };
    settle(connection, &circumstances, &mut status, causes, now);
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
        Ok(synced) => {
            let &Synced { users, added, updated, removed, revision, ref held, approved: _, earlier: _ } = synced;
            status.users = Some(users);
            status.failures = None;
            status.held.clone_from(held);
            status.roster_ref = connection.metadata.name.clone().map(|name| RosterRef { name, revision });
            status.last_sync = Some(LastSync {
                trigger: attempted.trigger,
                start_time: Time(attempted.start),
                completion_time: Time(attempted.end),
                added,
                updated,
                removed,
                revision,
            });
            causes.synced = Cause::new(State::True, Reason::Synced, message::holds(attempted.end, &users));
        }
        Err(failure) => {
            if let Some(held) = &failure.held {
                status.held = Some(held.as_ref().clone());
            }
            failed(connection, status, causes, failure, attempted.end);
        }
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
    status.authorization = authorization::told(status.authorization.take(), access.authorization_ends);
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
    let (reason, synced) = match &attempted.result {
        Ok(synced) => (Reason::Synced, Some(synced)),
        Err(failure) => (failure.reason, None),
    };
    let calls = i64::from(attempted.calls);
    match history.first_mut() {
        Some(last) if synced.is_none() && last.reason == reason.as_str() => {
            last.completion_time = Time(attempted.end);
            last.attempts += 1;
            last.calls += calls;
            add(&mut last.requests, &attempted.requests, MOST_NAMES);
            add(&mut last.requested_by, &attempted.requested_by, requester::MOST);
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
                users: synced.map(|s| s.users.total),
                added: synced.map(|s| s.added),
                updated: synced.map(|s| s.updated),
                removed: synced.map(|s| s.removed),
                revision: synced.map(|s| s.revision),
                requests: attempted.requests.iter().take(MOST_NAMES).cloned().collect(),
                requested_by: attempted.requested_by.clone(),
            },
        ),
    }
    history.truncate(LONGEST_HISTORY);
}

/// Adds the names that are not there yet, as far as there is room.
fn add(names: &mut Vec<String>, more: &[String], most: usize) {
    for name in more {
        if names.len() < most && !names.contains(name) {
            names.push(name.clone());
        }
    }
}

/// Brings all that follows from the rest up to date: observedGeneration, the times, and the conditions.
fn settle(
    connection: &BoxConnection,
    circumstances: &Circumstances<'_>,
    status: &mut BoxConnectionStatus,
    causes: Causes,
    now: Timestamp,
) {
    let spec = &connection.spec;
    let attempted = status.observed_generation != status_of(connection).observed_generation;
    if !attempted && (spec.suspend || !(generation_unobserved(connection) && auth_differs(connection))) {
        status.observed_generation = connection.metadata.generation;
    }
    if causes.connected.reason == Reason::AuthorizationExpired {
        status.authorization = None;
    }
    if let Some(authorization) = &mut status.authorization {
        authorization::warn(authorization, now);
    }
    let rhythm = circumstances.rhythm;
    let next = next_sync(connection, circumstances, status, &causes);
    status.next_sync = next.map(|t| rhythm.shown(t));
    status.next_sync_time = next.map(Time);
    status.stale_time = fresh_until(connection, rhythm, status.last_sync.as_ref()).map(Time);
    let new = conditions(connection, circumstances, status, causes, now);
    status.conditions = status_of(connection).conditions.since(new);
}

fn next_sync(
    connection: &BoxConnection,
    circumstances: &Circumstances<'_>,
    status: &BoxConnectionStatus,
    causes: &Causes,
) -> Option<Timestamp> {
    if circumstances.halt(connection).is_some() || causes.connected.state == State::False {
        return None;
    }
    match (&status.failures, &status.last_sync) {
        (Some(Failures { retry_time: Some(retry), .. }), _) => Some(retry.0),
        (Some(failures), _) => circumstances.rhythm.next(failures.last_time.0),
        (None, Some(last)) => circumstances.rhythm.next(last.start_time.0),
        (None, None) => None,
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
