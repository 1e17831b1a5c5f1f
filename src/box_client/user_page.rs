//! One page of the list of users.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{
    error::{Error, InvalidResponse},
    lenient_value::LenientValue,
};

/// A user in Box's list. Texts that are missing, `null` or of another type are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// Digits, never empty. Unique in Box, but a user can be on two pages: the later one counts.
    pub id: &'a str,
    pub login: &'a str,
    pub name: &'a str,
    /// `active`, `inactive`, `cannot_delete_edit`, `cannot_delete_edit_upload`, or a later addition of Box.
    pub status: &'a str,
    /// `admin`, `coadmin`, `user`, or a later addition of Box.
    pub role: &'a str,
    pub job_title: &'a str,
    pub language: &'a str,
    pub timezone: &'a str,
    /// Whether this is an app user (`is_platform_access_only`).
    pub app: bool,
    pub created_at: Option<Timestamp>,
    /// Bytes; -1 is unlimited, 0 also means unknown.
    pub space_amount: i64,
}

/// At most 1,000 users. It stores only their fields, packed into one text, and not the response.
pub struct UserPage {
    text: String,
    users: Vec<UserRanges>,
}

/// The ranges of a user's fields in the page's text.
struct UserRanges {
    id: Range<usize>,
    login: Range<usize>,
    name: Range<usize>,
    status: Range<usize>,
    role: Range<usize>,
    job_title: Range<usize>,
    language: Range<usize>,
    timezone: Range<usize>,
    app: bool,
    created_at: Option<Timestamp>,
    space_amount: i64,
}

/// The query parameter `fields`. Box always sends `id` and `type`.
pub(super) const USER_FIELDS: &str =
    "id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only";

#[derive(Deserialize)]
struct RawUser<'a> {
    #[serde(borrow, default)]
    id: LenientValue<'a>,
    #[serde(borrow, default)]
    login: LenientValue<'a>,
    #[serde(borrow, default)]
    name: LenientValue<'a>,
    #[serde(borrow, default)]
    status: LenientValue<'a>,
    #[serde(borrow, default)]
    role: LenientValue<'a>,
    #[serde(borrow, default)]
    job_title: LenientValue<'a>,
    #[serde(borrow, default)]
    language: LenientValue<'a>,
    #[serde(borrow, default)]
    timezone: LenientValue<'a>,
    #[serde(borrow, default)]
    created_at: LenientValue<'a>,
    #[serde(borrow, default)]
    space_amount: LenientValue<'a>,
    #[serde(borrow, default)]
    is_platform_access_only: LenientValue<'a>,
}

#[derive(Deserialize)]
struct UserListResponse<'a> {
    #[serde(default)]
    entries: Option<UserPage>,
    #[serde(borrow, default)]
    next_marker: LenientValue<'a>,
    #[serde(borrow, default)]
    offset: LenientValue<'a>,
    #[serde(borrow, default)]
    total_count: LenientValue<'a>,
}

impl UserPage {
    /// The page, and the marker of the next page if there is one.
    pub(super) fn parse(body: &[u8]) -> Result<(Self, Option<String>), Error> {
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
        let page = entries.ok_or(Error::invalid_response(InvalidResponse::NotAUserPage))?;
        if page.users.iter().any(|row| row.id.is_empty()) {
            return Err(Error::invalid_response(InvalidResponse::MissingUserId));
        }
        Ok((page, next_marker.into_non_empty_text()))
    }

    /// The users in Box's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        self.users.iter().map(|row| {
            let UserRanges {
                id,
                login,
                name,
                status,
                role,
                job_title,
                language,
                timezone,
                app,
                created_at,
                space_amount,
            } = row;
            let text = |range: &Range<usize>| &self.text[range.clone()];
            User {
                id: text(id),
                login: text(login),
                name: text(name),
                status: text(status),
                role: text(role),
                job_title: text(job_title),
                language: text(language),
                timezone: text(timezone),
                app: *app,
                created_at: *created_at,
                space_amount: *space_amount,
            }
        })
    }

    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A hash of the users' ids.
    pub(super) fn fingerprint(&self, hash_builder: &impl BuildHasher) -> u64 {
        let mut hasher = hash_builder.build_hasher();
        for user in self.iter() {
            hasher.write(user.id.as_bytes());
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }

    fn push_user(&mut self, user: RawUser<'_>) {
        let RawUser {
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
        let mut append = |value: LenientValue<'_>| {
            let start = self.text.len();
            self.text.push_str(&value.into_text());
            start..self.text.len()
        };
        let row = UserRanges {
            id: append(id),
            login: append(login),
            name: append(name),
            status: append(status),
            role: append(role),
            job_title: append(job_title),
            language: append(language),
            timezone: append(timezone),
            app: is_platform_access_only.as_bool(),
            created_at: created_at.into_text().parse().ok(),
            space_amount: space_amount.as_i64().unwrap_or_default(),
        };
        self.users.push(row);
    }
}

/// Shows no personal data.
impl fmt::Debug for UserPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("users", &self.len()).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for UserPage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UserPageVisitor;
        impl<'de> Visitor<'de> for UserPageVisitor {
            type Value = UserPage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of users")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<UserPage, A::Error> {
                let mut page = UserPage { text: String::new(), users: Vec::new() };
                while let Some(entry) = entries.next_element::<RawUser<'_>>()? {
                    page.push_user(entry);
                }
                Ok(page)
            }
        }
        deserializer.deserialize_seq(UserPageVisitor)
    }
}
