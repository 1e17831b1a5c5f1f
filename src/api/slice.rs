//! UserSlice: a part of a published user list.

use std::borrow::Cow;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::unknown_word::{UnknownWord, schema_of_known_words};

/// A part of the published list. Immutable: a changed list consists of other slices.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "boxsync.dev",
    version = "v1alpha1",
    kind = "UserSlice",
    plural = "userslices",
    namespaced,
    no_spec,
    derive = "PartialEq",
    doc = "A UserSlice holds a part of a published user list, one JSON object per line. It is valid only while a UserRoster references it. It is immutable, and only the operator writes it.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".state",
        description = "The kind of its lines: Live, Held, Removed or Changes"
    ),
    printcolumn(name = "Count", type_ = "integer", json_path = ".count", description = "Number of lines"),
    printcolumn(name = "First-Id", type_ = "string", json_path = ".firstId", description = "The id of its first line"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SliceContent {
    /// The format of the lines; this is 1.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub format: i64,

    /// The kind of the lines: Live (users that Box lists), Held (users that Box no longer lists and whose removal is
    /// held: treat them as Live), Removed (removed users) or Changes (the changes of one revision).
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    pub state: SliceState,

    /// One JSON object per line, sorted by id.
    #[x_kube(validation = Rule::new("self == oldSelf").message(IMMUTABLE_MESSAGE))]
    #[schemars(length(max = 524_288))]
    pub data: String,

    /// The number of lines.
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

const IMMUTABLE_MESSAGE: &str = "a UserSlice is immutable";

/// The kind of the lines of a slice.
#[derive(
    Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantNames,
)]
#[strum(const_into_str)]
pub enum SliceState {
    /// Users that Box lists.
    Live,
    /// Users that Box no longer lists and whose removal is held. Readers treat them as Live.
    Held,
    /// Removed users.
    Removed,
    /// The changes of one revision.
    Changes,
    /// Of a newer version.
    #[serde(untagged)]
    Other(UnknownWord),
}

impl JsonSchema for SliceState {
    fn schema_name() -> Cow<'static, str> {
        "SliceState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema_of_known_words(Self::VARIANTS)
    }
}

impl SliceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other(word) => word.as_str(),
            known => known.into_str(),
        }
    }
}
