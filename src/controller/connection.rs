//! The reconcile of a connection: observe → plan → place, confirm, plan again → act → report.
//! It alone talks to Box and runs syncs; kube never runs it twice at a time for one object.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    access::{self, Barred, Proof},
    answer,
    cluster::Trouble,
    context::Context,
    events::{Action as Doing, Note, reference},
    failure::Failure,
    happening::{Kind, ReconcileFailed, ReconcilePanicked, timed},
    memory::{Key, named},
    observe::{Observed, status_of},
    places::Urgency,
    plan::{Plan, Step, plan, wait_until},
    progress::Objects,
    report::{Attempted, News, report},
    run::{Ended, Job, Stopped, run},
    tell,
};
use crate::{
    api::{AuthType, BoxConnection, Reason, Trigger, UserSyncRequest},
    roster::{self, Swept},
};

/// A look without any reason, in case something was missed.
const SAFETY_LOOK: Duration = Duration::from_secs(3600);
/// A look while waiting for a place, which wakes by itself: the list may become stale meanwhile.
const IN_LINE: Duration = Duration::from_secs(60);
/// The watch will have caught up with what was confirmed.
const AFTER_LAG: Duration = Duration::from_secs(1);
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

pub(super) async fn reconcile(connection: Arc<BoxConnection>, context: Arc<Context>) -> Result<Action, Trouble> {
    if connection.metadata.deletion_timestamp.is_some() {
        context.places.leave(&Key::from(connection.as_ref()));
        return Ok(Action::await_change());
    }
    let turn = AssertUnwindSafe(Box::pin(turn(&context, &connection))).catch_unwind();
    match timed(&context.metrics, Kind::Connections, turn).await {
        Ok(again) => again,
        Err(_) => Ok(panicked(&context, &connection).await),
    }
}

pub(super) fn after_trouble(connection: &BoxConnection, trouble: &Trouble, context: &Context) -> Action {
    let (kind, object) = (Kind::Connections, named(connection));
    ReconcileFailed { kind, object, trouble, again: AFTER_TROUBLE }.tell(&context.metrics);
    Action::requeue(AFTER_TROUBLE)
}

async fn turn(context: &Context, connection: &Arc<BoxConnection>) -> Result<Action, Trouble> {
    let key = Key::from(connection.as_ref());
    let observed = context.observe(connection.clone());
    let mut first = decide(context, &observed);
    if first.step == Step::Look {
        if let Err(trouble) = access::look(context, connection).await {
            tracing::warn!(connection = named(connection.as_ref()), %trouble, "the Secret was not read");
        }
        first = decide(context, &context.observe(connection.clone()));
    }
    if first.step == Step::Sweep {
        sweep(context, connection).await?;
        first = decide(context, &context.observe(connection.clone()));
    }
    let place = match &first.step {
        Step::Report => None,
        Step::Wait(_) | Step::Look | Step::Sweep => {
            context.places.leave(&key);
            if first.refuse.is_empty() {
                settle(context, connection).await?;
                return Ok(again(context, &first.step));
            }
            None
        }
        Step::Probe | Step::Sync { .. } => {
            let urgency = if first.step.asked_for() { Urgency::Asked } else { Urgency::Scheduled };
            let place = context.places.take(&key, urgency);
            if place.is_none() && first.refuse.is_empty() {
                settle(context, connection).await?;
                return Ok(Action::requeue(IN_LINE));
            }
            place
        }
    };
    let Some(confirmed) = confirm(context, connection).await? else { return Ok(Action::await_change()) };
    let second = decide(context, &confirmed);
    refuse(context, &confirmed, &second.refuse).await;
    match second.step {
        Step::Report => {
            drop(place);
            tell_untold(context, &confirmed).await;
            Ok(Action::requeue(Duration::ZERO))
        }
        Step::Wait(_) | Step::Look | Step::Sweep => {
            drop(place);
            context.places.leave(&key);
            settle(context, &confirmed.connection).await?;
            Ok(again(context, &second.step))
        }
        // Turned away, and woken when a place is free; or not asked for one, since only the second plan wants it.
        Step::Probe | Step::Sync { .. } if place.is_none() => match first.step {
            Step::Wait(_) | Step::Look | Step::Report | Step::Sweep => Ok(Action::requeue(AFTER_LAG)),
            Step::Probe | Step::Sync { .. } => Ok(Action::requeue(IN_LINE)),
        },
        Step::Probe => {
            let probed = probe(context, &confirmed).await;
            drop(place);
            probed
        }
        Step::Sync { trigger, answers, annotation } => {
            let job = Job { observed: confirmed, trigger, answers, annotation };
            let (ended, objects) = Box::pin(run(context, job)).await;
            drop(place);
            finish(context, &objects, ended).await
        }
    }
}

