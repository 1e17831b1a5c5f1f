//! Parses one page of the list of users.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{
    error::{Error, InvalidResponse},
    lenient_json::parse_leniently,
    lenient_value::{LenientValue, first_chars},
    user_codes::UserCodes,
};
use crate::user_list::{TrackingCodes, User, UserPage, UserRole, UserStatus};

/// The query parameter `fields`. Box always sends `id` and `type`.
pub(super) const USER_FIELDS: &str = "id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only,tracking_codes";

/// Longer than any id of Box. An id is not cut: two users would become one.
const MAX_ID_CHARS: usize = 64;
/// The longest email address: 64 characters, `@`, 255 characters (RFC 5321).
const MAX_LOGIN_CHARS: usize = 320;
/// For names and job titles. Box takes 50 and 100.
const MAX_NAME_CHARS: usize = 256;
/// For status, role, language and time zone.
const MAX_CODE_CHARS: usize = 64;

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
    tracking_codes: UserCodes<'a>,
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
    let parsed = parse_leniently(body, |text| {
        let UserListResponse { entries, next_marker, offset, total_count } = serde_json::from_str(text)?;
        let is_offset_page = offset.is_present() || (total_count.is_present() && next_marker == LenientValue::Missing);
        Ok((entries, next_marker.into_non_empty_text(), is_offset_page))
    });
    let (entries, marker, is_offset_page) = parsed.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Error::invalid_response(InvalidResponse::NotAUserPage),
        _ => Error::invalid_response(InvalidResponse::NotJson),
    })?;
    if is_offset_page {
        return Err(Error::invalid_response(InvalidResponse::OffsetPagination));
    }
    let Entries { page, without_user } = entries.ok_or(Error::invalid_response(InvalidResponse::NotAUserPage))?;
    if let Some(entry) = without_user {
        return Err(Error::invalid_response(InvalidResponse::EntryWithoutUser { page: 0, entry }));
    }
    if page.ids().any(|id| first_chars(id, MAX_ID_CHARS) != id) {
        return Err(Error::invalid_response(InvalidResponse::UserIdTooLong(MAX_ID_CHARS)));
    }
    Ok((page, marker))
}

/// The users of a response, packed while they are parsed.
struct Entries {
    page: UserPage,
    /// The position of the first entry that is `null` or has no id, from 1.
    without_user: Option<usize>,
}

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
        let (mut page, mut without_user) = (UserPage::default(), None);
        let mut position = 0;
        while let Some(entry) = entries.next_element::<Option<UserResponse<'_>>>()? {
            position += 1;
            match entry.filter(|user| user.id.is_present() && user.id != LenientValue::Text("".into())) {
                Some(user) => push_user(&mut page, user),
                None => without_user = without_user.or(Some(position)),
            }
        }
        Ok(Entries { page, without_user })
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
        tracking_codes: UserCodes(tracking_codes),
    } = user;
    page.push(&User {
        id: &id.into_text(),
        login: &login.into_cut_text(MAX_LOGIN_CHARS),
        name: &name.into_cut_text(MAX_NAME_CHARS),
        job_title: &job_title.into_cut_text(MAX_NAME_CHARS),
        language: &language.into_cut_text(MAX_CODE_CHARS),
        timezone: &timezone.into_cut_text(MAX_CODE_CHARS),
        status: UserStatus::from_name(&status.into_cut_text(MAX_CODE_CHARS)),
        role: UserRole::from_name(&role.into_cut_text(MAX_CODE_CHARS)),
        app: is_platform_access_only.as_bool(),
        created_at: created_at.into_text().parse().ok().map(Timestamp::as_second),
        space_amount: space_amount.as_i64().unwrap_or_default(),
        tracking_codes: TrackingCodes::by_name(&tracking_codes),
    });
}
