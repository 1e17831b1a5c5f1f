//! What happens while the controllers work, one struct a happening: its log line and its metric stand together.

use std::{fmt, time::Duration};

use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    cluster::Trouble,
    failure::Failure,
    memory::named,
    report::{Attempted, Synced},
};
use crate::{
    api::{BoxConnection, Conditions, Phase, Reason, State, UserSyncRequest},
    boxapi::Call,
    metrics::Metrics,
};

/// What is reconciled, and what is watched for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Connections,
    Requests,
    Rosters,
}

impl Kind {
    /// Whatever is watched.
    pub const WATCHED: [Self; 3] = [Self::Connections, Self::Requests, Self::Rosters];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "boxconnections",
            Self::Requests => "usersyncrequests",
            Self::Rosters => "userrosters",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call to Box for this connection has ended.
pub(super) struct BoxCalled<'a> {
    pub(super) connection: &'a str,
    pub(super) call: &'a Call,
}

impl BoxCalled<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        let &Self { connection, call: Call { endpoint, outcome, took, told_wait } } = self;
        let (endpoint, code, milliseconds) = (endpoint.as_str(), outcome.as_str(), milliseconds(*took));
        tracing::debug!(connection, endpoint, code, milliseconds, ?told_wait, "Box was asked");
        metrics.box_calls.add([endpoint, code]);
        metrics.box_call_duration.observe([endpoint], *took);
        if let Some(wait) = told_wait {
            metrics.box_told_wait.observe([endpoint], *wait);
        }
    }
}

/// A sync came to its end.
pub(super) struct SyncEnded<'a> {
    pub(super) connection: &'a BoxConnection,
    pub(super) attempted: &'a Attempted,
    pub(super) took: Duration,
}

impl SyncEnded<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        let connection = named(self.connection);
        let Attempted { trigger, calls, requests, result, .. } = self.attempted;
        let (trigger, requests, milliseconds) = (trigger.as_str(), requests.len(), milliseconds(self.took));
        let reason = match result {
            Ok(Synced { users, added, updated, removed, revision, held, approved: _, earlier: _ }) => {
                let (reason, users, held) = (Reason::Synced, users.total, held.as_ref().map_or(0, |h| h.removals));
                tracing::info!(
                    connection, %reason, trigger, milliseconds, calls, requests, users, added, updated, removed, held, revision,
                    "the list was fetched"
                );
                reason
            }
            Err(Failure { reason, what, .. }) => {
                tracing::warn!(connection, %reason, trigger, milliseconds, calls, requests, "{what}");
                *reason
            }
        };
        metrics.syncs.add([trigger, reason.as_str()]);
        metrics.sync_duration.observe([reason.as_str()], self.took);
    }
}

/// A request came to its end, whose event is written beside its status.
pub(super) struct RequestEnded<'a>(pub(super) &'a UserSyncRequest);

impl RequestEnded<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        let Some(status) = &self.0.status else { return };
        let (result, kind) = match status.phase {
            Phase::Pending | Phase::Running => return,
            Phase::Succeeded => ("Succeeded", "Complete"),
            Phase::Failed => ("Failed", "Failed"),
        };
        let told = status.conditions.is(kind, State::True);
        let reason = status.conditions.reason(kind).filter(|_| told).unwrap_or(Reason::Internal);
        let (request, connection) = (named(self.0), &self.0.spec.connection_ref.name);
        let connection = format!("{}/{connection}", self.0.namespace().unwrap_or_default());
        tracing::debug!(request, connection, result, %reason, "a request has ended");
        metrics.requests.add([result, reason.as_str()]);
    }
}

/// A reconcile failed, and comes again after a pause.
pub(super) struct ReconcileFailed<'a> {
    pub(super) kind: Kind,
    /// The object's namespace and name.
    pub(super) object: String,
    pub(super) trouble: &'a Trouble,
    pub(super) again: Duration,
}

impl ReconcileFailed<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        let &Self { kind, ref object, trouble, again } = self;
        let seconds = again.as_secs();
        match kind {
            Kind::Requests => tracing::warn!(request = object, %trouble, "a request was not seen to"),
            Kind::Connections | Kind::Rosters => {
                tracing::warn!(connection = object, %trouble, "looking again in {seconds} s");
            }
        }
        let error = match trouble {
            Trouble::NotFound => "NotFound",
            Trouble::NotServed => "NotServed",
            Trouble::Conflict => "Conflict",
            Trouble::Forbidden(_) => "Forbidden",
            Trouble::Refused { .. } => "Refused",
            Trouble::Unreachable(_) => "Unreachable",
        };
        metrics.reconcile_errors.add([kind.as_str(), error]);
    }
}

/// A reconcile of this connection panicked, which is its failure and nobody else's.
pub(super) struct ReconcilePanicked<'a>(pub(super) &'a BoxConnection);

impl ReconcilePanicked<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        tracing::error!(connection = named(self.0), reason = %Reason::Internal, "a reconcile panicked");
        metrics.reconcile_errors.add([Kind::Connections.as_str(), "Panic"]);
    }
}

/// A watch broke off, as often in a row, and begins again.
pub(super) struct WatchInterrupted<'a> {
    pub(super) kind: Kind,
    pub(super) in_a_row: u64,
    pub(super) error: &'a dyn std::error::Error,
}

impl WatchInterrupted<'_> {
    pub(super) fn tell(&self, metrics: &Metrics) {
        let &Self { kind, in_a_row, error } = self;
        tracing::warn!(%kind, in_a_row, %error, "the watch was interrupted and begins again");
        metrics.watch_errors.add([kind.as_str()]);
    }
}

/// Awaits a reconcile and takes its time, however it ends.
pub(super) async fn timed<T>(metrics: &Metrics, kind: Kind, reconcile: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let ended = reconcile.await;
    metrics.reconcile_duration.observe([kind.as_str()], begun.elapsed());
    ended
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
