//! In-memory state of the connections. It is lost with the process, and nothing depends on it: the next process
//! rebuilds it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::Instant;

use super::{
    backoff::{probe_interval, slow_backoff},
    plan::{Plan, Step},
    plan_input::{StateView, status_of},
    unwritten_result::UnwrittenResult,
    unwritten_status::UnwrittenStatus,
};
use crate::{
    api::{AuthType, BoxConnection, UserSyncRequest},
    box_client::TokenSource,
    controller::oauth::token_store::RejectedToken,
    roster::{Fence, SliceMeta},
};

/// How long an unreferenced slice is kept, for readers of an older list and publishers of a new one.
const UNREFERENCED_GRACE: Duration = Duration::from_secs(15 * 60);

/// Times of equal plans differ by this much, since spans are rounded up to seconds.
const PLAN_TIME_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

pub(crate) type ConnectionKey = ObjectRef<BoxConnection>;

/// An object's namespace and name, as in log lines.
pub(crate) fn log_name<K: ResourceExt>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// A version of credentials: a digest of the Secret's content, which never leaves this process, the method, the
/// Secret's name and the user. Labels and annotations do not count.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CredentialsVersion {
    pub(crate) method: AuthType,
    pub(crate) secret_name: String,
    /// The Box user that the app acts as.
    pub(crate) user_id: Option<String>,
    /// `None`: there is no such Secret.
    pub(crate) content: Option<String>,
}

/// A session, and the credentials that it was made from.
#[derive(Clone)]
pub(crate) struct CachedSession {
    pub(crate) version: CredentialsVersion,
    /// The Secret's resource version when its content was read.
    pub(crate) resource_version: String,
    pub(crate) client_id: String,
    pub(crate) session: TokenSource,
}

/// The state of one connection.
pub(crate) struct ConnectionState {
    uid: String,
    pub(crate) secret_checked_at: Option<Instant>,
    pub(crate) secret_version: Option<CredentialsVersion>,
    pub(crate) sign_in_tried_at: Option<Instant>,
    pub(crate) tried_version: Option<CredentialsVersion>,
    pub(crate) listed_at: Option<Instant>,
    pub(crate) next_probe_at: Instant,
    /// Until when Box is not called, as it requested, whether or not the status says so.
    pub(crate) retry_allowed_at: Option<Instant>,
    /// The session that Box last accepted.
    pub(crate) cached_session: Option<CachedSession>,
    /// The session of the next attempt, before Box has accepted it: decrypting a private key again could take seconds, and
    /// it knows since when Box rejects its tokens.
    pub(crate) parsed_session: Option<CachedSession>,
    /// Whether the API server did not confirm the last plan that calls Box.
    pub(crate) confirmation_failed: bool,
    /// The version that Box rejected while an older one still works; reported once.
    pub(crate) rejected_version: Option<CredentialsVersion>,
    /// The refresh token that Box rejected last.
    pub(crate) rejected_token: RejectedToken,
    /// The plan that was logged last.
    logged_plan: Option<Plan>,
    /// The requests that a run in this process answers now.
    pub(crate) running_requests: Option<Vec<String>>,
    /// Whether the roster is known to exist, until the watch delivers it.
    pub(crate) published: bool,
    /// Whether slices that the roster names were deleted, until a sync has written them again.
    pub(crate) slices_missing: bool,
    /// Whether this process has written the roster, which ends what an earlier one had in flight.
    pub(crate) fence: Fence,
    /// Unreferenced slices, and since when.
    unreferenced: HashMap<SliceMeta, Instant>,
    /// Unreferenced slices before whose deletion the roster was written.
    fenced_slices: HashSet<SliceMeta>,
    /// After errors of garbage collection: their number in a row, and when it is tried again.
    collect_again: Option<(u32, Instant)>,
    /// Requests whose answer the API server refuses, by UID: how often in a row, and until when they are ignored.
    deferred_requests: HashMap<String, (u32, Instant)>,
    /// The result of a run or of a probe that the API server has not accepted yet.
    pub(crate) unwritten_result: Option<UnwrittenResult>,
    /// The status that the API server refuses, until it accepts one.
    pub(crate) unwritten_status: Option<UnwrittenStatus>,
    /// Whether the status has named this process's operator. Another one that names itself later works too.
    pub(crate) operator_named: bool,
    last_failure: Option<(Time, Instant)>,
}

