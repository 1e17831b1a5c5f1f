//! Finding unreferenced slices, left by an operator that ended while it published, and published slices that were deleted:
//! one list of all slices at the start and every hour. The connection's own reconcile deletes the former after their grace
//! period, and publishes the latter again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::state::{ConnectionKey, log_name};
use crate::{
    controller::context::Context,
    roster::{self, SliceMeta},
};

const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
const ERROR_RETRY: Duration = Duration::from_secs(60);

/// Runs forever, and wakes each connection that has unreferenced slices. A namespace that cannot be listed holds up no
/// other.
pub(crate) async fn find_orphan_slices(
    context: &Context,
    namespaces: &[String],
    wake: &UnboundedSender<ConnectionKey>,
) {
    // An empty list stands for all namespaces.
    let scopes = if namespaces.is_empty() { vec![namespaces] } else { namespaces.chunks(1).collect() };
    let mut failing = HashSet::new();
    let mut next_check = Instant::now();
    loop {
        let all = next_check <= Instant::now();
        if all {
            next_check = Instant::now() + CHECK_INTERVAL;
        }
        for scope in scopes.iter().filter(|scope| all || failing.contains(*scope)).copied().collect::<Vec<_>>() {
            match roster::list_all_slices(&context.cluster, scope).await {
                Ok(slices) => {
                    failing.remove(scope);
                    record_missing_slices(context, &slices, wake).await;
                    record_orphan_slices(context, slices, wake);
                }
                Err(error) => {
                    if failing.insert(scope) {
                        let namespace = scope.first();
                        tracing::warn!(namespace, %error, "listing slices failed, retrying");
                    }
                }
            }
        }
        let retry = Instant::now() + ERROR_RETRY;
        tokio::time::sleep_until(if failing.is_empty() { next_check } else { next_check.min(retry) }).await;
    }
}

fn record_orphan_slices(
    context: &Context,
    slices: HashMap<(String, String), Vec<SliceMeta>>,
    wake: &UnboundedSender<ConnectionKey>,
) {
    for ((namespace, connection), present) in slices {
        let key: ConnectionKey = ObjectRef::new(&connection).within(&namespace);
        let Some(connection) = context.cached_connection(&key) else { continue };
        let input = context.cached_plan_input(connection.clone());
        let unknown = input.roster.is_none() && input.status().roster_ref.is_some();
        if unknown || input.has_roster_conflict() {
            continue;
        }
        let uid = connection.metadata.uid.clone().unwrap_or_default();
        let roster = input.roster.as_ref().map(|roster| &roster.spec);
        let unreferenced = roster::unreferenced_slices(roster, &uid, &present);
        if !unreferenced.is_empty() {
            tracing::debug!(
                connection = log_name(connection.as_ref()),
                slices = unreferenced.len(),
                "found unreferenced slices"
            );
            context.with_state(&connection, |state| state.set_unreferenced(unreferenced));
            // The receiver lives as long as the controller.
            let _ = wake.send(key);
        }
    }
}

/// Wakes each connection whose published slices are missing, or no longer missing.
async fn record_missing_slices(
    context: &Context,
    slices: &HashMap<(String, String), Vec<SliceMeta>>,
    wake: &UnboundedSender<ConnectionKey>,
) {
    for connection in context.connections.state() {
        let input = context.cached_plan_input(connection.clone());
        let Some(roster) = input.roster.as_ref().filter(|_| !input.has_roster_conflict()) else { continue };
        let key = (connection.namespace().unwrap_or_default(), connection.name_any());
        let existing = slices.get(&key).map(Vec::as_slice).unwrap_or_default();
        // The cached roster may be older or newer than the list of slices, so a missing one is confirmed.
        let mut missing = roster::count_missing_slices(&roster.spec, existing);
        if missing > 0 {
            let store = context.roster_store(&connection);
            let confirmed = roster::confirm_missing_slices(&store, input.uid(), &connection.spec.enterprise_id).await;
            missing = match confirmed {
                Ok(missing) => missing,
                Err(error) => {
                    let connection = log_name(connection.as_ref());
                    tracing::warn!(connection, %error, "looking for published slices failed");
                    continue;
                }
            };
        }
        if missing > 0 {
            let connection = log_name(connection.as_ref());
            tracing::warn!(connection, slices = missing, "slices of the published list are missing");
        }
        let changed = context.with_state(&connection, |state| {
            std::mem::replace(&mut state.slices_missing, missing > 0) != (missing > 0)
        });
        if changed {
            // The receiver lives as long as the controller.
            let _ = wake.send(ConnectionKey::from(connection.as_ref()));
        }
    }
}
