//! Builders for connections and requests in tests: "synced three hours ago, then failed".

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};

use super::{
    connection::{
        backoff::add_seconds,
        failure_messages::Failure,
        plan_input::{PlanInput, RosterPresence, StateView, status_of},
        status::{StatusUpdate, build_status},
        sync_outcome::{SignedIn, SyncOutcome, SyncResult},
    },
    options::ControllerOptions,
    request::status,
};
use crate::api::{
    AuthSpec, AuthType, Authorization, BoxAccount, BoxApp, BoxConnection, BoxConnectionSpec, BoxEnterprise,
    ConnectionRef, CurrentSync, OperatorRef, ROSTER_FORMAT_VERSION, Reason, RemovalHold, RequestRef, RosterChange,
    RosterContent, Schedule, SecretRef, ServerAuthMethod, Trigger, UserCounts, UserRoster, UserSyncRequest,
    UserSyncRequestSpec,
};

pub(super) const NOW: &str = "2026-11-22T12:00:00Z";
/// Its daily time is 16:06:55.
pub(super) const UID: &str = "0b6c5f0e-8b1e-4a39-9d3c-0c5a0e5f7a11";

pub(super) fn test_now() -> Timestamp {
    NOW.parse().expect("valid time")
}

pub(super) fn minutes_ago(minutes: i64) -> Timestamp {
    test_now() - minutes.minutes()
}

/// A connection, its requests and its in-memory state.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) connection: BoxConnection,
    pub(super) roster: Option<UserRoster>,
    pub(super) requests: Vec<UserSyncRequest>,
    pub(super) state: StateView,
    pub(super) options: ControllerOptions,
}

/// A connection that was never reconciled.
pub(super) fn new_connection() -> Case {
    let method = ServerAuthMethod { secret_ref: SecretRef { name: "acme-box".to_owned() }, user_id: None };
    let connection = BoxConnection {
        metadata: ObjectMeta {
            name: Some("acme".to_owned()),
            namespace: Some("backup".to_owned()),
            uid: Some(UID.to_owned()),
            generation: Some(1),
            ..ObjectMeta::default()
        },
        spec: BoxConnectionSpec {
            enterprise_id: "1001".to_owned(),
            auth: AuthSpec { client_credentials: Some(method), jwt: None, oauth2: None },
            sync_interval: Some("24h".parse().expect("valid interval")),
            schedule: None,
            stale_after: None,
            suspend: false,
            history_retention: "720h".parse().expect("valid interval"),
            max_removal_percent: 20,
        },
        status: None,
    };
    let state = StateView { until_probe: Duration::from_secs(40 * 3600), ..StateView::default() };
    let options = ControllerOptions {
        oauth: false,
        max_concurrent_syncs: 4,
        min_sync_gap: Duration::from_secs(15),
        probe_interval: Duration::from_secs(3600),
        schedule_spread: Duration::from_secs(900),
        paused: false,
        extra_metadata: Arc::default(),
        operator: OperatorRef::default(),
    };
    Case { connection, roster: None, requests: Vec::new(), state, options }
}

pub(super) fn user_counts(total: i64) -> UserCounts {
    UserCounts { total, active: total, ..UserCounts::default() }
}

/// A sync that found so many users, at the revision that all of the fixture's syncs find.
pub(super) fn sync_result(users: UserCounts) -> SyncResult {
    SyncResult { users, added: 0, updated: 0, removed: 0, ..SyncResult::from_published(&sample_roster(UID, 1).spec) }
}

