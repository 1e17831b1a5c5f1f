//! The published list in the cluster: reading and writing rosters and slices. Every write has a precondition.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PartialObjectMeta, PostParams, Preconditions},
};

use super::cut::digest_of;
use crate::{
    api::{BoxConnection, CONNECTION_LABEL, RosterContent, SliceContent, SliceRef, UserRoster, UserSlice},
    cluster::{Cluster, Trouble},
};

/// Who owns the fields, as `kubectl get --show-managed-fields` tells it.
const FIELD_MANAGER: &str = "boxsync-operator";
/// Slices of one page of a metadata list.
const PAGE: u32 = 500;
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The list of one connection.
#[derive(Clone)]
pub struct Store {
    cluster: Cluster,
    namespace: String,
    connection: String,
}

/// A slice that is there, whoever owns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Present {
    pub name: String,
    pub uid: String,
    /// The UID of its owner, if it has one.
    pub owner: Option<String>,
}

impl Store {
    pub fn new(cluster: Cluster, namespace: &str, connection: &str) -> Self {
        Self { cluster, namespace: namespace.to_owned(), connection: connection.to_owned() }
    }

    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// The roster, if there is one.
    ///
    /// # Errors
    /// The API server's trouble.
    pub async fn roster(&self) -> Result<Option<UserRoster>, Trouble> {
        let api = self.cluster.api::<UserRoster>(&self.namespace);
        found(self.cluster.call(api.get(&self.connection)).await)
    }

    /// The data of a slice, if it is there and is what the roster says.
    ///
    /// # Errors
    /// The API server's trouble.
    pub async fn data(&self, slice: &SliceRef) -> Result<Option<String>, Trouble> {
        let api = self.cluster.api::<UserSlice>(&self.namespace);
        let read = found(self.cluster.call(api.get(&slice.name)).await)?.map(|s| s.spec.data);
        Ok(read.filter(|data| digest_of(data.as_bytes()) == slice.digest))
    }

    /// All slices that carry the connection's label, by their metadata alone.
    pub(super) async fn present(&self) -> Result<Vec<Present>, Trouble> {
        let api = self.cluster.api::<UserSlice>(&self.namespace);
        let selector = format!("{CONNECTION_LABEL}={}", self.connection);
        let mut slices = Vec::new();
        list(&self.cluster, &api, &selector, |slice| slices.push(present(slice))).await?;
        Ok(slices)
    }

    /// Creates a slice; [`Trouble::Conflict`] where the name is taken.
    pub(super) async fn create(&self, owner: &str, name: &str, content: SliceContent) -> Result<(), Trouble> {
        let slice = UserSlice { metadata: self.metadata(owner, name), spec: content };
        let body = serde_json::to_vec(&slice).map_err(|e| Trouble::Unreachable(e.to_string()))?;
        drop(slice);
        let path = UserSlice::url_path(&(), Some(&self.namespace));
        let request = http::Request::post(format!("{path}?fieldManager={FIELD_MANAGER}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, METADATA_ONLY)
            .body(body)
            .map_err(|e| Trouble::Unreachable(e.to_string()))?;
        // The answer would bring all the data back.
        let client = self.cluster.client();
        self.cluster.call(client.request::<PartialObjectMeta<UserSlice>>(request)).await.map(|_| ())
    }

    /// Publishes: writes the roster where it still is the one that was read, or where there still is none.
    pub(super) async fn commit(
        &self,
        owner: &str,
        read: Option<&UserRoster>,
        content: RosterContent,
    ) -> Result<UserRoster, Trouble> {
        let api = self.cluster.api::<UserRoster>(&self.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let mut metadata = self.metadata(owner, &self.connection);
        let Some(read) = read else {
            let roster = UserRoster { metadata, spec: content };
            return self.cluster.call(api.create(&params, &roster)).await;
        };
        // What others wrote beside our own stays.
        let mut labels = read.labels().clone();
        labels.append(metadata.labels.get_or_insert_default());
        metadata.labels = Some(labels);
        metadata.annotations.clone_from(&read.metadata.annotations);
        metadata.resource_version.clone_from(&read.metadata.resource_version);
        metadata.uid.clone_from(&read.metadata.uid);
        let roster = UserRoster { metadata, spec: content };
        match self.cluster.call(api.replace(&self.connection, &params, &roster)).await {
            // Deleted since it was read.
            Err(Trouble::NotFound) => Err(Trouble::Conflict),
            answer => answer,
        }
    }

    /// Deletes this very slice, not one that has taken its name.
    pub(super) async fn delete(&self, slice: &Present) -> Result<(), Trouble> {
        let api = self.cluster.api::<UserSlice>(&self.namespace);
        let preconditions = Preconditions { uid: Some(slice.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.cluster.call(api.delete(&slice.name, &params)).await {
            Ok(_) | Err(Trouble::NotFound | Trouble::Conflict) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    fn metadata(&self, owner: &str, name: &str) -> ObjectMeta {
        let owner = OwnerReference {
            api_version: BoxConnection::api_version(&()).into_owned(),
            kind: BoxConnection::kind(&()).into_owned(),
            name: self.connection.clone(),
            uid: owner.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some([(CONNECTION_LABEL.to_owned(), self.connection.clone())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        }
    }
}

/// All slices that are there, by the namespace and the name of the connection that their label names.
///
/// # Errors
/// The API server's trouble.
pub async fn all_slices(
    cluster: &Cluster,
    namespaces: &[String],
) -> Result<HashMap<(String, String), Vec<Present>>, Trouble> {
    let mut slices: HashMap<(String, String), Vec<Present>> = HashMap::new();
    for api in cluster.apis(namespaces) {
        list(cluster, &api, CONNECTION_LABEL, |slice| {
            let connection = slice.labels().get(CONNECTION_LABEL).cloned().unwrap_or_default();
            slices.entry((slice.namespace().unwrap_or_default(), connection)).or_default().push(present(slice));
        })
        .await?;
    }
    Ok(slices)
}

/// The metadata of slices, page by page.
async fn list(
    cluster: &Cluster,
    api: &Api<UserSlice>,
    selector: &str,
    mut each: impl FnMut(&PartialObjectMeta<UserSlice>),
) -> Result<(), Trouble> {
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    loop {
        let page = cluster.call(api.list_metadata(&params)).await?;
        page.items.iter().for_each(&mut each);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

fn present(slice: &PartialObjectMeta<UserSlice>) -> Present {
    Present {
        name: slice.name_any(),
        uid: slice.uid().unwrap_or_default(),
        owner: slice.owner_references().first().map(|o| o.uid.clone()),
    }
}

fn found<T>(answer: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(Trouble::NotFound) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
