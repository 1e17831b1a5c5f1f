//! Whether published lists can be read: for the views of connections, whose status knows of deleted slices up to an hour
//! later.

use futures::future::join_all;
use kube::ResourceExt;

use super::kube_context::KubeContext;
use crate::{
    api::{BoxConnection, ListEvidence},
    roster,
};

/// Each takes three requests.
const MAX_CHECKED: usize = 100;

/// What there is of the lists of these connections. Of more than [`MAX_CHECKED`], and without the right to read lists,
/// nothing is known.
pub(crate) async fn read_list_evidence(kube: &KubeContext, connections: &[BoxConnection]) -> Vec<ListEvidence> {
    if connections.len() > MAX_CHECKED {
        return vec![ListEvidence::NotRead; connections.len()];
    }
    join_all(connections.iter().map(|connection| read_one(kube, connection))).await
}

async fn read_one(kube: &KubeContext, connection: &BoxConnection) -> ListEvidence {
    if connection.status.as_ref().is_none_or(|status| status.roster_ref.is_none()) {
        return ListEvidence::NotRead;
    }
    let store = kube.in_namespace_of(connection).roster_store(&connection.name_any());
    let uid = connection.uid().unwrap_or_default();
    match store.get_roster().await {
        Ok(None) => ListEvidence::RosterMissing,
        Ok(Some(_)) => match roster::confirm_missing_slices(&store, &uid, &connection.spec.enterprise_id).await {
            Ok(0) => ListEvidence::Complete,
            Ok(_) => ListEvidence::SlicesMissing,
            Err(_) => ListEvidence::NotRead,
        },
        Err(_) => ListEvidence::NotRead,
    }
}
