//! Slices that nobody names, looked for by one list of all slices at the start and every hour: what an operator left
//! behind that was ended while it published. Each is deleted by its connection's own reconcile, when its time is over.

use std::{collections::HashMap, time::Duration};

use kube::runtime::reflector::ObjectRef;
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::{
    context::Context,
    memory::{Key, named},
};
use crate::roster::{self, Present};

const EVERY: Duration = Duration::from_secs(3600);
const AFTER_TROUBLE: Duration = Duration::from_secs(60);

/// Looks for ever, and wakes each connection for which there is something to sweep.
pub(super) async fn look(context: &Context, namespaces: &[String], wake: &UnboundedSender<Key>) {
    loop {
        let wait = match roster::all_slices(&context.cluster, namespaces).await {
            Ok(slices) => {
                note(context, slices, wake);
                EVERY
            }
            Err(trouble) => {
                tracing::warn!(%trouble, "slices were not looked for");
                AFTER_TROUBLE
            }
        };
        tokio::time::sleep_until(Instant::now() + wait).await;
    }
}

fn note(context: &Context, slices: HashMap<(String, String), Vec<Present>>, wake: &UnboundedSender<Key>) {
    for ((namespace, connection), present) in slices {
        let key: Key = ObjectRef::new(&connection).within(&namespace);
        let Some(connection) = context.known_connection(&key) else { continue };
        let Some(roster) = context.observe(connection.clone()).roster else { continue };
        let uid = connection.metadata.uid.clone().unwrap_or_default();
        let unnamed = roster::unnamed(&roster.spec, &uid, &present);
        if !unnamed.is_empty() {
            tracing::debug!(
                connection = named(connection.as_ref()),
                slices = unnamed.len(),
                "slices that nobody names"
            );
            context.recall(&connection, |memory| memory.unnamed(unnamed));
            // The receiver lives as long as the controller that would do the work.
            let _ = wake.send(key);
        }
    }
}
