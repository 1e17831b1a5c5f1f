//! Leadership: of all replicas, only the one that holds the Lease works. The rules are those of client-go.
//! Invariant: the work of one holder has ended before that of the next one can begin, whatever their wall clocks show.

mod decide;
mod lock;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub use decide::Lost;
use decide::{Decision, RENEW_DEADLINE, acquired, confirm, decide, released, renewed};
use lock::{Lock, Trouble};

use super::Clock;

/// How often a holder renews, and how often a candidate looks.
const RETRY: Duration = Duration::from_secs(2);
/// Work that has not ended so long after the last renewal is aborted: two seconds before another's could begin.
const WORK_ENDS: Duration = Duration::from_secs(13);
/// A stop is not held up for longer: without a release, the next one waits until the Lease is over.
const RELEASE: Duration = Duration::from_secs(5);

/// Which Lease, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    pub namespace: String,
    /// No other process may have the same at the same time.
    pub identity: String,
}

/// Where this process stands, for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Unknown,
    StandsBy {
        holder: String,
    },
    Leads,
    Lost,
}

/// Waits for the Lease and runs `work` while this process holds it. The work is told to end when `stop` is cancelled or
/// leadership is lost. The Lease is released once the work has ended by itself. `standing` is told what changes.
///
/// `client` should have no other use: a renewal must not queue behind the work.
///
/// # Errors
/// Leadership was lost. The work has ended, in good order or not, and whoever calls should end the process.
pub async fn lead<W>(
    client: Client,
    settings: Settings,
    clock: Clock,
    stop: CancellationToken,
    standing: watch::Sender<Standing>,
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<(), Lost>
where
    W: Future<Output = ()>,
{
    let candidate = Candidate { lock: Lock::new(client, settings, clock), seen: None, told: None, standing: &standing };
    let Some(mut leader) = candidate.elected(&stop).await else { return Ok(()) };
    standing.send_replace(Standing::Leads);
    let leading = stop.child_token();
    let mut work = Box::pin(work(leading.clone()));
    let lost = tokio::select! {
        biased;
        lost = leader.keep() => lost,
        () = &mut work => {
            standing.send_replace(Standing::Unknown);
            leader.release().await;
            return Ok(());
        }
    };
    standing.send_replace(Standing::Lost);
    tracing::error!(reason = %lost, "leads no longer: the work ends, and the process with it");
    leading.cancel();
    let end = match lost {
        Lost::NotRenewed => leader.renewed + WORK_ENDS,
        // Another one may work already.
        Lost::Changed | Lost::Taken(_) | Lost::Removed => Instant::now(),
    };
    if timeout_at(end, work).await.is_err() {
        tracing::warn!("the work did not end in time and was aborted");
    }
    Err(lost)
}

struct Candidate<'a> {
    lock: Lock,
    /// The version of the Lease that was seen last, and since when.
    seen: Option<(Option<String>, Instant)>,
    told: Option<News>,
    standing: &'a watch::Sender<Standing>,
}

/// What a candidate tells when it changes, not whenever it looks.
#[derive(PartialEq, Eq)]
enum News {
    Waits { holder: String },
    Trouble(String),
}

enum Attempt {
    Elected(Box<Leader>),
    Waits { holder: String, rest: Duration },
}

