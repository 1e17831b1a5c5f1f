//! Acting on the confirmed plan and reporting the outcome. Everything that calls Box starts here.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt, runtime::controller::Action};

use super::{
    failure_messages::Failure,
    maintain,
    observe::{PERMIT_RECHECK, PermitRequest, decide_plan, requeue_for},
    plan::{Plan, Step},
    plan_input::{PlanInput, status_of},
    progress::RunObjects,
    sign_in::{self, PreparedSignIn, SignInCheck, SignInError},
    state::{ConnectionKey, log_name},
    status::StatusUpdate,
    sync_outcome::SyncOutcome,
    sync_run::{RunEnd, StopReason, SyncJob, run},
    unwritten_result::UnwrittenResult,
};
use crate::{
    api::{AuthType, BoxConnection, Reason, UserSyncRequest},
    controller::{
        context::Context,
        events::{EventAction, PendingEvent, object_reference},
        kube_calls::KubeError,
        request::status,
        status_writer::{self, StatusOrigin},
    },
};

/// When to plan again if the cached view lags behind what was confirmed. The watch wakes the connection when it has caught
/// up; one that delivers nothing must not make this a loop.
const CACHE_LAG_RETRY: Duration = Duration::from_secs(5);
/// A run that was stopped because its object went away, or the process is shutting down.
const STOPPED_RETRY: Duration = Duration::from_secs(5);

/// Carries out the plan that was made from confirmed objects. Refusals are written meanwhile, so that no permit waits for
/// them.
pub(super) async fn act(
    context: &Context,
    confirmed: PlanInput,
    plan: Plan,
    permit: PermitRequest,
) -> Result<Action, KubeError> {
    let input = confirmed.clone();
    let refusing = Box::pin(refuse_requests(context, &input, &plan.refused_requests));
    let (refused, acted) = tokio::join!(refusing, Box::pin(act_on_step(context, confirmed, plan.step, permit)));
    // A refusal that could not be written is tried again by the next reconcile.
    acted.and_then(|acted| refused.map(|()| acted))
}

async fn act_on_step(
    context: &Context,
    confirmed: PlanInput,
    step: Step,
    permit: PermitRequest,
) -> Result<Action, KubeError> {
    match (step, permit) {
        (Step::Report, permit) => {
            drop(permit);
            report_unreported_publish(context, &confirmed).await?;
            Ok(Action::requeue(CACHE_LAG_RETRY))
        }
        (step @ (Step::Wait(_) | Step::CheckSecret | Step::CollectGarbage), permit) => {
            drop(permit);
            context.permits.cancel_wait(&ConnectionKey::from(confirmed.connection.as_ref()));
            maintain::refresh_status(context, &confirmed.connection).await?;
            Ok(match step {
                // The cached view calls for something else first.
                Step::CheckSecret | Step::CollectGarbage => Action::requeue(CACHE_LAG_RETRY),
                step => requeue_for(context, &confirmed.connection, &step),
            })
        }
        // Only the confirmed plan needs a permit: the next reconcile asks for one.
        (Step::Probe | Step::Sync { .. }, PermitRequest::NotNeeded) => Ok(Action::requeue(CACHE_LAG_RETRY)),
        (Step::Probe | Step::Sync { .. }, PermitRequest::Queued) => Ok(Action::requeue(PERMIT_RECHECK)),
        (Step::Probe, PermitRequest::Acquired(permit, sign_in)) => {
            let probed = probe_connection(context, &confirmed, &sign_in).await;
            drop(permit);
            match probed {
                Some(result) => report_result(context, &confirmed.connection, result).await,
                None => Ok(Action::requeue(STOPPED_RETRY)),
            }
        }
        (Step::Sync { trigger, request_names, annotation }, PermitRequest::Acquired(permit, sign_in)) => {
            let job = SyncJob { input: confirmed, sign_in, trigger, request_names, annotation };
            let (run_end, objects) = Box::pin(run(context, job, permit)).await;
            Box::pin(finish_run(context, objects, run_end)).await
        }
    }
}

/// Reports what a sync published whose process ended before it could report it.
async fn report_unreported_publish(context: &Context, confirmed: &PlanInput) -> Result<(), KubeError> {
    let Some(roster) = confirmed.unreported_publish() else { return Ok(()) };
    let outcome = SyncOutcome::from_unreported(&confirmed.connection, &roster.spec);
    tracing::info!(
        connection = log_name(confirmed.connection.as_ref()),
        revision = roster.spec.revision,
        "reporting a revision published by an earlier process"
    );
    let update = StatusUpdate::SyncFinished(&outcome);
    let already_recorded =
        status_of(&confirmed.connection).roster_ref.as_ref().is_some_and(|r| r.revision >= roster.spec.revision);
    let written = if already_recorded {
        Some(confirmed.connection.as_ref().clone())
    } else {
        status_writer::write_connection_status(context, &confirmed.connection, &update).await?
    };
    let Some(written) = written else { return Ok(()) };
    let is_answered =
        |r: &&Arc<UserSyncRequest>| roster.spec.change.requests.iter().any(|a| r.uid().as_ref() == Some(&a.uid));
    let requests: Vec<UserSyncRequest> =
        confirmed.requests.iter().filter(is_answered).map(|r| r.as_ref().clone()).collect();
    status_writer::write_request_results(context, &requests, &outcome, &written).await
}

