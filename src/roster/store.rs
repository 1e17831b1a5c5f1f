//! Reads and writes of rosters and slices through the API server. Every write has a precondition.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PartialObjectMeta, PostParams, Preconditions},
};

use super::chunking::sha256_hex;
use crate::{
    api::{
        BoxConnection, CONNECTION_LABEL, ExtraMetadata, RosterContent, SliceContent, SliceRef, Stored, UserRoster,
        UserSlice,
    },
    kube_client::{KubeClient, KubeError},
};

/// The field manager, as in `kubectl get --show-managed-fields`.
const FIELD_MANAGER: &str = "boxsync-operator";
/// Slices per page of a metadata list.
const LIST_PAGE_SIZE: u32 = 500;
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The roster and slices of one connection.
#[derive(Clone)]
pub struct Store {
    client: KubeClient,
    namespace: String,
    connection: String,
    extra_metadata: Arc<ExtraMetadata>,
}

/// A version of the roster's content. Changes of its labels and annotations do not count: the API server increases the
/// generation only with the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterVersion {
    uid: Option<String>,
    generation: Option<i64>,
}

impl RosterVersion {
    pub fn of(roster: &UserRoster) -> Self {
        Self { uid: roster.metadata.uid.clone(), generation: roster.metadata.generation }
    }
}

/// The metadata of an existing slice, regardless of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SliceMeta {
    pub name: String,
    pub uid: String,
    /// The UIDs of its owners.
    pub owner_uids: Vec<String>,
}

impl SliceMeta {
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owner_uids.iter().any(|owner| owner == uid)
    }
}

impl Store {
    pub fn new(client: KubeClient, namespace: &str, connection: &str) -> Self {
        let (namespace, connection) = (namespace.to_owned(), connection.to_owned());
        Self { client, namespace, connection, extra_metadata: Arc::default() }
    }

    /// The same store; what it writes has these labels and annotations as well.
    #[must_use]
    pub fn with_extra_metadata(self, extra_metadata: &Arc<ExtraMetadata>) -> Self {
        Self { extra_metadata: extra_metadata.clone(), ..self }
    }

    pub fn connection_name(&self) -> &str {
        &self.connection
    }

    /// The roster, if it exists.
    ///
    /// # Errors
    /// API server errors.
    pub async fn get_roster(&self) -> Result<Option<UserRoster>, KubeError> {
        let api = self.client.api::<Stored<UserRoster>>(&self.namespace);
        let stored = not_found_as_none(self.client.call(api.get(&self.connection)).await)?;
        stored.map(|stored| stored.0.map_err(|unreadable| KubeError::unreadable(&unreadable.error))).transpose()
    }

    /// The data of a slice, if it exists and its digest is the one in the roster.
    ///
    /// # Errors
    /// API server errors.
    pub async fn get_slice_data(&self, slice: &SliceRef) -> Result<Option<String>, KubeError> {
        let api = self.client.api::<UserSlice>(&self.namespace);
        let read = not_found_as_none(self.client.call(api.get(&slice.name)).await)?.map(|s| s.spec.data);
        Ok(read.filter(|data| sha256_hex(data.as_bytes()) == slice.digest))
    }

    /// The metadata of all slices with the connection's label.
    pub(super) async fn list_slices(&self) -> Result<Vec<SliceMeta>, KubeError> {
        let api = self.client.api::<UserSlice>(&self.namespace);
        let selector = format!("{CONNECTION_LABEL}={}", self.connection);
        let mut slices = Vec::new();
        for_each_slice(&self.client, &api, &selector, |slice| slices.push(slice_meta(slice))).await?;
        Ok(slices)
    }

