//! UserSyncRequest: a request for one sync.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{
    UserCounts,
    unknown_word::{UnknownWord, schema_of_known_words},
};

/// Which connection to sync, and for how long to retry.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "boxsync.dev",
    version = "v1alpha1",
    kind = "UserSyncRequest",
    plural = "usersyncrequests",
    shortname = "usersync",
    category = "boxsync",
    namespaced,
    status = "UserSyncRequestStatus",
    derive = "PartialEq",
    doc = "A UserSyncRequest requests one immediate sync of a BoxConnection's user list. It runs at most once; for another sync create another request.",
    selectable = ".spec.connectionRef.name",
    selectable = ".status.phase",
    printcolumn(
        name = "Connection",
        type_ = "string",
        json_path = ".spec.connectionRef.name",
        description = "The BoxConnection to sync"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Pending, Running, Succeeded or Failed"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.status=="True")].reason"#,
        description = "Why it is in this phase"
    ),
    printcolumn(
        name = "Users",
        type_ = "integer",
        json_path = ".status.users.total",
        description = "Users in the list that the sync published or found unchanged"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Added",
        type_ = "integer",
        json_path = ".status.added",
        description = "Users that the sync added to the list",
        priority = 1
    ),
    printcolumn(
        name = "Updated",
        type_ = "integer",
        json_path = ".status.updated",
        description = "Users whose details or status the sync changed",
        priority = 1
    ),
    printcolumn(
        name = "Removed",
        type_ = "integer",
        json_path = ".status.removed",
        description = "Users that the sync removed from the list",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.revision",
        description = "The revision of that list",
        priority = 1
    ),
    printcolumn(
        name = "Completed",
        type_ = "date",
        json_path = ".status.completionTime",
        description = "How long ago it ended",
        priority = 1
    )
)]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a UserSyncRequest is immutable: create another one")
)]
#[serde(rename_all = "camelCase")]
pub struct UserSyncRequestSpec {
    /// The BoxConnection to sync.
    pub connection_ref: ConnectionRef,

    /// Approves held removals: the status.held.digest of the BoxConnection that was reviewed. Exactly those users are
    /// removed, unless Box lists them again. If the digest differs, or nothing is held, the request fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-f]{64}$')").message("approveRemovals must be the status.held.digest of the BoxConnection: 64 characters of 0-9 and a-f")
    )]
    #[schemars(length(max = 128))]
    pub approve_removals: Option<String>,

    /// For how many seconds from status.startTime the request is retried after transient failures (Box is down or
    /// rate-limits) before it fails. At least 1; default 3600.
    #[serde(default = "default_active_deadline_seconds")]
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: i32,

    /// How many seconds after it finished, successfully or not, the request is deleted, as in a Job. Default: it is not
    /// deleted. Do not set it for requests that are managed in Git, which would be recreated and sync again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
}

fn default_active_deadline_seconds() -> i32 {
    3600
}

/// A BoxConnection in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRef {
    /// The name of the BoxConnection, in the namespace of the request.
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("name must be the name of a BoxConnection: lower-case letters, digits, '-' and '.'")
    )]
    #[schemars(length(max = 63))]
    pub name: String,
}

/// The phase of a request; derived from its conditions.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, VariantNames)]
pub enum RequestPhase {
    /// It waits for an operator, in the queue, or for the next retry.
    #[default]
    Pending,
    /// The list is being fetched.
    Running,
    /// The list was fetched and published.
    Succeeded,
    /// It ended without a complete list.
    Failed,
    /// Of a newer version.
    #[serde(untagged)]
    Other(UnknownWord),
}

impl JsonSchema for RequestPhase {
    fn schema_name() -> Cow<'static, str> {
        "RequestPhase".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema_of_known_words(Self::VARIANTS)
    }
}

impl RequestPhase {
    pub const fn is_finished(self) -> bool {
        match self {
            // What has not ended in a way that this version knows is taken up by it.
            RequestPhase::Pending | RequestPhase::Running | RequestPhase::Other(_) => false,
            RequestPhase::Succeeded | RequestPhase::Failed => true,
        }
    }
}

/// The progress and the result of a request.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UserSyncRequestStatus {
    /// The generation that this status describes; -1 until an operator has processed the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Complete or Failed when it ended, Stalled together with Failed; Reconciling until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Pending, Running, Succeeded or Failed.
    #[serde(default)]
    pub phase: RequestPhase,

    /// When the operator first accepted it (includes waiting); reset after the operator was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When it ended, successfully or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,

    /// Number of attempts.
    #[serde(default)]
    pub attempts: i64,

    /// Progress of the running sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<SyncProgress>,

    /// Counts of the list that the sync published or found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserCounts>,

    /// Number of users added to the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<i64>,

    /// Number of users whose details or status changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<i64>,

    /// Number of users removed from the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<i64>,

    /// The revision of the UserRoster that the sync published or found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

/// Progress of a running sync. Box reports no total, so there is no percentage.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncProgress {
    /// Pages fetched so far.
    pub pages: i64,
    /// Users fetched so far.
    pub users: i64,
}

impl UserSyncRequest {
    pub fn is_finished(&self) -> bool {
        self.status.as_ref().is_some_and(|s| match s.phase {
            RequestPhase::Other(_) => s.completion_time.is_some(),
            known => known.is_finished(),
        })
    }
}