async fn refuse_requests(context: &Context, input: &PlanInput, refusals: &[(String, Reason)]) -> Result<(), KubeError> {
    for (name, reason) in refusals {
        let Some(request) = input.requests.iter().find(|r| r.name_any() == *name) else { continue };
        tracing::info!(connection = log_name(input.connection.as_ref()), request = name, %reason, "request refused");
        let refused = |r: &UserSyncRequest| {
            Some(status::refused_status(r, *reason, Some(&input.connection), context.current_time()))
        };
        status_writer::answer_request(context, &input.connection, request, StatusOrigin::Derived, refused).await?;
    }
    Ok(())
}

/// Signs in to prove that the connection works; `None` if it was cancelled.
async fn probe_connection(context: &Context, input: &PlanInput, prepared: &PreparedSignIn) -> Option<UnwrittenResult> {
    let connection = &input.connection;
    let stop = context.stop.child_token();
    // Using a user's token already renews it; renewing it more often proves nothing more.
    let sign_in_check = match connection.spec.auth.selected_method() {
        Some((AuthType::Oauth2, _)) if !connection.spec.suspend => SignInCheck::CachedToken,
        Some((AuthType::Oauth2 | AuthType::ClientCredentials | AuthType::Jwt, _)) | None => SignInCheck::NewToken,
    };
    let sign_in = sign_in::sign_in(context, connection, prepared, sign_in_check, &stop).await;
    context.with_state(connection, |state| state.schedule_next_probe(context.options.probe_interval));
    let (result, fallback_cause) = match sign_in {
        Ok(admitted) => (Ok(admitted.signed_in), admitted.fallback_cause),
        Err(SignInError::Failed(refused)) => (Err(refused.failure), None),
        Err(SignInError::Cancelled) => return None,
    };
    if let Err(failure) = &result {
        tracing::warn!(
            connection = log_name(connection.as_ref()),
            reason = %failure.reason,
            summary = failure.summary,
            "probe failed"
        );
    }
    Some(UnwrittenResult::Probe(Box::new(result), fallback_cause))
}

/// Writes the result of a run or a probe, without a permit. If the API server refuses it, it is kept for the next
/// reconcile.
pub(super) async fn report_result(
    context: &Context,
    connection: &BoxConnection,
    result: UnwrittenResult,
) -> Result<Action, KubeError> {
    let reported = write_result(context, connection, &result).await;
    if reported.is_err() {
        context.with_state(connection, |state| state.unwritten_result = Some(result));
    }
    reported
}

async fn write_result(
    context: &Context,
    connection: &BoxConnection,
    result: &UnwrittenResult,
) -> Result<Action, KubeError> {
    let (update, fallback_cause) = match result {
        UnwrittenResult::Probe(probed, cause) => (StatusUpdate::Probed(probed), cause),
        UnwrittenResult::Sync { outcome, fallback_cause, .. } => (StatusUpdate::SyncFinished(outcome), fallback_cause),
    };
    let Some(written) = status_writer::write_connection_status(context, connection, &update).await? else {
        return Ok(Action::await_change());
    };
    if let UnwrittenResult::Sync { outcome, requests, .. } = result {
        status_writer::write_request_results(context, requests, outcome, &written).await?;
    }
    report_fallback(context, &written, fallback_cause.as_ref()).await;
    Ok(requeue_after_write(context, written))
}

/// When to reconcile a connection again whose status was just written. Requests trigger their own reconcile.
fn requeue_after_write(context: &Context, written: BoxConnection) -> Action {
    let input = PlanInput { requests: Vec::new(), ..context.cached_plan_input(Arc::new(written)) };
    requeue_for(context, &input.connection, &decide_plan(context, &input).step)
}

async fn finish_run(context: &Context, objects: RunObjects, run_end: RunEnd) -> Result<Action, KubeError> {
    match run_end {
        RunEnd::Finished { outcome, fallback_cause } => {
            let result = UnwrittenResult::Sync { outcome, requests: objects.requests, fallback_cause };
            report_result(context, &objects.connection, result).await
        }
        RunEnd::Stopped(why) => {
            tracing::info!(connection = log_name(&objects.connection), reason = ?why, "sync stopped");
            match why {
                StopReason::Deleted | StopReason::Replaced | StopReason::ShuttingDown => {
                    Ok(Action::requeue(STOPPED_RETRY))
                }
                StopReason::Suspended | StopReason::AuthChanged | StopReason::Superseded => {
                    status_writer::write_connection_status(context, &objects.connection, &StatusUpdate::Stopped)
                        .await?;
                    Ok(Action::requeue(CACHE_LAG_RETRY))
                }
            }
        }
    }
}

/// One event for each rejected version of the Secret while an older one still works.
async fn report_fallback(context: &Context, connection: &BoxConnection, fallback_cause: Option<&Failure>) {
    let Some(failure) = fallback_cause else { return };
    let new = context.with_state(connection, |state| {
        let new = state.rejected_version != state.tried_version;
        state.rejected_version.clone_from(&state.tried_version);
        new
    });
    if new {
        let text = format!(
            "{} The previous credentials stay in use until their token expires. {}",
            failure.summary, failure.remediation
        );
        tracing::warn!(
            connection = log_name(connection),
            reason = %failure.reason,
            cause = failure.summary,
            "new credentials rejected, using the previous ones"
        );
        context
            .events
            .publish_event(
                &object_reference(connection),
                &PendingEvent { reason: failure.reason, message: text, action: EventAction::Connect },
            )
            .await;
    }
}
