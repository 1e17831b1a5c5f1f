//! Calls of the controllers to the API server, except those for the published list.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams, Preconditions},
    core::object::HasStatus,
};
use serde::Serialize;

use crate::api::{BoxConnection, DecodeStored, Stored, UserSyncRequest};
pub(super) use crate::kube_client::{KubeClient, KubeError};

/// The field manager, as shown by `kubectl get --show-managed-fields`.
const FIELD_MANAGER: &str = "boxsync-operator";

/// A kind whose status the operator writes.
pub(super) trait StatusObject:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Clone + PartialEq + Send + Sync>
    + Clone
    + Debug
    + DecodeStored
    + Serialize
    + Send
    + Sync
{
}

impl StatusObject for BoxConnection {}
impl StatusObject for UserSyncRequest {}

impl KubeClient {
    pub(in crate::controller) async fn get_object<K: StatusObject>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<K, KubeError> {
        let stored = self.call(self.api::<Stored<K>>(namespace).get(name)).await?;
        stored.0.map_err(|unreadable| KubeError::unreadable(&unreadable.error))
    }

    /// The current object, if it has the same UID.
    pub(in crate::controller) async fn get_same_object<K: StatusObject>(&self, object: &K) -> Result<K, KubeError> {
        let fresh: K = self.get_object(&object.namespace().unwrap_or_default(), &object.name_any()).await?;
        if fresh.uid() == object.uid() { Ok(fresh) } else { Err(KubeError::NotFound) }
    }

    /// Writes a status; a conflict if the object has changed since it was read.
    pub(in crate::controller) async fn replace_status<K: StatusObject>(
        &self,
        current: &K,
        status: K::Status,
    ) -> Result<K, KubeError> {
        let mut new = current.clone();
        *new.status_mut() = Some(status);
        let (namespace, name) = (new.namespace().unwrap_or_default(), new.name_any());
        self.call(self.api::<K>(&namespace).replace_status(&name, &post_params(), &new)).await
    }

    /// The unfinished requests of a connection, except those that cannot be read, which their watch reports.
    pub(in crate::controller) async fn list_unfinished_requests(
        &self,
        namespace: &str,
        connection: &str,
    ) -> Result<Vec<UserSyncRequest>, KubeError> {
        let selector = format!("spec.connectionRef.name={connection},status.phase!=Succeeded,status.phase!=Failed");
        let list = ListParams::default().fields(&selector);
        let requests = self.call(self.api::<Stored<UserSyncRequest>>(namespace).list(&list)).await?;
        Ok(requests.items.into_iter().filter_map(|request| request.0.ok()).collect())
    }

    /// Replaces the status of a connection that cannot be read; a conflict if it has changed since.
    pub(in crate::controller) async fn replace_unreadable_status(
        &self,
        connection: &DynamicObject,
    ) -> Result<(), KubeError> {
        let namespace = connection.namespace().unwrap_or_default();
        let kind = ApiResource::erase::<BoxConnection>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.raw_client().clone(), &namespace, &kind);
        self.call(api.replace_status(&connection.name_any(), &post_params(), connection)).await.map(drop)
    }

    pub(in crate::controller) async fn get_secret(&self, namespace: &str, name: &str) -> Result<Secret, KubeError> {
        self.call(self.api::<Secret>(namespace).get(name)).await
    }

    pub(in crate::controller) async fn create_secret(&self, secret: &Secret) -> Result<(), KubeError> {
        let namespace = secret.namespace().unwrap_or_default();
        self.call(self.api::<Secret>(&namespace).create(&post_params(), secret)).await.map(drop)
    }

    /// Writes a Secret; a conflict if it has changed since it was read.
    pub(in crate::controller) async fn replace_secret(&self, secret: &Secret) -> Result<(), KubeError> {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        self.call(self.api::<Secret>(&namespace).replace(&name, &post_params(), secret)).await.map(drop)
    }

    /// Deletes this request, not a newer one of the same name.
    pub(in crate::controller) async fn delete_request(&self, request: &UserSyncRequest) -> Result<(), KubeError> {
        let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
        let preconditions = Preconditions { uid: request.uid(), resource_version: request.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.call(self.api::<UserSyncRequest>(&namespace).delete(&name, &params)).await.map(|_| ())
    }
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
