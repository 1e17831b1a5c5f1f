//! One sync of one connection under supervision: it is told to stop when it is no longer wanted, and while it takes
//! long it is told how far it is.

use std::{panic::AssertUnwindSafe, sync::OnceLock, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    access::{self, Admitted, Barred, Proof, Refused},
    cluster::Trouble,
    context::Context,
    failure::Failure,
    happening::SyncEnded,
    memory::{Key, named},
    observe::Observed,
    progress::Objects,
    report::{Access, Attempted, Synced},
    requester::requesters,
};
use crate::{
    api::{App, Change, CurrentSync, Progress, RequestRef, Trigger, UserSyncRequest},
    roster::{Order, standing},
    sync,
};

/// A run that is shorter writes its status once, at its end.
const FIRST_PROGRESS: Duration = Duration::from_secs(5);
const NEXT_PROGRESS: Duration = Duration::from_secs(10);
/// How often a run asks whether it is still wanted.
const REVIEW: Duration = Duration::from_secs(1);
/// How long a page in flight may take once the run is to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What is to be run, as the plan on the confirmed objects has it.
pub(super) struct Job {
    pub(super) observed: Observed,
    pub(super) trigger: Trigger,
    /// Names of the requests that it answers.
    pub(super) answers: Vec<String>,
    pub(super) annotation: Option<String>,
}

impl Job {
    /// The requests that it answers.
    pub(super) fn requests(&self) -> impl Iterator<Item = &UserSyncRequest> {
        self.observed.requests.iter().map(AsRef::as_ref).filter(|r| self.answers.contains(&r.name_any()))
    }

    /// Who asked for it.
    fn requested_by(&self) -> Vec<String> {
        let connection = self.annotation.is_some().then_some(&self.observed.connection.metadata);
        requesters(self.requests().map(|r| &r.metadata).chain(connection))
    }
}

/// How a run ended.
pub(super) enum Ended {
    Attempted {
        attempted: Box<Attempted>,
        passed_over: Option<Failure>,
    },
    /// It was told to stop; nothing came of it.
    Stopped(Stopped),
    /// The API server could not be asked for the Secret; nothing is known, and it is nobody's failure.
    Trouble(Trouble),
}

/// Why a run is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Deleted,
    Replaced,
    Suspended,
    AuthChanged,
    ShuttingDown,
}

/// What the work itself brings.
struct Work {
    app: Option<App>,
    access: Option<Access>,
    calls: u32,
    passed_over: Option<Failure>,
    result: Result<Synced, Failure>,
}

/// Runs a sync. Returns how it ended, and the objects that it speaks of as they were last known.
pub(super) async fn run(context: &Context, job: Job) -> (Ended, Objects) {
    let mut objects = Objects::of(&job);
    let ended = supervised(context, job, &mut objects).await;
    (ended, objects)
}

async fn supervised(context: &Context, job: Job, objects: &mut Objects) -> Ended {
    let (start, begun) = (context.now(), Instant::now());
    let stop = context.stop.child_token();
    let (progress, seen) = watch::channel(Progress::default());
    let admitted = OnceLock::new();
    let connection = job.observed.connection.clone();
    context.recall(&connection, |memory| memory.running = Some(job.answers.clone()));
    let worked = {
        let work = AssertUnwindSafe(Box::pin(work(context, &job, start, &stop, &admitted, &progress))).catch_unwind();
        let supervision = supervise(context, &job, start, &stop, &admitted, seen, objects);
        tokio::select! {
            worked = work => match worked {
                Ok(worked) => worked,
                Err(_) => Ok(Work { app: None, access: None, calls: 0, passed_over: None, result: Err(Failure::panicked()) }),
            },
            why = supervision => Err(Interrupted::Stopped(why)),
        }
    };
    context.recall(&connection, |memory| memory.running = None);
    let Work { app, access, calls, passed_over, result } = match worked {
        Ok(work) => work,
        Err(Interrupted::Stopped(why)) => return Ended::Stopped(why),
        Err(Interrupted::Waiting) => return Ended::Stopped(unwanted(context, &job).unwrap_or(Stopped::ShuttingDown)),
        Err(Interrupted::Trouble(trouble)) => return Ended::Trouble(trouble),
    };
    let attempted = Attempted {
        trigger: job.trigger,
        start,
        end: context.now(),
        calls,
        requested_by: job.requested_by(),
        requests: job.answers,
        annotation: job.annotation,
        generation: connection.metadata.generation,
        app,
        access,
        result,
    };
    SyncEnded { connection: &connection, attempted: &attempted, took: begun.elapsed() }.tell(&context.metrics);
    Ended::Attempted { attempted: Box::new(attempted), passed_over }
}

enum Interrupted {
    Stopped(Stopped),
    /// A wait ended because the run is to stop.
    Waiting,
    Trouble(Trouble),
}

