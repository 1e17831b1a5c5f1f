//! The conditions of the objects under test.

use boxsync::api::{BoxConnection, ConditionsExt, UserSyncRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub(crate) fn connection_conditions(connection: &BoxConnection) -> &[Condition] {
    connection.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default()
}

pub(crate) fn request_conditions(request: &UserSyncRequest) -> &[Condition] {
    request.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default()
}

/// Status, reason and message of a condition, which must exist.
pub(crate) fn expect_condition<'a>(all: &'a [Condition], kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = all.find_condition(kind).unwrap_or_else(|| panic!("no condition {kind} in {all:#?}"));
    (&found.status, &found.reason, &found.message)
}