impl Candidate<'_> {
    /// `None`: stopped before.
    async fn elected(mut self, stop: &CancellationToken) -> Option<Leader> {
        while !stop.is_cancelled() {
            let pause = match self.attempt().await {
                Ok(Attempt::Elected(leader)) => {
                    tracing::info!(identity = leader.lock.me, namespace = leader.lock.namespace, "leads");
                    return Some(*leader);
                }
                Ok(Attempt::Waits { holder, rest }) => {
                    self.tell(News::Waits { holder });
                    rest.min(RETRY)
                }
                // Somebody was faster; the next look tells who.
                Err(Trouble::Changed) => RETRY,
                Err(Trouble::Unclear(error)) => {
                    self.tell(News::Trouble(error));
                    RETRY
                }
            };
            // An attempt is never dropped: it may have been elected.
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        None
    }

    async fn attempt(&mut self) -> Result<Attempt, Trouble> {
        let lease = self.lock.read().await?;
        let unchanged = self.unchanged(lease.as_ref());
        let old = lease.as_ref().and_then(|l| l.spec.as_ref());
        match decide(&self.lock.me, old, unchanged) {
            Decision::Acquire => {
                let (sent, spec) = (Instant::now(), acquired(&self.lock.me, old, self.lock.clock.now()));
                let lease = self.lock.write(lease, spec).await?;
                let leader = Leader { lock: self.lock.clone(), lease: Some(lease), renewed: sent };
                Ok(Attempt::Elected(Box::new(leader)))
            }
            Decision::Wait { holder, rest } => Ok(Attempt::Waits { holder, rest }),
        }
    }

    fn unchanged(&mut self, lease: Option<&Lease>) -> Duration {
        let version = lease.and_then(|l| l.metadata.resource_version.clone());
        match &self.seen {
            Some((seen, since)) if *seen == version => since.elapsed(),
            Some(_) | None => {
                self.seen = Some((version, Instant::now()));
                Duration::ZERO
            }
        }
    }

    fn tell(&mut self, news: News) {
        if self.told.as_ref() == Some(&news) {
            return;
        }
        self.standing.send_replace(match &news {
            News::Waits { holder } => Standing::StandsBy { holder: holder.clone() },
            News::Trouble(_) => Standing::Unknown,
        });
        match &news {
            News::Waits { holder } => tracing::info!(holder, "waits: {holder} holds the Lease"),
            News::Trouble(error) => {
                let namespace = &self.lock.namespace;
                tracing::warn!(namespace, error, "the Lease cannot be read or written; no work before it is");
            }
        }
        self.told = Some(news);
    }
}

struct Leader {
    lock: Lock,
    /// As it was written last; `None` while nobody knows whether a write was applied.
    lease: Option<Lease>,
    /// When the last write that succeeded was sent. No candidate saw it earlier, so none counts from earlier.
    renewed: Instant,
}

enum Failed {
    Lost(Lost),
    Unclear(String),
}

impl Leader {
    /// Renews the Lease until it is lost.
    async fn keep(&mut self) -> Lost {
        let mut turns = interval_at(self.renewed + RETRY, RETRY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.renewed + RENEW_DEADLINE;
            let renewal = async {
                turns.tick().await;
                self.write(renewed).await
            };
            match timeout_at(deadline, renewal).await {
                Ok(Ok(())) => {}
                Ok(Err(Failed::Lost(lost))) => return lost,
                Ok(Err(Failed::Unclear(error))) => {
                    tracing::warn!(error, "the Lease was not renewed, and is tried again")
                }
                Err(_) => return Lost::NotRenewed,
            }
        }
    }

    /// Lets the next one begin at once.
    async fn release(mut self) {
        let given_back = async {
            // A renewal that was under way may get in between once.
            match self.write(released).await {
                Ok(()) => Ok(()),
                Err(Failed::Lost(_) | Failed::Unclear(_)) => self.write(released).await,
            }
        };
        let problem = match timeout(RELEASE, given_back).await {
            Ok(Ok(())) => return tracing::info!("has released the Lease"),
            Ok(Err(Failed::Lost(lost))) => lost.to_string(),
            Ok(Err(Failed::Unclear(error))) => error,
            Err(_) => format!("not done within {} s", RELEASE.as_secs()),
        };
        tracing::warn!(error = problem, "the Lease was not released");
    }

    async fn write(&mut self, change: fn(LeaseSpec, Timestamp) -> LeaseSpec) -> Result<(), Failed> {
        let known = match self.lease.take() {
            Some(lease) => Some(lease),
            None => self.lock.read().await.map_err(Failed::of)?,
        };
        let spec = known.as_ref().and_then(|l| l.spec.clone());
        confirm(&self.lock.me, spec.as_ref()).map_err(Failed::Lost)?;
        let (sent, spec) = (Instant::now(), change(spec.unwrap_or_default(), self.lock.clock.now()));
        self.lease = Some(self.lock.write(known, spec).await.map_err(Failed::of)?);
        self.renewed = sent;
        Ok(())
    }
}

impl Failed {
    fn of(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Changed => Self::Lost(Lost::Changed),
            Trouble::Unclear(error) => Self::Unclear(error),
        }
    }
}
