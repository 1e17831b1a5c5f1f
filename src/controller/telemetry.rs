//! Telemetry events of the controllers: each struct emits its log line and its metric together.

use std::{fmt, time::Duration};

use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    connection::{
        clock_check::ClockCheck,
        failure_messages::Failure,
        state::log_name,
        sync_outcome::{SyncOutcome, SyncResult},
    },
    kube_calls::KubeError,
};
use crate::{
    api::{BoxConnection, ConditionStatus, ConditionsExt, MassChange, Reason, RequestPhase, UserSyncRequest},
    box_client::CallRecord,
    metrics::Metrics,
};

/// The kinds that the controllers watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Connections,
    Requests,
    Rosters,
}

impl ResourceKind {
    /// All of them.
    pub const WATCHED: [Self; 3] = [Self::Connections, Self::Requests, Self::Rosters];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "boxconnections",
            Self::Requests => "usersyncrequests",
            Self::Rosters => "userrosters",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call to Box for this connection has ended.
pub(super) struct BoxCallEnded<'a> {
    pub(super) connection: &'a str,
    pub(super) call: &'a CallRecord,
}

impl BoxCallEnded<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let &Self { connection, call: CallRecord { endpoint, outcome, duration: took, retry_after } } = self;
        let (endpoint, code, milliseconds) = (endpoint.as_str(), outcome.as_str(), as_milliseconds(*took));
        tracing::debug!(connection, endpoint, code, milliseconds, ?retry_after, "Box API call");
        metrics.box_calls.inc([endpoint, code]);
        metrics.box_call_duration.observe([endpoint], *took);
        if let Some(wait) = retry_after {
            metrics.box_rate_limit_wait.observe([endpoint], *wait);
        }
    }
}

/// A sync has ended.
pub(super) struct SyncEnded<'a> {
    pub(super) connection: &'a BoxConnection,
    pub(super) outcome: &'a SyncOutcome,
    pub(super) duration: Duration,
}

impl SyncEnded<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let connection = log_name(self.connection);
        let SyncOutcome { trigger, calls, requests, result, .. } = self.outcome;
        let (trigger, requests, milliseconds) = (trigger.as_str(), requests.len(), as_milliseconds(self.duration));
        let reason = match result {
            Ok(SyncResult {
                users,
                added,
                updated,
                removed,
                revision,
                held,
                approved: _,
                mass_changes,
                damaged_history: _,
                visibility_delays,
                clock: _,
                earlier_publish: _,
            }) => {
                let (reason, users, held) = (Reason::Synced, users.total, held.as_ref().map_or(0, |h| h.removals));
                tracing::info!(
                    connection, %reason, trigger, milliseconds, calls, requests, users, added, updated, removed, held, revision,
                    "sync succeeded"
                );
                visibility_delays.iter().for_each(|delay| metrics.user_visible.observe([], *delay));
                for MassChange { kind, users } in mass_changes {
                    tracing::warn!(
                        connection,
                        kind = kind.as_str(),
                        users,
                        revision,
                        "very many users changed at once"
                    );
                }
                reason
            }
            Err(Failure { reason, summary, .. }) => {
                tracing::warn!(connection, %reason, trigger, milliseconds, calls, requests, summary, "sync failed");
                *reason
            }
        };
        metrics.syncs.inc([trigger, reason.as_str()]);
        metrics.sync_duration.observe([reason.as_str()], self.duration);
    }
}

/// The clock was compared with those of Box and the API server.
pub(super) struct ClockChecked<'a> {
    pub(super) connection: &'a BoxConnection,
    pub(super) check: &'a ClockCheck,
}

impl ClockChecked<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let (connection, skew_seconds) = (log_name(self.connection), self.check.skew().as_secs());
        match self.check {
            ClockCheck::Right => {}
            ClockCheck::Wrong(_) | ClockCheck::Doubtful(_) | ClockCheck::Unknown => {
                tracing::warn!(connection, skew_seconds, check = ?self.check, "clock differs, no history is removed");
            }
        }
        metrics.clock_skew.set(skew_seconds);
    }
}

/// A request has finished; its event is published with its status.
pub(super) struct RequestEnded<'a>(pub(super) &'a UserSyncRequest);

