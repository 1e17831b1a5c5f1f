//! A user and the order of users.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::TrackingCodes;

/// A user of the list. Serialized it lacks what [`UserPage`](super::UserPage) packs behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User<'a> {
    // Must be first: sorting decodes only the id.
    pub id: &'a str,
    pub login: &'a str,
    pub name: &'a str,
    pub job_title: &'a str,
    pub language: &'a str,
    pub timezone: &'a str,
    #[serde(borrow)]
    pub status: UserStatus<'a>,
    #[serde(borrow)]
    pub role: UserRole<'a>,
    /// Whether this is an app user.
    #[serde(skip)]
    pub app: bool,
    /// Unix time in seconds.
    pub created_at: Option<i64>,
    /// Bytes; -1 is unlimited.
    pub space_amount: i64,
    #[serde(skip)]
    pub tracking_codes: TrackingCodes<'a>,
}

/// The Box status of a user. `Other` is a status that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserStatus<'a> {
    Active,
    Inactive,
    CannotDeleteEdit,
    CannotDeleteEditUpload,
    Other(&'a str),
}

/// A user of whom Box sends none.
impl Default for UserStatus<'_> {
    fn default() -> Self {
        Self::Other("")
    }
}

impl<'a> UserStatus<'a> {
    pub fn from_name(name: &'a str) -> Self {
        match name {
            "active" => Self::Active,
            "inactive" => Self::Inactive,
            "cannot_delete_edit" => Self::CannotDeleteEdit,
            "cannot_delete_edit_upload" => Self::CannotDeleteEditUpload,
            other => Self::Other(other),
        }
    }

    pub fn as_str(self) -> &'a str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::CannotDeleteEdit => "cannot_delete_edit",
            Self::CannotDeleteEditUpload => "cannot_delete_edit_upload",
            Self::Other(name) => name,
        }
    }
}

/// The Box role of a user. `Other` is a role that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserRole<'a> {
    Admin,
    Coadmin,
    User,
    Other(&'a str),
}

/// A user of whom Box sends none.
impl Default for UserRole<'_> {
    fn default() -> Self {
        Self::Other("")
    }
}

impl<'a> UserRole<'a> {
    pub fn from_name(name: &'a str) -> Self {
        match name {
            "admin" => Self::Admin,
            "coadmin" => Self::Coadmin,
            "user" => Self::User,
            other => Self::Other(other),
        }
    }

    pub fn as_str(self) -> &'a str {
        match self {
            Self::Admin => "admin",
            Self::Coadmin => "coadmin",
            Self::User => "user",
            Self::Other(name) => name,
        }
    }
}

/// The order of every list: shorter ids first, then by bytes. For numeric ids this is the numeric order.
pub fn compare_ids(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
