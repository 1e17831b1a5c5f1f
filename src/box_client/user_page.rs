//! Parses one page of the list of users.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{
    error::{Error, InvalidResponse},
    lenient_value::LenientValue,
};
use crate::user_list::{User, UserPage, UserRole, UserStatus};

/// The query parameter `fields`. Box always sends `id` and `type`.
pub(super) const USER_FIELDS: &str =
    "id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only";

/// A user as Box sends it. Fields can be missing, `null` or of another type: they count as empty.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct UserResponse<'a> {
    id: LenientValue<'a>,
    login: LenientValue<'a>,
    name: LenientValue<'a>,
    status: LenientValue<'a>,
    role: LenientValue<'a>,
    job_title: LenientValue<'a>,
    language: LenientValue<'a>,
    timezone: LenientValue<'a>,
    created_at: LenientValue<'a>,
    space_amount: LenientValue<'a>,
    is_platform_access_only: LenientValue<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct UserListResponse<'a> {
    entries: Option<Entries>,
    next_marker: LenientValue<'a>,
    offset: LenientValue<'a>,
    total_count: LenientValue<'a>,
}

/// The page, and the marker of the next page if there is one.
pub(super) fn parse_user_page(body: &[u8]) -> Result<(UserPage, Option<String>), Error> {
    // As text, so that the UTF-8 of each string is not checked again.
    let body = std::str::from_utf8(body).map_err(|_| Error::invalid_response(InvalidResponse::NotJson))?;
    let UserListResponse { entries, next_marker, offset, total_count } =
        serde_json::from_str(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Error::invalid_response(InvalidResponse::NotAUserPage),
            _ => Error::invalid_response(InvalidResponse::NotJson),
        })?;
    if offset.is_present() || (total_count.is_present() && next_marker == LenientValue::Missing) {
        return Err(Error::invalid_response(InvalidResponse::OffsetPagination));
    }
    let Entries(page) = entries.ok_or(Error::invalid_response(InvalidResponse::NotAUserPage))?;
    if page.ids().any(str::is_empty) {
        return Err(Error::invalid_response(InvalidResponse::MissingUserId));
    }
    Ok((page, next_marker.into_non_empty_text()))
}

/// The users of a response, packed while they are parsed.
struct Entries(UserPage);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Entries, A::Error> {
        let mut page = UserPage::default();
        while let Some(user) = entries.next_element::<UserResponse<'_>>()? {
            push_user(&mut page, user);
        }
        Ok(Entries(page))
    }
}

fn push_user(page: &mut UserPage, user: UserResponse<'_>) {
    let UserResponse {
        id,
        login,
        name,
        status,
        role,
        job_title,
        language,
        timezone,
        created_at,
        space_amount,
        is_platform_access_only,
    } = user;
    page.push(&User {
        id: &id.into_text(),
        login: &login.into_text(),
        name: &name.into_text(),
        job_title: &job_title.into_text(),
        language: &language.into_text(),
        timezone: &timezone.into_text(),
        status: UserStatus::from_name(&status.into_text()),
        role: UserRole::from_name(&role.into_text()),
        app: is_platform_access_only.as_bool(),
        created_at: created_at.into_text().parse().ok().map(Timestamp::as_second),
        space_amount: space_amount.as_i64().unwrap_or_default(),
    });
}
