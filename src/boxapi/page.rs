//! One page of the list of users, parsed once.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::error::{Error, Nonsense};
use super::scalar::Scalar;

/// A user as Box lists them. Texts that Box leaves out, or sends as `null` or as something else, are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// Digits, never empty. Unique in Box, but the same user may stand on two pages: the later one counts.
    pub id: &'a str,
    pub login: &'a str,
    pub name: &'a str,
    /// `active`, `inactive`, `cannot_delete_edit`, `cannot_delete_edit_upload`, or what Box added later.
    pub status: &'a str,
    /// `admin`, `coadmin`, `user`, or what Box added later.
    pub role: &'a str,
    pub job_title: &'a str,
    pub language: &'a str,
    pub timezone: &'a str,
    /// Whether this is an app user (`is_platform_access_only`).
    pub app: bool,
    pub created_at: Option<Timestamp>,
    /// Bytes; -1 is unlimited, 0 also where Box did not say.
    pub space_amount: i64,
}

/// Some users, at most 1,000. It holds their fields only, packed into one text; Box's answer itself is gone.
pub struct Page {
    text: String,
    rows: Vec<Row>,
}

/// Where the fields of a user stand in the page's text.
struct Row {
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

/// What is asked for (`fields`); Box sends `id` and `type` in any case.
pub(super) const FIELDS: &str =
    "id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only";

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    login: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    role: Scalar<'a>,
    #[serde(borrow, default)]
    job_title: Scalar<'a>,
    #[serde(borrow, default)]
    language: Scalar<'a>,
    #[serde(borrow, default)]
    timezone: Scalar<'a>,
    #[serde(borrow, default)]
    created_at: Scalar<'a>,
    #[serde(borrow, default)]
    space_amount: Scalar<'a>,
    #[serde(borrow, default)]
    is_platform_access_only: Scalar<'a>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    entries: Option<Page>,
    #[serde(borrow, default)]
    next_marker: Scalar<'a>,
    #[serde(borrow, default)]
    offset: Scalar<'a>,
    #[serde(borrow, default)]
    total_count: Scalar<'a>,
}

impl Page {
    /// The page, and the marker of the next one unless this was the last.
    pub(super) fn read(body: &[u8]) -> Result<(Self, Option<String>), Error> {
        // As text, so that each string in it is not checked once more.
        let body = std::str::from_utf8(body).map_err(|_| Error::invalid(Nonsense::NotJson))?;
        let Reply { entries, next_marker, offset, total_count } =
            serde_json::from_str(body).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => Error::invalid(Nonsense::NotAPage),
                _ => Error::invalid(Nonsense::NotJson),
            })?;
        if offset.is_there() || (total_count.is_there() && next_marker == Scalar::Missing) {
            return Err(Error::invalid(Nonsense::OffsetReply));
        }
        let page = entries.ok_or(Error::invalid(Nonsense::NotAPage))?;
        if page.rows.iter().any(|row| row.id.is_empty()) {
            return Err(Error::invalid(Nonsense::UserWithoutId));
        }
        Ok((page, next_marker.into_word()))
    }

    /// The users in Box's order.
    pub fn users(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        self.rows.iter().map(|row| {
            let Row { id, login, name, status, role, job_title, language, timezone, app, created_at, space_amount } =
                row;
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
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whom the page lists, as one number.
    pub(super) fn fingerprint(&self, hash: &impl BuildHasher) -> u64 {
        let mut hasher = hash.build_hasher();
        for user in self.users() {
            hasher.write(user.id.as_bytes());
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }

    fn push(&mut self, entry: Entry<'_>) {
        let Entry {
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
        } = entry;
        let mut put = |value: Scalar<'_>| {
            let start = self.text.len();
            self.text.push_str(&value.into_text());
            start..self.text.len()
        };
        let row = Row {
            id: put(id),
            login: put(login),
            name: put(name),
            status: put(status),
            role: put(role),
            job_title: put(job_title),
            language: put(language),
            timezone: put(timezone),
            app: is_platform_access_only.flag(),
            created_at: created_at.into_text().parse().ok(),
            space_amount: space_amount.integer().unwrap_or_default(),
        };
        self.rows.push(row);
    }
}

/// Counts, never names: a page holds people.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("users", &self.len()).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Page;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of users")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Page, A::Error> {
                let mut page = Page { text: String::new(), rows: Vec::new() };
                while let Some(entry) = entries.next_element::<Entry<'_>>()? {
                    page.push(entry);
                }
                Ok(page)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}
