//! leader_election — runs the controllers only in the replica that holds the Lease, by the rules of client-go.
//!
//! `election` decides on values, `lease_client` reads and writes the Lease.
//!
//! Invariant: the work of one leader has ended before the next leader can start, whatever their wall clocks show.

mod election;
mod lease_client;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use election::{Decision, acquired_spec, confirm_holder, decide, released_spec, renewed_spec};
pub use election::{ElectionTiming, InvalidTiming, LeadershipLost};
pub use lease_client::LEASE_NAME;
use lease_client::{LeaseClient, LeaseError};

use crate::runtime::Clock;

/// Limits how long a shutdown waits for the release. Without a release, the next leader waits until the Lease expires.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Must be unique among the running processes.
    pub identity: String,
    pub timing: ElectionTiming,
}

/// The leadership of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Leadership {
    #[default]
    Unknown,
    Standby {
        holder: String,
    },
    Leader,
    Lost,
}

/// Acquires the Lease and runs `work` while this process holds it. The token passed to `work` is canceled when `stop` is
/// canceled or leadership is lost. The Lease is released when the work returns. Changes are sent to `leadership`.
///
/// `client` must not be shared: a renewal must not queue behind the requests of the work.
///
/// # Errors
/// Leadership was lost. The work has ended or was aborted, and the caller should exit the process.
pub async fn run_as_leader<W>(
    client: Client,
    config: ElectionConfig,
    clock: Clock,
    stop: CancellationToken,
    leadership: watch::Sender<Leadership>,
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<(), LeadershipLost>
where
    W: Future<Output = ()>,
{
    let candidate = Candidate {
        lease_client: LeaseClient::new(client, config, clock),
        observed: None,
        last_event: None,
        leadership: &leadership,
    };
    let Some(mut leader) = candidate.acquire(&stop).await else { return Ok(()) };
    leadership.send_replace(Leadership::Leader);
    let leader_token = stop.child_token();
    let mut work = Box::pin(work(leader_token.clone()));
    let lost = tokio::select! {
        biased;
        lost = leader.renew_until_lost() => lost,
        () = &mut work => {
            leadership.send_replace(Leadership::Unknown);
            leader.release_lease().await;
            return Ok(());
        }
    };
    leadership.send_replace(Leadership::Lost);
    tracing::error!(reason = %lost, "lost leadership, stopping");
    leader_token.cancel();
    let deadline = match lost {
        LeadershipLost::NotRenewed(_) => leader.renewed_at + leader.lease_client.timing.work_deadline(),
        // Another replica may be leader already.
        LeadershipLost::Changed | LeadershipLost::HeldByOther(_) | LeadershipLost::Removed => Instant::now(),
    };
    if timeout_at(deadline, work).await.is_err() {
        tracing::warn!("controllers did not stop in time, aborted");
    }
    Err(lost)
}

struct Candidate<'a> {
    lease_client: LeaseClient,
    /// The last observed version of the Lease, and when it was first observed.
    observed: Option<(Option<String>, Instant)>,
    last_event: Option<CandidateEvent>,
    leadership: &'a watch::Sender<Leadership>,
}

/// What a candidate reports, once per change.
#[derive(PartialEq, Eq)]
enum CandidateEvent {
    Waiting { holder: String },
    LeaseUnavailable(String),
}

enum AcquireAttempt {
    Elected(Box<Leader>),
    Waiting { holder: String, remaining: Duration },
}

