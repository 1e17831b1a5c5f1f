//! Syncs as a connection's status tells of them: the one that runs, and those that ended.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What started a sync, the weightiest first.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The connection never succeeded before.
    Created,
    /// The connection was mended, or its credentials replaced.
    Reconnected,
    /// A UserSyncRequest, or the annotation boxsync.dev/requested-at.
    Requested,
    /// The attempt before failed.
    Retry,
    /// The interval, or the schedule.
    Scheduled,
}

impl Trigger {
    pub const fn as_str(self) -> &'static str {
        match self {
            Trigger::Created => "Created",
            Trigger::Reconnected => "Reconnected",
            Trigger::Requested => "Requested",
            Trigger::Retry => "Retry",
            Trigger::Scheduled => "Scheduled",
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
    /// When the list was complete and published.
    pub completion_time: Time,
    /// Users that it added to the list.
    #[serde(default)]
    pub added: i64,
    /// Users whose details or status it changed.
    #[serde(default)]
    pub updated: i64,
    /// Users that it removed from the list.
    #[serde(default)]
    pub removed: i64,
    /// The revision of the list that it published or found unchanged.
    #[serde(default)]
    pub revision: i64,
}

/// A sync that runs.
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

/// Attempts that failed since the last success.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncFailures {
    /// Why the last of them failed.
    pub reason: String,
    /// How many there were.
    pub count: i64,
    /// When the last of them ended.
    pub last_time: Time,
    /// When the next attempt is due; absent where none is made before somebody acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
    /// Whether Box itself named retryTime; then no request goes before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_after: bool,
}

/// An attempt that ended.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncAttempt {
    /// What started it.
    pub trigger: Trigger,
    /// When it began.
    pub start_time: Time,
    /// When it ended.
    pub completion_time: Time,
    /// Synced, or why it failed.
    pub reason: String,
    /// How many attempts in a row failed for this reason; their calls and requests add up here.
    pub attempts: i64,
    /// Calls made to Box, tries included.
    pub calls: i64,
    /// Users in the list; only of an attempt that succeeded, as are the next four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Users that it added to the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<i64>,
    /// Users whose details or status it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<i64>,
    /// Users that it removed from the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<i64>,
    /// The revision of the list that it published or found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The UserSyncRequests that it answered, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requests: Vec<String>,
    /// Who asked for it, at most five: what the annotation boxsync.dev/requested-by of those that it answers says. A mere
    /// claim, unless the cluster stamps it (the chart's value admission.requesters).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub requested_by: Vec<String>,
}