fn decide(context: &Context, observed: &Observed) -> Plan {
    plan(observed, &context.rules, context.now())
}

fn again(context: &Context, step: &Step) -> Action {
    let wait = match step {
        Step::Wait(Some(until)) => wait_until(*until, context.now()).min(SAFETY_LOOK),
        Step::Wait(None) => SAFETY_LOOK,
        Step::Look | Step::Report | Step::Sweep | Step::Probe | Step::Sync { .. } => Duration::ZERO,
    };
    Action::requeue(wait)
}

/// The connection, its roster and its unfinished requests as they are, not as the watches last heard of them.
async fn confirm(context: &Context, connection: &BoxConnection) -> Result<Option<Observed>, Trouble> {
    let (namespace, name) = (connection.namespace().unwrap_or_default(), connection.name_any());
    let fresh = match context.cluster.read::<BoxConnection>(&namespace, &name).await {
        Ok(fresh) if fresh.metadata.deletion_timestamp.is_none() => Arc::new(fresh),
        Ok(_) | Err(Trouble::NotFound) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let requests = context.cluster.unfinished(&namespace, &name).await?;
    let roster = context.store(&fresh).roster().await?;
    context.recall(&fresh, |memory| memory.published = roster.is_some());
    Ok(Some(context.observed(fresh, roster.map(Arc::new), requests.into_iter().map(Arc::new).collect())))
}

/// Tells what a sync published whose process was ended before it could.
async fn tell_untold(context: &Context, confirmed: &Observed) {
    let Some(roster) = confirmed.untold() else { return };
    let attempted = Attempted::untold(&confirmed.connection, &roster.spec);
    tracing::info!(
        connection = named(confirmed.connection.as_ref()),
        revision = roster.spec.revision,
        "a revision is told whose publisher could not"
    );
    let news = News::Attempted(&attempted);
    let known =
        status_of(&confirmed.connection).roster_ref.as_ref().is_some_and(|r| r.revision >= roster.spec.revision);
    let written = if known {
        Some(confirmed.connection.as_ref().clone())
    } else {
        tell::connection(context, &confirmed.connection, &news).await
    };
    let Some(written) = written else { return };
    let named =
        |r: &&Arc<UserSyncRequest>| roster.spec.change.requests.iter().any(|a| r.uid().as_ref() == Some(&a.uid));
    let requests: Vec<UserSyncRequest> = confirmed.requests.iter().filter(named).map(|r| r.as_ref().clone()).collect();
    tell::answers(context, &requests, &attempted, &written).await;
}

/// Deletes the slices that nobody has named for a while.
async fn sweep(context: &Context, connection: &BoxConnection) -> Result<(), Trouble> {
    let due = context.recall(connection, |memory| memory.due_to_be_swept());
    let (uid, enterprise) = (connection.uid().unwrap_or_default(), &connection.spec.enterprise_id);
    let swept = roster::sweep(&context.store(connection), &uid, enterprise, |s| due.contains(s), context.now()).await;
    match swept {
        Ok(Swept { deleted, unnamed }) => {
            if deleted > 0 {
                tracing::info!(connection = named(connection), deleted, "slices that nobody names were deleted");
            }
            context.recall(connection, |memory| memory.unnamed(unnamed));
            Ok(())
        }
        // The list moved on: what nobody names now is seen anew.
        Err(Trouble::Conflict) => {
            context.recall(connection, |memory| memory.unnamed([]));
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

/// Brings the status up to date with the time and the spec. Where the object has changed meanwhile, the watch brings it
/// again.
async fn settle(context: &Context, connection: &BoxConnection) -> Result<(), Trouble> {
    let status = report(connection, context.list(connection), &News::Nothing, &context.rules, context.now());
    if connection.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let notes = super::events::of_connection(status_of(connection), &status, &News::Nothing);
    match context.cluster.write(connection, status).await {
        Ok(written) => {
            for note in notes {
                context.events.publish(&reference(&written), &note).await;
            }
            Ok(())
        }
        Err(Trouble::Conflict | Trouble::NotFound) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

async fn refuse(context: &Context, observed: &Observed, refusals: &[(String, Reason)]) {
    for (name, reason) in refusals {
        let Some(request) = observed.requests.iter().find(|r| r.name_any() == *name) else { continue };
        tracing::info!(connection = named(observed.connection.as_ref()), request = name, %reason, "a request is refused");
        tell::request(context, request, |r| answer::refused(r, *reason, Some(&observed.connection), context.now()))
            .await;
    }
}

async fn probe(context: &Context, observed: &Observed) -> Result<Action, Trouble> {
    let connection = &observed.connection;
    let stop = context.stop.child_token();
    // The tokens of a user are renewed by their use; to renew them more often proves no more.
    let proof = match connection.spec.auth.chosen() {
        Some((AuthType::Oauth2, _)) if !connection.spec.suspend => Proof::Token,
        Some((AuthType::Oauth2 | AuthType::ClientCredentials | AuthType::Jwt, _)) | None => Proof::Credentials,
    };
    let entered = access::enter(context, connection, proof, &stop).await;
    context.recall(connection, |memory| memory.probed(context.rules.probe_interval));
    let (result, passed_over) = match entered {
        Ok(admitted) => (Ok(admitted.access), admitted.passed_over),
        Err(Barred::Failed(refused)) => (Err(refused.failure), None),
        Err(Barred::Trouble(trouble)) => return Err(trouble),
        Err(Barred::Stopped) => return Ok(Action::requeue(AFTER_TROUBLE)),
    };
    if let Err(failure) = &result {
        tracing::warn!(connection = named(connection.as_ref()), reason = %failure.reason, "{}", failure.what);
    }
    let Some(written) = tell::connection(context, connection, &News::Probed(&result)).await else {
        return Ok(Action::await_change());
    };
    tell_passed_over(context, &written, passed_over).await;
    Ok(next_look(context, written))
}

/// When to look again at a connection as it was just written. Requests bring a look of their own.
fn next_look(context: &Context, written: BoxConnection) -> Action {
    let observed = Observed { requests: Vec::new(), ..context.observe(Arc::new(written)) };
    again(context, &decide(context, &observed).step)
}

async fn finish(context: &Context, objects: &Objects, ended: Ended) -> Result<Action, Trouble> {
    match ended {
        Ended::Attempted { attempted, passed_over } => {
            let news = News::Attempted(&attempted);
            let Some(written) = tell::connection(context, &objects.connection, &news).await else {
                return Ok(Action::await_change());
            };
            tell::answers(context, &objects.requests, &attempted, &written).await;
            tell_passed_over(context, &written, passed_over).await;
            Ok(next_look(context, written))
        }
        Ended::Stopped(why) => {
            tracing::info!(connection = named(&objects.connection), ?why, "a sync was stopped");
            match why {
                Stopped::Deleted | Stopped::Replaced | Stopped::ShuttingDown => Ok(Action::requeue(AFTER_TROUBLE)),
                Stopped::Suspended | Stopped::AuthChanged => {
                    tell::connection(context, &objects.connection, &News::Stopped).await;
                    Ok(Action::requeue(Duration::ZERO))
                }
            }
        }
        Ended::Trouble(trouble) => Err(trouble),
    }
}

/// One event for each version of the Secret that is no good while an older one still works.
async fn tell_passed_over(context: &Context, connection: &BoxConnection, passed_over: Option<Failure>) {
    let Some(failure) = passed_over else { return };
    let new = context.recall(connection, |memory| {
        let new = memory.refused != memory.tried;
        memory.refused.clone_from(&memory.tried);
        new
    });
    if new {
        let text = format!(
            "{} The credentials from before stay in use as long as their token lives. {}",
            failure.what, failure.remedy
        );
        tracing::warn!(connection = named(connection), reason = %failure.reason, "{text}");
        context
            .events
            .publish(&reference(connection), &Note { reason: failure.reason, text, action: Doing::Connect })
            .await;
    }
}

/// A panic is this connection's failure and nobody else's. While its retry is pending nothing is written again.
async fn panicked(context: &Context, connection: &BoxConnection) -> Action {
    ReconcilePanicked(connection).tell(&context.metrics);
    context.recall(connection, |memory| memory.running = None);
    let now = context.now();
    let failures = status_of(connection).failures.as_ref();
    let pending = failures.filter(|f| f.reason == Reason::Internal.as_str()).and_then(|f| f.retry_time.as_ref());
    if let Some(retry) = pending.filter(|t| t.0 > now) {
        return Action::requeue(wait_until(retry.0, now));
    }
    let first = status_of(connection).last_sync.is_none();
    let attempted = Attempted {
        trigger: if first { Trigger::Created } else { Trigger::Retry },
        start: now,
        end: now,
        calls: 0,
        requests: Vec::new(),
        annotation: None,
        requested_by: Vec::new(),
        generation: connection.metadata.generation,
        app: None,
        access: None,
        result: Err(Failure::panicked()),
    };
    tell::connection(context, connection, &News::Attempted(&attempted)).await;
    Action::requeue(AFTER_TROUBLE)
}
