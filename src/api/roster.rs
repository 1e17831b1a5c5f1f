//! UserRoster: which slices are the published list, and what its last revisions changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SliceState, Trigger, UserCounts};

/// The format of rosters and slices that this version writes.
pub const ROSTER_FORMAT_VERSION: i64 = 1;

/// The label by which rosters and slices name their connection.
pub const CONNECTION_LABEL: &str = "boxsync.dev/connection";

/// The published list of a connection of the same name. Writing it is what publishes: all of a revision or nothing.
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
    doc = "A UserRoster is the published user list of the BoxConnection of the same name: it names the UserSlices that hold the users. Read it, then the slices; where one is missing or has another digest, read the roster again. No roster is not an empty list. Only the operator writes it.",
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".revision",
        description = "Counts up with every published change"
    ),
    printcolumn(name = "Users", type_ = "integer", json_path = ".users.total", description = "Users in the list"),
    printcolumn(
        name = "Removed",
        type_ = "integer",
        json_path = ".users.removed",
        description = "Users who are gone and still known"
    ),
    printcolumn(
        name = "Slices",
        type_ = "integer",
        json_path = ".sliceCount",
        description = "UserSlices that the list is made of"
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
    /// The format of this object and its slices; this is 1.
    pub format: i64,

    /// The id of the Box enterprise whose users these are.
    pub enterprise_id: String,

    /// Counts up with every change that is published. Together with the roster's UID it tells one list from another.
    pub revision: i64,

    /// When this revision was published. How fresh the list is stands in the BoxConnection's status.lastSync: a sync
    /// that finds nothing new writes no roster.
    pub revision_time: Time,

    /// How many users the list holds, by kind.
    pub users: UserCounts,

    /// How many slices there are.
    pub slice_count: i64,

    /// The slices that this revision is made of: Live, Held, Removed and Changes, each in the order of ids.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<SliceRef>,

    /// When the user who is gone for longest, and still known, was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_removed_at: Option<Time>,

    /// The users whose removal is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<RemovalHold>,

    /// The revision before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousRevision>,

    /// The sync that published this revision.
    pub change: RosterChange,

    /// What earlier revisions and this one changed, newest first, for historyRetention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub journal: Vec<RevisionRecord>,

    /// When slices that no revision names were last deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept_at: Option<Time>,
}

/// A slice of the list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SliceRef {
    /// The name of the UserSlice.
    pub name: String,
    /// How many lines it has.
    pub count: i64,
    /// SHA-256 of its data, as lower-case hex.
    pub digest: String,
    /// What its lines are.
    pub state: SliceState,
}

/// Users whose removal is held: more of them vanished from Box at once than spec.maxRemovalPercent allows.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RemovalHold {
    /// When the last of them vanished.
    pub time: Time,
    /// How many users would be removed.
    pub removals: i64,
    /// How many users the list holds, these included.
    pub total: i64,
    /// Names exactly these users: a UserSyncRequest whose approveRemovals says this digest lets them go.
    pub digest: String,
}

/// The revision before.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PreviousRevision {
    /// Its number.
    pub revision: i64,
    /// The slices that it named and this revision does not: they stay until the next one, for whoever still reads them.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<String>,
}

/// A sync that published a revision, and what it changed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RosterChange {
    /// What started it.
    pub trigger: Trigger,
    /// When it began.
    pub start_time: Time,
    /// Users who are new in the list, or back in it.
    pub added: i64,
    /// Users whose details or status changed.
    pub updated: i64,
    /// Users who went from the list.
    pub removed: i64,
    /// Calls made to Box, tries included.
    pub calls: i64,
    /// The requests that it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requests: Vec<RequestRef>,
    /// The value of the annotation boxsync.dev/requested-at that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    /// Who asked for it, at most five: what the annotation boxsync.dev/requested-by of those that it answers says. A mere
    /// claim, unless the cluster stamps it (the chart's value admission.requesters).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
    /// The digest of the held removals that were approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
}

/// A UserSyncRequest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RequestRef {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What one revision changed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RevisionRecord {
    /// The revision.
    pub revision: i64,
    /// When it was published.
    pub time: Time,
    /// Users who were new in the list, or back in it.
    pub added: i64,
    /// Users whose details or status changed.
    pub updated: i64,
    /// Users who went from the list.
    pub removed: i64,
    /// Users who vanished from Box and whose removal was held.
    pub held: i64,
    /// Who asked for the sync that published it, as change.requestedBy has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
    /// The UserSlices of state Changes that tell it line by line; none where there were too many changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub slices: Vec<String>,
}