#[derive(Default)]
pub(crate) struct ConnectionStates(Mutex<HashMap<ConnectionKey, Box<ConnectionState>>>);

impl ConnectionStates {
    /// Accesses the state of a connection, which is created on first access and again for a new UID.
    pub(crate) fn with_state<T>(
        &self,
        connection: &BoxConnection,
        interval: Duration,
        f: impl FnOnce(&mut ConnectionState) -> T,
    ) -> T {
        let uid = connection.uid().unwrap_or_default();
        let mut states = self.lock();
        let state = states
            .entry(ConnectionKey::from(connection))
            .or_insert_with(|| Box::new(ConnectionState::new(&uid, interval)));
        if state.uid != uid {
            **state = ConnectionState::new(&uid, interval);
        }
        f(state)
    }

    /// Reads the state of a connection, if there is one.
    pub(crate) fn read_state<T>(&self, key: &ConnectionKey, f: impl FnOnce(&ConnectionState) -> T) -> Option<T> {
        self.lock().get(key).map(|state| f(state))
    }

    pub(crate) fn remove_state(&self, key: &ConnectionKey) {
        self.lock().remove(key);
    }

    /// The connections that have a state.
    pub(crate) fn known_connections(&self) -> Vec<ConnectionKey> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionKey, Box<ConnectionState>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionState {
    fn new(uid: &str, interval: Duration) -> Self {
        Self {
            uid: uid.to_owned(),
            secret_checked_at: None,
            secret_version: None,
            sign_in_tried_at: None,
            tried_version: None,
            listed_at: None,
            next_probe_at: Instant::now() + probe_interval(uid, interval),
            retry_allowed_at: None,
            cached_session: None,
            parsed_session: None,
            confirmation_failed: false,
            rejected_version: None,
            rejected_token: RejectedToken::default(),
            logged_plan: None,
            running_requests: None,
            published: false,
            slices_missing: false,
            fence: Fence::Required,
            unreferenced: HashMap::new(),
            fenced_slices: HashSet::new(),
            collect_again: None,
            deferred_requests: HashMap::new(),
            unwritten_result: None,
            unwritten_status: None,
            operator_named: false,
            last_failure: None,
        }
    }

    /// Records the connection's failure and returns the state as spans of time.
    pub(crate) fn view(&mut self, connection: &BoxConnection) -> StateView {
        let now = Instant::now();
        let failed = status_of(connection).failures.as_ref().map(|f| f.last_time.clone());
        self.last_failure = match (self.last_failure.take(), failed) {
            (Some((recorded, since)), Some(last)) if recorded == last => Some((recorded, since)),
            (_, last) => last.map(|last| (last, now)),
        };
        StateView {
            since_secret_check: self.secret_checked_at.map(|t| now - t),
            secret_changed: self.secret_version.is_some() && self.secret_version != self.tried_version,
            since_sign_in: self.sign_in_tried_at.map(|t| now - t),
            since_listing: self.listed_at.map(|t| now - t),
            since_failure: self.last_failure.as_ref().map(|(_, t)| now - *t).unwrap_or_default(),
            until_probe: self.next_probe_at - now,
            until_retry_allowed: self.retry_allowed_at.map(|t| t - now).unwrap_or_default(),
            published: self.published,
            slices_missing: self.slices_missing,
            until_garbage_collection: self.garbage_collection_time().map(|time| time - now),
        }
    }

    /// The API server refused the answer to this request.
    pub(crate) fn defer_request(&mut self, uid: &str) {
        let (count, until) = self.deferred_requests.entry(uid.to_owned()).or_insert((0, Instant::now()));
        *count = count.saturating_add(1);
        *until = Instant::now() + slow_backoff(uid, *count);
    }

    /// Removes the requests that are ignored now, and forgets those that are gone.
    pub(crate) fn without_deferred(&mut self, requests: Vec<Arc<UserSyncRequest>>) -> Vec<Arc<UserSyncRequest>> {
        if self.deferred_requests.is_empty() {
            return requests;
        }
        self.deferred_requests.retain(|uid, _| requests.iter().any(|r| r.metadata.uid.as_ref() == Some(uid)));
        let is_deferred = |request: &Arc<UserSyncRequest>| {
            let uid = request.metadata.uid.as_ref();
            let until = uid.and_then(|uid| self.deferred_requests.get(uid)).map(|(_, until)| *until);
            until.is_some_and(|until| until > Instant::now())
        };
        requests.into_iter().filter(|request| !is_deferred(request)).collect()
    }

    fn garbage_collection_time(&self) -> Option<Instant> {
        let due = *self.unreferenced.values().min()? + UNREFERENCED_GRACE;
        Some(self.collect_again.map_or(due, |(_, time)| time.max(due)))
    }

    /// Garbage collection was tried for these slices. After an error it is put back by minutes.
    pub(crate) fn record_garbage_collection(&mut self, tried: HashSet<SliceMeta>, failed: bool) {
        let errors = self.collect_again.map_or(0, |(errors, _)| errors).saturating_add(1);
        self.collect_again = failed.then(|| (errors, Instant::now() + slow_backoff(&self.uid, errors)));
        self.fenced_slices = if failed { tried } else { HashSet::new() };
    }

    /// The slices before whose deletion the roster was written.
    pub(crate) fn fenced_slices(&self) -> HashSet<SliceMeta> {
        self.fenced_slices.clone()
    }

    /// Remembers the plan. Returns whether it differs from the last one by more than the rounding of its time.
    pub(crate) fn is_new_plan(&mut self, plan: &Plan) -> bool {
        let same = self.logged_plan.as_ref().is_some_and(|last| match (&last.step, &plan.step) {
            (Step::Wait(Some(before)), Step::Wait(Some(now))) => {
                let moved = before.duration_until(*now).abs() > PLAN_TIME_TOLERANCE;
                !moved && last.reason == plan.reason && last.refused_requests == plan.refused_requests
            }
            _ => last == plan,
        });
        self.logged_plan = Some(plan.clone());
        !same
    }

    /// Replaces the unreferenced slices; those already known keep their time.
    pub(crate) fn set_unreferenced(&mut self, slices: impl IntoIterator<Item = SliceMeta>) {
        let now = Instant::now();
        self.unreferenced = slices
            .into_iter()
            .map(|s| (self.unreferenced.get(&s).copied().unwrap_or(now), s))
            .map(|(t, s)| (s, t))
            .collect();
    }

    /// The unreferenced slices whose grace period is over.
    pub(crate) fn expired_slices(&self) -> HashSet<SliceMeta> {
        self.unreferenced
            .iter()
            .filter(|(_, since)| since.elapsed() >= UNREFERENCED_GRACE)
            .map(|(s, _)| s.clone())
            .collect()
    }

    /// The Secret was read.
    pub(crate) fn record_secret_version(&mut self, version: &CredentialsVersion) {
        self.secret_checked_at = Some(Instant::now());
        self.secret_version = Some(version.clone());
    }

    /// A sign-in with these credentials begins.
    pub(crate) fn record_sign_in(&mut self, version: &CredentialsVersion) {
        self.sign_in_tried_at = Some(Instant::now());
        self.tried_version = Some(version.clone());
    }

    /// After a sign-in, the next probe is a whole interval away.
    pub(crate) fn schedule_next_probe(&mut self, interval: Duration) {
        self.next_probe_at = Instant::now() + probe_interval(&self.uid, interval);
    }
}