async fn work(
    context: &Context,
    job: &Job,
    start: Timestamp,
    stop: &CancellationToken,
    admitted: &OnceLock<Access>,
    progress: &watch::Sender<Progress>,
) -> Result<Work, Interrupted> {
    let connection = &job.observed.connection;
    let proof = if job.observed.disconnected() { Proof::Credentials } else { Proof::Token };
    let Admitted { visit, access, names, passed_over, calls_before } =
        match access::enter(context, connection, proof, stop).await {
            Ok(admitted) => admitted,
            Err(Barred::Failed(Refused { failure, app, calls })) => {
                return Ok(Work { app, access: None, calls, passed_over: None, result: Err(failure) });
            }
            Err(Barred::Trouble(trouble)) => return Err(Interrupted::Trouble(trouble)),
            Err(Barred::Stopped) => return Err(Interrupted::Waiting),
        };
    let access = admitted.get_or_init(|| access).clone();
    let done = |calls, result| Work { app: None, access: Some(access), calls, passed_over, result };
    let uid = connection.uid().unwrap_or_default();
    if let Some(Err(conflict)) = job.observed.roster.as_ref().map(|r| standing(r, &uid, &connection.spec.enterprise_id))
    {
        return Ok(done(calls_before + visit.calls(), Err(Failure::conflict(&names, &conflict))));
    }
    let calls = || calls_before + visit.calls();
    let order = || {
        // The listing has ended; what follows is the cluster's time.
        context.recall(connection, |memory| memory.listed_at = Some(Instant::now()));
        order(job, &uid, start, calls())
    };
    let now = || context.now();
    let synced = sync::run(&visit, context.box_side.caps, progress, &context.store(connection), order, now).await;
    context.recall(connection, |memory| {
        memory.listed_at = Some(Instant::now());
        memory.probed(context.rules.probe_interval);
    });
    let result = match synced {
        Ok(published) => {
            context.recall(connection, |memory| {
                memory.published = true;
                memory.unnamed(published.unnamed);
            });
            let roster = &published.roster;
            let synced = if published.revised { Synced::published(roster) } else { Synced::unchanged(roster) };
            Ok(Synced { approved: published.approved, ..synced })
        }
        Err(sync::Error::Box(error)) => Err(Failure::of_box(&names, &error).ok_or(Interrupted::Waiting)?),
        Err(sync::Error::Roster(error)) => {
            tracing::warn!(connection = named(connection.as_ref()), %error, "the list was not published");
            Err(Failure::of_roster(&names, &error))
        }
    };
    Ok(done(calls(), result))
}

/// What this run wants published, and why.
fn order<'a>(job: &'a Job, uid: &'a str, start: Timestamp, calls: u32) -> Order<'a> {
    let connection = &job.observed.connection;
    let status = job.observed.status();
    Order {
        owner: uid,
        enterprise_id: &connection.spec.enterprise_id,
        retention: connection.spec.history_retention.length(),
        max_removal_percent: connection.spec.max_removal_percent,
        approve: job.requests().find_map(|r| r.spec.approve_removals.as_deref()),
        known: status.roster_ref.as_ref().map(|r| (r.revision, status.users.map_or(0, |u| u.total))),
        change: Change {
            trigger: job.trigger,
            start_time: Time(start),
            added: 0,
            updated: 0,
            removed: 0,
            calls: calls.into(),
            requests: job
                .requests()
                .map(|r| RequestRef { name: r.name_any(), uid: r.uid().unwrap_or_default() })
                .collect(),
            requested_at: job.annotation.clone(),
            requested_by: job.requested_by(),
            approved: None,
        },
    }
}

/// Returns when the run has to end, after the grace for a page in flight.
async fn supervise(
    context: &Context,
    job: &Job,
    start: Timestamp,
    stop: &CancellationToken,
    admitted: &OnceLock<Access>,
    progress: watch::Receiver<Progress>,
    objects: &mut Objects,
) -> Stopped {
    let mut due = Instant::now() + FIRST_PROGRESS;
    let mut review = tokio::time::interval(REVIEW);
    loop {
        tokio::select! {
            _ = review.tick() => {}
            () = stop.cancelled() => {}
        }
        if let Some(why) = unwanted(context, job) {
            stop.cancel();
            tokio::time::sleep(GRACE).await;
            return why;
        }
        // Until Box has let us in there is no sync to tell of.
        if let Some(access) = admitted.get().filter(|_| Instant::now() >= due) {
            let Progress { pages, users } = *progress.borrow();
            let current = CurrentSync { trigger: job.trigger, start_time: Time(start), pages, users };
            objects.tell(context, &current, access).await;
            due = Instant::now() + NEXT_PROGRESS;
        }
    }
}

/// Why the run is no longer wanted, as the watch knows it. A watch that lags behind the confirmed object says nothing.
fn unwanted(context: &Context, job: &Job) -> Option<Stopped> {
    if context.stop.is_cancelled() {
        return Some(Stopped::ShuttingDown);
    }
    let confirmed = &job.observed.connection;
    let Some(known) = context.known_connection(&Key::from(confirmed.as_ref())) else { return Some(Stopped::Deleted) };
    if known.uid() != confirmed.uid() {
        return (known.creation_timestamp() >= confirmed.creation_timestamp()).then_some(Stopped::Replaced);
    }
    if known.metadata.deletion_timestamp.is_some() {
        return Some(Stopped::Deleted);
    }
    if known.metadata.generation <= confirmed.metadata.generation {
        return None;
    }
    if known.spec.suspend {
        return Some(Stopped::Suspended);
    }
    (known.spec.auth != confirmed.spec.auth).then_some(Stopped::AuthChanged)
}
