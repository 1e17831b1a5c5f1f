//! What the controllers ask of the API server, beside the published list.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::api::{BoxConnection, UserSyncRequest};
pub(super) use crate::cluster::{Cluster, Trouble};

/// Who owns the fields of a status, as `kubectl get --show-managed-fields` tells it.
const FIELD_MANAGER: &str = "boxsync-operator";

/// A kind whose status the operator tells.
pub(super) trait Told:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Clone + PartialEq + Send + Sync>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
{
}

impl Told for BoxConnection {}
impl Told for UserSyncRequest {}

impl Cluster {
    pub(in crate::controller) async fn read<K: Told>(&self, namespace: &str, name: &str) -> Result<K, Trouble> {
        self.call(self.api::<K>(namespace).get(name)).await
    }

    /// The object as it is now, if it still is the same one.
    pub(in crate::controller) async fn reread<K: Told>(&self, object: &K) -> Result<K, Trouble> {
        let fresh: K = self.read(&object.namespace().unwrap_or_default(), &object.name_any()).await?;
        if fresh.uid() == object.uid() { Ok(fresh) } else { Err(Trouble::NotFound) }
    }

    /// Writes a status where nobody has changed the object since it was read.
    pub(in crate::controller) async fn write<K: Told>(&self, read: &K, status: K::Status) -> Result<K, Trouble> {
        let mut new = read.clone();
        *new.status_mut() = Some(status);
        let (namespace, name) = (new.namespace().unwrap_or_default(), new.name_any());
        self.call(self.api::<K>(&namespace).replace_status(&name, &written(), &new)).await
    }

    /// The requests of a connection that have not ended.
    pub(in crate::controller) async fn unfinished(
        &self,
        namespace: &str,
        connection: &str,
    ) -> Result<Vec<UserSyncRequest>, Trouble> {
        let selector = format!("spec.connectionRef.name={connection},status.phase!=Succeeded,status.phase!=Failed");
        let list = ListParams::default().fields(&selector);
        Ok(self.call(self.api::<UserSyncRequest>(namespace).list(&list)).await?.items)
    }

    pub(in crate::controller) async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Trouble> {
        self.call(self.api::<Secret>(namespace).get(name)).await
    }

    pub(in crate::controller) async fn create_secret(&self, secret: &Secret) -> Result<(), Trouble> {
        let namespace = secret.namespace().unwrap_or_default();
        self.call(self.api::<Secret>(&namespace).create(&written(), secret)).await.map(drop)
    }

    /// Writes a Secret where nobody has changed it since it was read.
    pub(in crate::controller) async fn replace_secret(&self, read: &Secret) -> Result<(), Trouble> {
        let (namespace, name) = (read.namespace().unwrap_or_default(), read.name_any());
        self.call(self.api::<Secret>(&namespace).replace(&name, &written(), read)).await.map(drop)
    }

    /// Deletes this very request, not one that has taken its name.
    pub(in crate::controller) async fn delete_request(&self, request: &UserSyncRequest) -> Result<(), Trouble> {
        let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
        let preconditions = Preconditions { uid: request.uid(), resource_version: request.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.call(self.api::<UserSyncRequest>(&namespace).delete(&name, &params)).await.map(|_| ())
    }
}

fn written() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