/// A roster of this owner.
pub(super) fn sample_roster(owner: &str, revision: i64) -> UserRoster {
    let owner = OwnerReference { uid: owner.to_owned(), name: "acme".to_owned(), ..OwnerReference::default() };
    UserRoster {
        metadata: ObjectMeta {
            name: Some("acme".to_owned()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: RosterContent {
            format: ROSTER_FORMAT_VERSION,
            enterprise_id: "1001".to_owned(),
            revision,
            revision_time: Time(minutes_ago(1)),
            users: user_counts(1212),
            slice_count: 0,
            slices: Vec::new(),
            oldest_removed_at: None,
            held: None,
            unconfirmed: Vec::new(),
            previous: None,
            change: RosterChange {
                trigger: Trigger::Requested,
                start_time: Time(minutes_ago(2)),
                added: 12,
                updated: 0,
                removed: 0,
                calls: 4,
                requests: Vec::new(),
                requested_at: None,
                requested_by: Vec::new(),
                approved: None,
                mass_changes: Vec::new(),
            },
            journal: Vec::new(),
            swept_at: None,
            fence: None,
            optional_keys: Vec::new(),
        },
    }
}

/// The digest of what the fixture holds.
pub(super) const DIGEST: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

pub(super) fn held_removals() -> RemovalHold {
    RemovalHold { time: Time(minutes_ago(100)), removals: 250, total: 1200, digest: DIGEST.to_owned(), unconfirmed: 0 }
}

pub(super) fn sample_sign_in() -> SignedIn {
    SignedIn {
        enterprise: BoxEnterprise { id: "1001".to_owned(), name: "Acme".to_owned() },
        account: BoxAccount {
            id: "17".to_owned(),
            login: "AutomationUser_17@boxdevedition.com".to_owned(),
            name: "boxsync".to_owned(),
        },
        app: BoxApp { client_id: "client-acme".to_owned(), auth_type: AuthType::ClientCredentials.as_str().to_owned() },
        method: AuthType::ClientCredentials,
        secret_name: "acme-box".to_owned(),
        resource_version: "7".to_owned(),
        user_id: None,
        authorization_expiration: None,
    }
}

pub(super) fn sample_failure(reason: Reason) -> Failure {
    Failure::new(reason, format!("Box said {reason}."), "Fix it.")
}

pub(super) fn sync_outcome(end: Timestamp, result: Result<UserCounts, Failure>) -> SyncOutcome {
    use crate::api::FailureClass::Disconnected;
    let disconnected = result.as_ref().is_err_and(|f| f.reason.failure_class() == Disconnected);
    let unreachable = result.as_ref().is_err_and(|f| matches!(f.reason, Reason::BoxUnavailable | Reason::RateLimited));
    SyncOutcome {
        trigger: Trigger::Scheduled,
        start: end - 4.seconds(),
        end,
        calls: 3,
        requests: Vec::new(),
        annotation: None,
        requested_by: Vec::new(),
        generation: Some(1),
        app: None,
        signed_in: (!disconnected && !unreachable).then(sample_sign_in),
        result: result.map(sync_result),
    }
}

impl Case {
    fn apply_update(&mut self, update: &StatusUpdate<'_>, now: Timestamp) {
        self.connection.status =
            Some(build_status(&self.connection, self.roster_presence(), update, &self.options, now));
    }

    pub(super) fn roster_presence(&self) -> RosterPresence {
        self.plan_input().roster_presence()
    }

    /// The published list was deleted.
    pub(super) fn without_roster(mut self) -> Self {
        self.roster = None;
        self
    }

    /// The operator refreshed the status.
    pub(super) fn refreshed(mut self) -> Self {
        self.apply_update(&StatusUpdate::Refresh, test_now());
        self
    }

    /// The last sync was made by a version that published nothing.
    pub(super) fn unpublished(mut self) -> Self {
        if let Some(status) = &mut self.connection.status {
            status.roster_ref = None;
        }
        self.without_roster()
    }

    /// This roster is there instead.
    pub(super) fn with_roster(mut self, roster: UserRoster) -> Self {
        self.roster = Some(roster);
        self
    }

    /// The last sync so many minutes ago left 250 removals held.
    pub(super) fn with_held_removals(self, minutes: i64) -> Self {
        let found = SyncResult { held: Some(held_removals()), ..sync_result(user_counts(1200)) };
        self.with_outcome(&SyncOutcome {
            result: Ok(found),
            ..sync_outcome(minutes_ago(minutes), Ok(user_counts(1200)))
        })
    }

    /// The last request approves the removals of this digest.
    pub(super) fn approving(mut self, digest: &str) -> Self {
        if let Some(request) = self.requests.last_mut() {
            request.spec.approve_removals = Some(digest.to_owned());
        }
        self
    }

    /// A roster was written for the requests, and not reported.
    pub(super) fn with_unreported_publish(mut self, revision: i64) -> Self {
        let mut roster = sample_roster(UID, revision);
        for (n, request) in self.requests.iter_mut().enumerate() {
            let uid = format!("request-{n}");
            request.metadata.uid = Some(uid.clone());
            let name = request.metadata.name.clone().unwrap_or_default();
            roster.spec.change.requests.push(RequestRef { name, uid });
        }
        self.with_roster(roster)
    }

    pub(super) fn plan_input(&self) -> PlanInput {
        let requests = self.requests.iter().cloned().map(Arc::new).collect();
        let roster = self.roster.clone().map(Arc::new);
        PlanInput::new(Arc::new(self.connection.clone()), roster, requests, self.state)
    }

    pub(super) fn with_outcome(mut self, outcome: &SyncOutcome) -> Self {
        let outcome = SyncOutcome { generation: self.connection.metadata.generation, ..outcome.clone() };
        self.apply_update(&StatusUpdate::SyncFinished(&outcome), outcome.end);
        if outcome.result.is_ok() {
            self.roster = Some(sample_roster(UID, 1));
        }
        self
    }

    /// A sync of 1,200 users ended so many minutes ago.
    pub(super) fn synced_ago(self, minutes: i64) -> Self {
        self.with_outcome(&sync_outcome(minutes_ago(minutes), Ok(user_counts(1200))))
    }

    /// An attempt failed so many minutes ago.
    pub(super) fn with_failure(self, reason: Reason, minutes: i64) -> Self {
        self.with_outcome(&sync_outcome(minutes_ago(minutes), Err(sample_failure(reason))))
    }

    /// So many minutes ago, Box requested a delay of an hour.
    pub(super) fn rate_limited(self, minutes: i64) -> Self {
        let wait = Some(Duration::from_secs(3600));
        let failure = Failure { retry_after: wait, ..sample_failure(Reason::RateLimited) };
        self.with_outcome(&sync_outcome(minutes_ago(minutes), Err(failure)))
    }

    /// Long ago, a probe found the connection lost.
    pub(super) fn disconnected(mut self, reason: Reason, minutes: i64) -> Self {
        let found = Err(sample_failure(reason));
        self.apply_update(&StatusUpdate::Probed(&found), minutes_ago(minutes));
        self
    }

    /// A request that was never reconciled.
    pub(super) fn with_request(mut self, name: &str) -> Self {
        let created = minutes_ago(0) - 1.second() + i64::try_from(self.requests.len()).unwrap_or(0).milliseconds();
        self.requests.push(UserSyncRequest {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("backup".to_owned()),
                generation: Some(1),
                creation_timestamp: Some(Time(created)),
                ..ObjectMeta::default()
            },
            spec: UserSyncRequestSpec {
                connection_ref: ConnectionRef { name: "acme".to_owned() },
                approve_removals: None,
                active_deadline_seconds: 3600,
                ttl_seconds_after_finished: None,
            },
            status: None,
        });
        self
    }

    /// The first attempt for the last request failed so many minutes ago.
    pub(super) fn with_attempt(mut self, reason: Reason, minutes: i64) -> Self {
        let outcome = sync_outcome(minutes_ago(minutes), Err(sample_failure(reason)));
        if let Some(request) = self.requests.last_mut() {
            request.status =
                Some(status::status_after_sync(request, 1, &outcome, &self.connection, minutes_ago(minutes)));
        }
        self
    }

    pub(super) fn annotated(mut self, value: &str) -> Self {
        self.connection.metadata.annotations =
            Some([(crate::api::REQUESTED_AT_ANNOTATION.to_owned(), value.to_owned())].into());
        self
    }

    pub(super) fn suspended(mut self) -> Self {
        self.connection.spec.suspend = true;
        self.edited()
    }

    /// A schedule instead of the interval, from the start.
    pub(super) fn on_cron(mut self, cron: &str, time_zone: &str) -> Self {
        self.connection.spec.sync_interval = None;
        self.connection.spec.schedule = Some(Schedule { cron: cron.to_owned(), time_zone: time_zone.to_owned() });
        self
    }

    /// The operator was started again, with --paused.
    pub(super) fn paused(mut self) -> Self {
        self.options.paused = true;
        self
    }

    /// And again, without it.
    pub(super) fn unpaused(mut self) -> Self {
        self.options.paused = false;
        self
    }

    /// The spec was edited and not reconciled since.
    pub(super) fn edited(mut self) -> Self {
        self.connection.metadata.generation = self.connection.metadata.generation.map(|g| g + 1);
        self
    }

    /// The spec names another Secret.
    pub(super) fn with_other_secret(mut self) -> Self {
        let method = ServerAuthMethod { secret_ref: SecretRef { name: "acme-box-2".to_owned() }, user_id: None };
        self.connection.spec.auth.client_credentials = Some(method);
        self.edited()
    }

    /// A process ended during a sync.
    pub(super) fn interrupted(mut self, trigger: Trigger) -> Self {
        let current = CurrentSync { trigger, start_time: Time(minutes_ago(1)), pages: 3, users: 3000 };
        self.apply_update(&StatusUpdate::Progress(current, &sample_sign_in()), minutes_ago(1));
        self
    }

    /// Signed in by a user, whose authorization ends in so many days.
    pub(super) fn authorized(mut self, days: i64) -> Self {
        let expiration_time = Time(add_seconds(test_now(), days * 86_400));
        let mut status = status_of(&self.connection).clone();
        status.authorization = Some(Authorization { expiration_time, warned_time: None });
        self.connection.status = Some(status);
        self
    }

    pub(super) fn with_view(mut self, edit: impl FnOnce(&mut StateView)) -> Self {
        edit(&mut self.state);
        self
    }
}

/// As many requests as it takes for some of them to be too many.
pub(super) fn with_requests(case: Case, size: usize) -> Case {
    (0..size).fold(case, |given, n| given.with_request(&format!("r{n:02}")))
}
