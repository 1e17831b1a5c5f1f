//! Syncs in the status of a connection: the running one, and finished ones.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::{
    MassChange,
    unknown_word::{UnknownWord, schema_of_known_words},
};

/// What started a sync, highest priority first.
#[derive(
    Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantNames,
)]
#[strum(const_into_str)]
pub enum Trigger {
    /// The first sync of the connection.
    Created,
    /// The connection was fixed, or its credentials replaced.
    Reconnected,
    /// A UserSyncRequest, or the annotation boxsync.dev/requested-at.
    Requested,
    /// The previous attempt failed.
    Retry,
    /// The interval, or the schedule.
    Scheduled,
    /// Of a newer version.
    #[serde(untagged)]
    Other(UnknownWord),
}

impl JsonSchema for Trigger {
    fn schema_name() -> Cow<'static, str> {
        "Trigger".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema_of_known_words(Self::VARIANTS)
    }
}

impl Trigger {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other(word) => word.as_str(),
            known => known.into_str(),
        }
    }
}

/// A sync that succeeded.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    /// What started it.
    pub trigger: Trigger,
    /// When it began, before the first page.
    pub start_time: Time,
    /// When the list was published.
    pub completion_time: Time,
    /// Number of users added to the list.
    #[serde(default)]
    pub added: i64,
    /// Number of users whose details or status changed.
    #[serde(default)]
    pub updated: i64,
    /// Number of users removed from the list.
    #[serde(default)]
    pub removed: i64,
    /// The revision that it published or found unchanged.
    #[serde(default)]
    pub revision: i64,
}

/// A running sync.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CurrentSync {
    /// What started it.
    pub trigger: Trigger,
    /// When it began.
    pub start_time: Time,
    /// Pages fetched so far.
    pub pages: i64,
    /// Users fetched so far.
    pub users: i64,
}

/// Failed attempts since the last success.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncFailures {
    /// Why the last attempt failed.
    pub reason: String,
    /// Number of failed attempts.
    pub count: i64,
    /// When the last attempt ended.
    pub last_time: Time,
    /// When the next attempt is due; absent if someone must act first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
    /// Whether Box set retryTime (Retry-After); then no request is sent earlier.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_after: bool,
}

/// A finished attempt.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncAttempt {
    /// What started it.
    pub trigger: Trigger,
    /// When it began.
    pub start_time: Time,
    /// When it ended.
    pub completion_time: Time,
    /// Synced, or the reason of the failure.
    pub reason: String,
    /// Number of consecutive attempts that failed for this reason; their calls and requests are added up.
    pub attempts: i64,
    /// Box API calls, retries included.
    pub calls: i64,
    /// Number of users in the list; like the next four fields only after success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Number of users added to the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<i64>,
    /// Number of users whose details or status changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<i64>,
    /// Number of users removed from the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<i64>,
    /// The revision that it published or found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Changes of so many users at once that somebody should know of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub mass_changes: Vec<MassChange>,
    /// The UserSyncRequests that it served, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requests: Vec<String>,
    /// Who requested it, at most five: the annotation boxsync.dev/requested-by of the objects that requested it. An
    /// unverified claim, unless the cluster sets the annotation (the chart's value admission.requesters).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
}
