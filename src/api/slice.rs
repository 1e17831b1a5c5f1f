//! UserSlice: some of the users of a published list.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of the published list. It never changes: a changed list has other slices.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "boxsync.dev",
    version = "v1alpha1",
    kind = "UserSlice",
    plural = "userslices",
    namespaced,
    no_spec,
    derive = "PartialEq",
    doc = "A UserSlice holds some users of a published list, one JSON object a line. It counts only while a UserRoster names it. It never changes, and only the operator writes it.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".state",
        description = "What its lines are: Live, Held, Removed or Changes"
    ),
    printcolumn(name = "Count", type_ = "integer", json_path = ".count", description = "Lines"),
    printcolumn(name = "First-Id", type_ = "string", json_path = ".firstId", description = "The id of its first line"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SliceContent {
    /// The format of the lines; this is 1.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub format: i64,

    /// What the lines are: Live (users that Box lists), Held (users that Box no longer lists, whose removal is held:
    /// treat them as Live), Removed (users who are gone) or Changes (what one revision changed).
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub state: SliceState,

    /// One JSON object a line, sorted by id.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    #[schemars(length(max = 524_288))]
    pub data: String,

    /// How many lines there are.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub count: i64,

    /// The id of the first line.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub first_id: String,

    /// The id of the last line.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub last_id: String,

    /// SHA-256 of data, as lower-case hex.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub digest: String,
}

const IMMUTABLE_MESSAGE: &str = "a UserSlice never changes: the operator writes new ones";

/// What the lines of a slice are.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SliceState {
    /// Users that Box lists.
    Live,
    /// Users that Box no longer lists, whose removal is held. Readers treat them as Live.
    Held,
    /// Users who are gone.
    Removed,
    /// What one revision changed.
    Changes,
}

impl SliceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            SliceState::Live => "Live",
            SliceState::Held => "Held",
            SliceState::Removed => "Removed",
            SliceState::Changes => "Changes",
        }
    }
}
