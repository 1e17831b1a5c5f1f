//! One sync of one connection under supervision: it is told to stop when it is no longer wanted, and while it takes
//! long the status tells how far it is.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, core::object::HasStatus};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    access::{self, Admitted, Barred, Proof, Refused},
    answer,
    cluster::{Told, Trouble},
    context::Context,
    failure::Failure,
    memory::Key,
    observe::Observed,
    report::{Access, Attempted, News, report},
};
use crate::{
    api::{App, BoxConnection, CurrentSync, Progress, Trigger, UserCounts, UserSyncRequest},
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
    result: Result<UserCounts, Failure>,
}

pub(super) async fn run(context: &Context, job: Job) -> Ended {
    let start = context.now();
    let stop = context.stop.child_token();
    let (progress, seen) = watch::channel(None);
    let connection = job.observed.connection.clone();
    context.recall(&connection, |memory| memory.running = Some(job.answers.clone()));
    let worked = {
        let work = AssertUnwindSafe(work(context, &job, &stop, &progress)).catch_unwind();
        let supervision = supervise(context, &job, start, &stop, seen);
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
        requests: job.answers,
        annotation: job.annotation,
        generation: connection.metadata.generation,
        app,
        access,
        result,
    };
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
    stop: &CancellationToken,
    progress: &watch::Sender<Option<Progress>>,
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
    progress.send_replace(Some(Progress::default()));
    let listed = sync::run(&visit, context.box_side.caps, progress).await;
    context.recall(connection, |memory| {
        memory.listed_at = Some(Instant::now());
        memory.probed(context.rules.probe_interval);
    });
    let result = match listed {
        Ok(outcome) => Ok(outcome.users),
        Err(error) => Err(Failure::of_box(&names, &error).ok_or(Interrupted::Waiting)?),
    };
    Ok(Work { app: None, access: Some(access), calls: calls_before + visit.calls(), passed_over, result })
}

/// Returns when the run has to end, after the grace for a page in flight.
async fn supervise(
    context: &Context,
    job: &Job,
    start: Timestamp,
    stop: &CancellationToken,
    progress: watch::Receiver<Option<Progress>>,
) -> Stopped {
    let mut telling = Telling::new(job);
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
        let so_far = progress.borrow().filter(|_| Instant::now() >= due);
        if let Some(so_far) = so_far {
            telling.tell(context, job, start, so_far).await;
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

/// The objects as they were last written or read, for the next word on how far the run is.
struct Telling {
    connection: BoxConnection,
    requests: Vec<UserSyncRequest>,
}

impl Telling {
    fn new(job: &Job) -> Self {
        let answered = |r: &&Arc<UserSyncRequest>| job.answers.contains(&r.name_any());
        let requests = job.observed.requests.iter().filter(answered).map(|r| r.as_ref().clone()).collect();
        Self { connection: job.observed.connection.as_ref().clone(), requests }
    }

    /// Tells how far the run is. Where somebody else wrote meanwhile, it is told the next time.
    async fn tell(&mut self, context: &Context, job: &Job, start: Timestamp, progress: Progress) {
        let now = context.now();
        let current =
            CurrentSync { trigger: job.trigger, start_time: Time(start), pages: progress.pages, users: progress.users };
        let status = report(&self.connection, &News::Running(current), now);
        renew(context, &mut self.connection, status).await;
        for request in &mut self.requests {
            let status = answer::running(request, progress, start, now);
            renew(context, request, status).await;
        }
    }
}

async fn renew<K: Told>(context: &Context, object: &mut K, status: <K as HasStatus>::Status) {
    let written = match context.cluster.write(object, status).await {
        Err(Trouble::Conflict) => context.cluster.reread(object).await,
        written => written,
    };
    match written {
        Ok(fresh) => *object = fresh,
        Err(trouble) => tracing::warn!(object = object.name_any(), %trouble, "progress was not written"),
    }
}
