//! Finding unreferenced slices, left by an operator that ended while it published: one list of all slices at the start
//! and every hour. The connection's own reconcile deletes them after their grace period.

use std::{collections::HashMap, time::Duration};

use kube::runtime::reflector::ObjectRef;
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::state::{ConnectionKey, log_name};
use crate::{
    controller::context::Context,
    roster::{self, SliceMeta},
};

const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
const ERROR_RETRY: Duration = Duration::from_secs(60);

/// Runs forever, and wakes each connection that has unreferenced slices.
pub(crate) async fn find_orphan_slices(
    context: &Context,
    namespaces: &[String],
    wake: &UnboundedSender<ConnectionKey>,
) {
    loop {
        let wait = match roster::list_all_slices(&context.cluster, namespaces).await {
            Ok(slices) => {
                record_orphan_slices(context, slices, wake);
                CHECK_INTERVAL
            }
            Err(error) => {
                tracing::warn!(%error, "listing slices failed, retrying");
                ERROR_RETRY
            }
        };
        tokio::time::sleep_until(Instant::now() + wait).await;
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
        if input.roster.is_none() && input.status().roster_ref.is_some() {
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