impl RequestEnded<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let Some(status) = &self.0.status else { return };
        let (result, kind) = match status.phase {
            RequestPhase::Pending | RequestPhase::Running | RequestPhase::Other(_) => return,
            RequestPhase::Succeeded => ("Succeeded", "Complete"),
            RequestPhase::Failed => ("Failed", "Failed"),
        };
        let condition_true = status.conditions.has_status(kind, ConditionStatus::True);
        let reason = status.conditions.reason(kind).filter(|_| condition_true).unwrap_or(Reason::Internal);
        let (request, connection) = (log_name(self.0), &self.0.spec.connection_ref.name);
        let connection = format!("{}/{connection}", self.0.namespace().unwrap_or_default());
        tracing::debug!(request, connection, result, %reason, "request finished");
        metrics.requests.inc([result, reason.as_str()]);
    }
}

/// A reconcile failed and is retried.
pub(super) struct ReconcileFailed<'a> {
    pub(super) kind: ResourceKind,
    /// The object's namespace and name.
    pub(super) object: String,
    pub(super) error: &'a KubeError,
    pub(super) requeue_after: Duration,
}

impl ReconcileFailed<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let &Self { kind, ref object, error, requeue_after } = self;
        let requeue_after_seconds = requeue_after.as_secs_f64();
        match kind {
            ResourceKind::Requests => {
                tracing::warn!(request = object, %error, requeue_after_seconds, "reconcile failed, retrying");
            }
            ResourceKind::Connections | ResourceKind::Rosters => {
                tracing::warn!(connection = object, %error, requeue_after_seconds, "reconcile failed, retrying");
            }
        }
        metrics.reconcile_errors.inc([kind.as_str(), error_label(error)]);
    }
}

/// The API server refuses the status of this connection, which goes on without it.
pub(super) struct StatusRefused<'a> {
    pub(super) connection: &'a BoxConnection,
    pub(super) error: &'a KubeError,
}

impl StatusRefused<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let &Self { connection, error } = self;
        tracing::warn!(connection = log_name(connection), %error, "the status of the connection was refused");
        metrics.reconcile_errors.inc([ResourceKind::Connections.as_str(), error_label(error)]);
    }
}

const fn error_label(error: &KubeError) -> &'static str {
    match error {
        KubeError::NotFound => "NotFound",
        KubeError::UnknownKind => "NotServed",
        KubeError::Conflict => "Conflict",
        KubeError::Unauthenticated(_) => "Unauthenticated",
        KubeError::Forbidden(_) => "Forbidden",
        KubeError::TooManyRequests { .. } => "TooManyRequests",
        KubeError::Refused(_) | KubeError::Rejected { .. } => "Refused",
        KubeError::Unavailable { .. } => "Unavailable",
        KubeError::Unreadable(_) => "Unreadable",
        KubeError::Unreachable(_) => "Unreachable",
    }
}

/// A reconcile of this connection panicked, which is a failure of this connection only.
pub(super) struct ReconcilePanicked<'a>(pub(super) &'a BoxConnection);

impl ReconcilePanicked<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        tracing::error!(connection = log_name(self.0), reason = %Reason::Internal, "reconcile panicked");
        metrics.reconcile_errors.inc([ResourceKind::Connections.as_str(), "Panic"]);
    }
}

/// A watch failed and is restarted.
pub(super) struct WatchInterrupted<'a> {
    pub(super) kind: ResourceKind,
    /// Empty: all namespaces.
    pub(super) namespace: &'a str,
    pub(super) consecutive_errors: u64,
    /// It was said that this scope cannot be read.
    pub(super) reported: bool,
    pub(super) error: &'a dyn std::error::Error,
}

impl WatchInterrupted<'_> {
    pub(super) fn emit(&self, metrics: &Metrics) {
        let &Self { kind, namespace, consecutive_errors, reported, error } = self;
        if reported {
            tracing::debug!(%kind, namespace, consecutive_errors, %error, "watch failed, restarting");
        } else {
            tracing::warn!(%kind, namespace, consecutive_errors, %error, "watch failed, restarting");
        }
        metrics.watch_errors.inc([kind.as_str()]);
    }
}

/// Awaits a reconcile and measures its duration, however it ends.
pub(super) async fn measure_reconcile<T>(
    metrics: &Metrics,
    kind: ResourceKind,
    reconcile: impl Future<Output = T>,
) -> T {
    let started = Instant::now();
    let output = reconcile.await;
    metrics.reconcile_duration.observe([kind.as_str()], started.elapsed());
    output
}

fn as_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
