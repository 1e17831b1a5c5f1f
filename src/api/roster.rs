//! UserRoster: the published list, as references to its slices, and the changes of its last revisions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MassChange, SliceState, Trigger, UserCounts};

/// The format of rosters and slices that this version writes.
pub const ROSTER_FORMAT_VERSION: i64 = 1;

/// The label of rosters and slices with the name of their connection.
pub const CONNECTION_LABEL: &str = "boxsync.dev/connection";

/// The published list of the connection of the same name. Writing it publishes a revision atomically.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "boxsync.dev",
    version = "v1alpha1",
    kind = "UserRoster",
    plural = "userrosters",
    category = "boxsync",
    namespaced,
    no_spec,
    derive = "PartialEq",
    doc = "A UserRoster is the published user list of the BoxConnection of the same name: it references the UserSlices that hold the users. Read it, then the slices; if one is missing or its digest differs, start again with the roster. A missing roster does not mean an empty list. Only the operator writes it.",
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".revision",
        description = "Increases with every published change"
    ),
    printcolumn(name = "Users", type_ = "integer", json_path = ".users.total", description = "Users in the list"),
    printcolumn(
        name = "Removed",
        type_ = "integer",
        json_path = ".users.removed",
        description = "Removed users that are still recorded"
    ),
    printcolumn(
        name = "Slices",
        type_ = "integer",
        json_path = ".sliceCount",
        description = "Number of UserSlices of the list"
    ),
    printcolumn(
        name = "Revised",
        type_ = "date",
        json_path = ".revisionTime",
        description = "How long ago this revision was published"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RosterContent {
    /// The format of this object and its slices; currently 1.
    pub format: i64,

    /// The id of the Box enterprise whose users these are.
    pub enterprise_id: String,

    /// Increases with every published change. Together with the roster's UID it identifies a list.
    pub revision: i64,

    /// When this revision was published. For the age of the list see status.lastSync of the BoxConnection; a sync
    /// without changes does not write the roster.
    pub revision_time: Time,

    /// The number of users in the list, by status.
    pub users: UserCounts,

    /// The number of slices.
    pub slice_count: i64,

    /// The slices of this revision: Live, Held, Removed and Changes, each in the order of ids.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<SliceRef>,

    /// Removal time of the oldest recorded removed user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_removed_at: Option<Time>,

    /// The users whose removal is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<RemovalHold>,

    /// The ids of held users of whom Box does not say whether they are gone, at most 100. Each sync asks again, and removes
    /// those of whom Box says it then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub unconfirmed: Vec<String>,

    /// The previous revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousRevision>,

    /// The sync that published this revision.
    pub change: RosterChange,

    /// The changes of this and earlier revisions, newest first, for historyRetention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub journal: Vec<RevisionRecord>,

    /// When unreferenced slices were last deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept_at: Option<Time>,

    /// Increases when a sync without changes writes the roster nevertheless: the first one of each operator process, so
    /// that an earlier process cannot publish an older answer of Box any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<i64>,

    /// The keys that the line of a user lacks if the user has none of it: trackingCodes. If a key is not named here, an
    /// older version published the list, which did not ask Box for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub optional_keys: Vec<String>,
}

/// A slice of the list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SliceRef {
    /// The name of the UserSlice.
    pub name: String,
    /// The number of its lines.
    pub count: i64,
    /// SHA-256 of its data, in lower-case hex.
    pub digest: String,
    /// The kind of its lines.
    pub state: SliceState,
}

/// Users whose removal is held: more of them vanished from Box within a day than spec.maxRemovalPercent allows, or Box did
/// not say that they are gone.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RemovalHold {
    /// When the last of these users vanished.
    pub time: Time,
    /// The number of users that would be removed.
    pub removals: i64,
    /// The number of users in the list, these included.
    pub total: i64,
    /// Identifies exactly these users: a UserSyncRequest whose approveRemovals has this digest approves their removal.
    pub digest: String,
    /// How many of them are held only because Box, asked for each of them, did not say that they are gone. The next sync
    /// asks again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconfirmed: i64,
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// The previous revision.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PreviousRevision {
    /// Its number.
    pub revision: i64,
    /// The slices that only the previous revision references: they are kept until the next revision, for readers that are
    /// still reading them.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<String>,
}

/// The sync that published a revision, and its changes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RosterChange {
    /// What started it.
    pub trigger: Trigger,
    /// When it started.
    pub start_time: Time,
    /// Number of users that are new in the list, or back in it.
    pub added: i64,
    /// Number of users whose details or status changed.
    pub updated: i64,
    /// Number of users removed from the list.
    pub removed: i64,
    /// Box API calls, retries included.
    pub calls: i64,
    /// The UserSyncRequests that it served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requests: Vec<RequestRef>,
    /// The value of the annotation boxsync.dev/requested-at that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    /// Who requested it, at most five: the annotation boxsync.dev/requested-by of the objects that requested it. An
    /// unverified claim, unless the cluster sets the annotation (the chart's value admission.requesters).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
    /// The digest of the held removals that were approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// Changes of so many users at once that somebody should know of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub mass_changes: Vec<MassChange>,
}

/// A UserSyncRequest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RequestRef {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The changes of one revision.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RevisionRecord {
    /// The revision.
    pub revision: i64,
    /// When it was published.
    pub time: Time,
    /// Number of users that were new in the list, or back in it.
    pub added: i64,
    /// Number of users whose details or status changed.
    pub updated: i64,
    /// Number of users removed from the list.
    pub removed: i64,
    /// Number of users who vanished from Box and whose removal was held.
    pub held: i64,
    /// How many of the removed users had been held, and were approved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approved: i64,
    /// Changes of so many users at once that somebody should know of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub mass_changes: Vec<MassChange>,
    /// Who requested the sync that published it, as in change.requestedBy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
    /// The UserSlices of state Changes that list the changes one by one; empty if there were too many changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<String>,
}