impl Candidate<'_> {
    /// Returns `None` if `stop` is canceled first.
    async fn acquire(mut self, stop: &CancellationToken) -> Option<Leader> {
        let ElectionTiming { retry_period, .. } = self.lease_client.timing;
        while !stop.is_cancelled() {
            let delay = match self.try_acquire().await {
                Ok(AcquireAttempt::Elected(leader)) => {
                    tracing::info!(
                        identity = leader.lease_client.identity,
                        namespace = leader.lease_client.namespace,
                        "became leader"
                    );
                    return Some(*leader);
                }
                Ok(AcquireAttempt::Waiting { holder, remaining }) => {
                    self.report_event(CandidateEvent::Waiting { holder });
                    remaining.min(retry_period)
                }
                // Another replica was faster; the next attempt reads which one.
                Err(LeaseError::Conflict) => retry_period,
                Err(LeaseError::OutcomeUnknown(error)) => {
                    self.report_event(CandidateEvent::LeaseUnavailable(error));
                    retry_period
                }
            };
            // An attempt is never canceled: it may already have acquired the Lease.
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(delay) => {}
            }
        }
        None
    }

    async fn try_acquire(&mut self) -> Result<AcquireAttempt, LeaseError> {
        let lease = self.lease_client.get_lease().await?;
        let unchanged = self.unchanged_for(lease.as_ref());
        let old = lease.as_ref().and_then(|l| l.spec.as_ref());
        match decide(&self.lease_client.identity, old, unchanged) {
            Decision::Acquire => {
                let renewed_at = Instant::now();
                let LeaseClient { identity, timing, clock, .. } = &self.lease_client;
                let spec = acquired_spec(identity, old, timing.lease_duration, clock.now());
                let lease = self.lease_client.write_lease(lease, spec).await?;
                let leader = Leader { lease_client: self.lease_client.clone(), lease: Some(lease), renewed_at };
                Ok(AcquireAttempt::Elected(Box::new(leader)))
            }
            Decision::Wait { holder, remaining } => Ok(AcquireAttempt::Waiting { holder, remaining }),
        }
    }

    fn unchanged_for(&mut self, lease: Option<&Lease>) -> Duration {
        let version = lease.and_then(|l| l.metadata.resource_version.clone());
        match &self.observed {
            Some((observed, since)) if *observed == version => since.elapsed(),
            Some(_) | None => {
                self.observed = Some((version, Instant::now()));
                Duration::ZERO
            }
        }
    }

    fn report_event(&mut self, event: CandidateEvent) {
        if self.last_event.as_ref() == Some(&event) {
            return;
        }
        self.leadership.send_replace(match &event {
            CandidateEvent::Waiting { holder } => Leadership::Standby { holder: holder.clone() },
            CandidateEvent::LeaseUnavailable(_) => Leadership::Unknown,
        });
        match &event {
            CandidateEvent::Waiting { holder } => tracing::info!(holder, "standby"),
            CandidateEvent::LeaseUnavailable(error) => {
                let namespace = &self.lease_client.namespace;
                tracing::warn!(namespace, error, "cannot read or write the Lease, retrying");
            }
        }
        self.last_event = Some(event);
    }
}

struct Leader {
    lease_client: LeaseClient,
    /// As last written; `None` if the outcome of the last write is unknown.
    lease: Option<Lease>,
    /// When the last successful write was sent. No candidate can have observed that write earlier.
    renewed_at: Instant,
}

enum LeaseUpdateError {
    Lost(LeadershipLost),
    OutcomeUnknown(String),
}

impl Leader {
    /// Renews the Lease until leadership is lost.
    async fn renew_until_lost(&mut self) -> LeadershipLost {
        let ElectionTiming { renew_deadline, retry_period, .. } = self.lease_client.timing;
        let mut ticks = interval_at(self.renewed_at + retry_period, retry_period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.renewed_at + renew_deadline;
            let renewal = async {
                ticks.tick().await;
                self.update_lease(renewed_spec).await
            };
            match timeout_at(deadline, renewal).await {
                Ok(Ok(())) => {}
                Ok(Err(LeaseUpdateError::Lost(lost))) => return lost,
                Ok(Err(LeaseUpdateError::OutcomeUnknown(error))) => {
                    tracing::warn!(error, "renewing the Lease failed, retrying")
                }
                Err(_) => return LeadershipLost::NotRenewed(renew_deadline),
            }
        }
    }

    /// Clears the holder so that the next leader can start immediately.
    async fn release_lease(mut self) {
        let releasing = async {
            // The canceled renewal may have been applied and conflict once.
            match self.update_lease(released_spec).await {
                Ok(()) => Ok(()),
                Err(LeaseUpdateError::Lost(_) | LeaseUpdateError::OutcomeUnknown(_)) => {
                    self.update_lease(released_spec).await
                }
            }
        };
        let problem = match timeout(RELEASE_TIMEOUT, releasing).await {
            Ok(Ok(())) => return tracing::info!("released the Lease"),
            Ok(Err(LeaseUpdateError::Lost(lost))) => lost.to_string(),
            Ok(Err(LeaseUpdateError::OutcomeUnknown(error))) => error,
            Err(_) => format!("timed out after {} s", RELEASE_TIMEOUT.as_secs()),
        };
        tracing::warn!(error = problem, "releasing the Lease failed");
    }

    async fn update_lease(&mut self, change: fn(LeaseSpec, Timestamp) -> LeaseSpec) -> Result<(), LeaseUpdateError> {
        let current = match self.lease.take() {
            Some(lease) => Some(lease),
            None => self.lease_client.get_lease().await.map_err(LeaseUpdateError::from_lease_error)?,
        };
        let spec = current.as_ref().and_then(|l| l.spec.clone());
        confirm_holder(&self.lease_client.identity, spec.as_ref()).map_err(LeaseUpdateError::Lost)?;
        let sent_at = Instant::now();
        let spec = change(spec.unwrap_or_default(), self.lease_client.clock.now());
        self.lease =
            Some(self.lease_client.write_lease(current, spec).await.map_err(LeaseUpdateError::from_lease_error)?);
        self.renewed_at = sent_at;
        Ok(())
    }
}

impl LeaseUpdateError {
    fn from_lease_error(error: LeaseError) -> Self {
        match error {
            LeaseError::Conflict => Self::Lost(LeadershipLost::Changed),
            LeaseError::OutcomeUnknown(error) => Self::OutcomeUnknown(error),
        }
    }
}
