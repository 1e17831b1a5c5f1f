//! How many users a list holds, by kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts of the users of one Box enterprise, as its last complete list had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCounts {
    /// All users of the list: active + inactive + restricted + other.
    pub total: i64,
    /// Users with Box status `active`.
    pub active: i64,
    /// Users with Box status `inactive`: they cannot log in, their content stays.
    pub inactive: i64,
    /// Users with Box status `cannot_delete_edit` or `cannot_delete_edit_upload`.
    pub restricted: i64,
    /// Users with a status that this version does not know.
    pub other: i64,
    /// App users (`is_platform_access_only`), a part of `total`.
    pub app: i64,
    /// Users who vanished from Box and whose removal is held, a part of `total`.
    #[serde(default)]
    pub held: i64,
    /// Users who are gone and still known as removed; not in `total`.
    #[serde(default)]
    pub removed: i64,
}
