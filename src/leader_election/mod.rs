//! Leadership: of all replicas, only the one that holds the Lease works. The rules are those of client-go.
//! Invariant: the work of one holder has ended before that of the next one can begin, whatever their wall clocks show.

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

pub use election::LeadershipLost;
use election::{Decision, RENEW_DEADLINE, acquired_spec, confirm_holder, decide, released_spec, renewed_spec};
use lease_client::{LeaseClient, LeaseError};

use crate::runtime::Clock;

/// How often a holder renews, and how often a candidate looks.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// Work that has not ended so long after the last renewal is aborted: two seconds before another's could begin.
const WORK_DEADLINE: Duration = Duration::from_secs(13);
/// A stop is not held up for longer: without a release, the next one waits until the Lease is over.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which Lease, and as whom.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    pub namespace: String,
    /// No other process may have the same at the same time.
    pub identity: String,
}

/// Where this process stands, for those who ask.
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

/// Waits for the Lease and runs `work` while this process holds it. The work is told to end when `stop` is cancelled or
/// leadership is lost. The Lease is released once the work has ended by itself. `standing` is told what changes.
///
/// `client` should have no other use: a renewal must not queue behind the work.
///
/// # Errors
/// Leadership was lost. The work has ended, in good order or not, and whoever calls should end the process.
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
    tracing::error!(reason = %lost, "leads no longer: the work ends, and the process with it");
    leader_token.cancel();
    let deadline = match lost {
        LeadershipLost::NotRenewed => leader.renewed_at + WORK_DEADLINE,
        // Another one may work already.
        LeadershipLost::Changed | LeadershipLost::HeldByOther(_) | LeadershipLost::Removed => Instant::now(),
    };
    if timeout_at(deadline, work).await.is_err() {
        tracing::warn!("the work did not end in time and was aborted");
    }
    Err(lost)
}

struct Candidate<'a> {
    lease_client: LeaseClient,
    /// The version of the Lease that was seen last, and since when.
    observed: Option<(Option<String>, Instant)>,
    last_event: Option<CandidateEvent>,
    leadership: &'a watch::Sender<Leadership>,
}

/// What a candidate tells when it changes, not whenever it looks.
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
    /// `None`: stopped before.
    async fn acquire(mut self, stop: &CancellationToken) -> Option<Leader> {
        while !stop.is_cancelled() {
            let delay = match self.try_acquire().await {
                Ok(AcquireAttempt::Elected(leader)) => {
                    tracing::info!(
                        identity = leader.lease_client.identity,
                        namespace = leader.lease_client.namespace,
                        "leads"
                    );
                    return Some(*leader);
                }
                Ok(AcquireAttempt::Waiting { holder, remaining: rest }) => {
                    self.report_event(CandidateEvent::Waiting { holder });
                    rest.min(RETRY_PERIOD)
                }
                // Somebody was faster; the next look tells who.
                Err(LeaseError::Conflict) => RETRY_PERIOD,
                Err(LeaseError::OutcomeUnknown(error)) => {
                    self.report_event(CandidateEvent::LeaseUnavailable(error));
                    RETRY_PERIOD
                }
            };
            // An attempt is never dropped: it may have been elected.
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
                let (sent, spec) =
                    (Instant::now(), acquired_spec(&self.lease_client.identity, old, self.lease_client.clock.now()));
                let lease = self.lease_client.write_lease(lease, spec).await?;
                let leader = Leader { lease_client: self.lease_client.clone(), lease: Some(lease), renewed_at: sent };
                Ok(AcquireAttempt::Elected(Box::new(leader)))
            }
            Decision::Wait { holder, remaining: rest } => Ok(AcquireAttempt::Waiting { holder, remaining: rest }),
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
            CandidateEvent::Waiting { holder } => tracing::info!(holder, "waits: {holder} holds the Lease"),
            CandidateEvent::LeaseUnavailable(error) => {
                let namespace = &self.lease_client.namespace;
                tracing::warn!(namespace, error, "the Lease cannot be read or written; no work before it is");
            }
        }
        self.last_event = Some(event);
    }
}

struct Leader {
    lease_client: LeaseClient,
    /// As it was written last; `None` while nobody knows whether a write was applied.
    lease: Option<Lease>,
    /// When the last write that succeeded was sent. No candidate saw it earlier, so none counts from earlier.
    renewed_at: Instant,
}

enum LeaseUpdateError {
    Lost(LeadershipLost),
    OutcomeUnknown(String),
}

impl Leader {
    /// Renews the Lease until it is lost.
    async fn renew_until_lost(&mut self) -> LeadershipLost {
        let mut ticks = interval_at(self.renewed_at + RETRY_PERIOD, RETRY_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.renewed_at + RENEW_DEADLINE;
            let renewal = async {
                ticks.tick().await;
                self.update_lease(renewed_spec).await
            };
            match timeout_at(deadline, renewal).await {
                Ok(Ok(())) => {}
                Ok(Err(LeaseUpdateError::Lost(lost))) => return lost,
                Ok(Err(LeaseUpdateError::OutcomeUnknown(error))) => {
                    tracing::warn!(error, "the Lease was not renewed, and is tried again")
                }
                Err(_) => return LeadershipLost::NotRenewed,
            }
        }
    }

    /// Lets the next one begin at once.
    async fn release_lease(mut self) {
        let releasing = async {
            // A renewal that was under way may get in between once.
            match self.update_lease(released_spec).await {
                Ok(()) => Ok(()),
                Err(LeaseUpdateError::Lost(_) | LeaseUpdateError::OutcomeUnknown(_)) => {
                    self.update_lease(released_spec).await
                }
            }
        };
        let problem = match timeout(RELEASE_TIMEOUT, releasing).await {
            Ok(Ok(())) => return tracing::info!("has released the Lease"),
            Ok(Err(LeaseUpdateError::Lost(lost))) => lost.to_string(),
            Ok(Err(LeaseUpdateError::OutcomeUnknown(error))) => error,
            Err(_) => format!("not done within {} s", RELEASE_TIMEOUT.as_secs()),
        };
        tracing::warn!(error = problem, "the Lease was not released");
    }

    async fn update_lease(&mut self, change: fn(LeaseSpec, Timestamp) -> LeaseSpec) -> Result<(), LeaseUpdateError> {
        let current = match self.lease.take() {
            Some(lease) => Some(lease),
            None => self.lease_client.get_lease().await.map_err(LeaseUpdateError::from_lease_error)?,
        };
        let spec = current.as_ref().and_then(|l| l.spec.clone());
        confirm_holder(&self.lease_client.identity, spec.as_ref()).map_err(LeaseUpdateError::Lost)?;
        let (sent, spec) = (Instant::now(), change(spec.unwrap_or_default(), self.lease_client.clock.now()));
        self.lease =
            Some(self.lease_client.write_lease(current, spec).await.map_err(LeaseUpdateError::from_lease_error)?);
        self.renewed_at = sent;
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
