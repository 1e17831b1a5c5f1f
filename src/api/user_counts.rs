//! The number of users of a list, by status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of users in the last complete list of a Box enterprise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCounts {
    /// All users in the list: active + inactive + restricted + other.
    pub total: i64,
    /// Users with Box status `active`.
    pub active: i64,
    /// Users with Box status `inactive`: they cannot log in, their content is kept.
    pub inactive: i64,
    /// Users with Box status `cannot_delete_edit` or `cannot_delete_edit_upload`.
    pub restricted: i64,
    /// Users with any other status.
    pub other: i64,
    /// App users (`is_platform_access_only`); included in `total`.
    pub app: i64,
    /// Users who vanished from Box and whose removal is held; included in `total`.
    #[serde(default)]
    pub held: i64,
    /// Removed users that are still recorded; not included in `total`.
    #[serde(default)]
    pub removed: i64,
}