    /// Creates a slice, and returns its UID; [`KubeError::Conflict`] if the name is taken.
    pub(super) async fn create_slice(
        &self,
        owner_uid: &str,
        name: &str,
        content: SliceContent,
    ) -> Result<String, KubeError> {
        let slice = UserSlice { metadata: self.object_meta(owner_uid, name), spec: content };
        let body = serde_json::to_vec(&slice).map_err(|e| KubeError::Unreachable(e.to_string()))?;
        drop(slice);
        let path = UserSlice::url_path(&(), Some(&self.namespace));
        let request = http::Request::post(format!("{path}?fieldManager={FIELD_MANAGER}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, METADATA_ONLY)
            .body(body)
            .map_err(|e| KubeError::Unreachable(e.to_string()))?;
        // Metadata only: a full response would repeat all the data.
        let raw_client = self.client.raw_client();
        self.client
            .call(raw_client.request::<PartialObjectMeta<UserSlice>>(request))
            .await
            .map(|slice| slice.uid().unwrap_or_default())
    }

    /// Replaces the roster if it is still the version that was read, or creates it if there is still none.
    pub(super) async fn commit_roster(
        &self,
        owner_uid: &str,
        base: Option<&UserRoster>,
        content: RosterContent,
    ) -> Result<UserRoster, KubeError> {
        let api = self.client.api::<UserRoster>(&self.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let own = self.object_meta(owner_uid, &self.connection);
        let Some(base) = base else {
            let roster = UserRoster { metadata: own, spec: content };
            return self.client.call(api.create(&params, &roster)).await;
        };
        // What others have set is kept: finalizers, labels, annotations, owners.
        let mut metadata = ObjectMeta { managed_fields: None, ..base.metadata.clone() };
        self.extra_metadata.apply_to(&mut metadata);
        metadata.labels.get_or_insert_default().extend(own.labels.unwrap_or_default());
        let owners = metadata.owner_references.get_or_insert_default();
        if owners.iter().all(|owner| owner.uid != owner_uid) {
            owners.extend(own.owner_references.unwrap_or_default());
        }
        let roster = UserRoster { metadata, spec: content };
        match self.client.call(api.replace(&self.connection, &params, &roster)).await {
            // It was deleted since it was read.
            Err(KubeError::NotFound) => Err(KubeError::Conflict),
            response => response,
        }
    }

    /// Deletes exactly this slice, not a newer one of the same name.
    pub(super) async fn delete_slice(&self, slice: &SliceMeta) -> Result<(), KubeError> {
        let api = self.client.api::<UserSlice>(&self.namespace);
        let preconditions = Preconditions { uid: Some(slice.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.client.call(api.delete(&slice.name, &params)).await {
            Ok(_) | Err(KubeError::NotFound | KubeError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn object_meta(&self, owner_uid: &str, name: &str) -> ObjectMeta {
        let owner = OwnerReference {
            api_version: BoxConnection::api_version(&()).into_owned(),
            kind: BoxConnection::kind(&()).into_owned(),
            name: self.connection.clone(),
            uid: owner_uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let mut metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some([(CONNECTION_LABEL.to_owned(), self.connection.clone())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        self.extra_metadata.apply_to(&mut metadata);
        metadata
    }
}

/// All slices, by the namespace and the name of the connection in their label.
///
/// # Errors
/// API server errors.
pub async fn list_all_slices(
    client: &KubeClient,
    namespaces: &[String],
) -> Result<HashMap<(String, String), Vec<SliceMeta>>, KubeError> {
    let mut slices: HashMap<(String, String), Vec<SliceMeta>> = HashMap::new();
    for api in client.apis_in(namespaces) {
        for_each_slice(client, &api, CONNECTION_LABEL, |slice| {
            let connection = slice.labels().get(CONNECTION_LABEL).cloned().unwrap_or_default();
            slices.entry((slice.namespace().unwrap_or_default(), connection)).or_default().push(slice_meta(slice));
        })
        .await?;
    }
    Ok(slices)
}

/// Calls `each` with the metadata of every slice, page by page.
async fn for_each_slice(
    client: &KubeClient,
    api: &Api<UserSlice>,
    selector: &str,
    mut each: impl FnMut(&PartialObjectMeta<UserSlice>),
) -> Result<(), KubeError> {
    let mut params = ListParams::default().labels(selector).limit(LIST_PAGE_SIZE);
    loop {
        let page = client.call(api.list_metadata(&params)).await?;
        page.items.iter().for_each(&mut each);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

fn slice_meta(slice: &PartialObjectMeta<UserSlice>) -> SliceMeta {
    SliceMeta {
        name: slice.name_any(),
        uid: slice.uid().unwrap_or_default(),
        owner_uids: slice.owner_references().iter().map(|o| o.uid.clone()).collect(),
    }
}

fn not_found_as_none<T>(result: Result<T, KubeError>) -> Result<Option<T>, KubeError> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(KubeError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
