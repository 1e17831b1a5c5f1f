//! The user list in memory, packed: one allocation per page, eight bytes of index per user. About 100 bytes per user,
//! instead of 600 as structs.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::UserCounts;

/// A user of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord<'a> {
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
    pub app: bool,
    /// Unix time in seconds.
    pub created_at: Option<i64>,
    /// Bytes; -1 is unlimited.
    pub space_amount: i64,
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

/// Builds a list from pages in any order.
#[derive(Default)]
pub struct UserListBuilder {
    pages: Vec<PackedPage>,
    len: usize,
    /// Reused for every page, so that each page is one allocation of the right size.
    buffer: Vec<u8>,
    starts: Vec<u32>,
}

/// The encoded users of one page, and the offset of each.
struct PackedPage {
    bytes: Box<[u8]>,
    starts: Box<[u32]>,
}

/// The size at which a page is split, however much is pushed at once: offsets are 32 bits wide.
const PAGE_BYTES: usize = 1 << 20;

impl UserListBuilder {
    /// Adds users. Of two users with the same id the later one wins, also across pages.
    pub fn push_page<'a>(&mut self, users: impl IntoIterator<Item = UserRecord<'a>>) {
        for user in users {
            if self.buffer.len() >= PAGE_BYTES {
                self.flush_page();
            }
            self.starts.push(u32::try_from(self.buffer.len()).expect("below PAGE_BYTES"));
            let buffer = std::mem::take(&mut self.buffer);
            self.buffer = postcard::to_extend(&user, buffer).expect("strings and numbers always serialize");
        }
        self.flush_page();
    }

    fn flush_page(&mut self) {
        if self.starts.is_empty() {
            return;
        }
        self.len += self.starts.len();
        self.pages.push(PackedPage { bytes: self.buffer.as_slice().into(), starts: self.starts.as_slice().into() });
        self.buffer.clear();
        self.starts.clear();
    }

    /// The number of users pushed so far, duplicates included.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sorts by id and keeps the last user of each id.
    pub fn build(self) -> UserList {
        // The index is allocated once, since its length is known: growing it would briefly take three times its space.
        let mut index = Vec::with_capacity(self.len);
        let mut pages = Vec::with_capacity(self.pages.len());
        for (number, PackedPage { bytes, starts }) in self.pages.into_iter().enumerate() {
            let page = u32::try_from(number).expect("page count fits in u32");
            index.extend(starts.iter().map(|&byte| UserOffset { page, byte }));
            pages.push(bytes);
        }
        let mut list = UserList { pages, index: Vec::new() };
        let id = |at: &UserOffset| list.unpack_id(*at);
        // The later one first, so that dedup keeps it. The unstable sort needs no scratch space and is linear for sorted input.
        index.sort_unstable_by(|a, b| compare_ids(id(a), id(b)).then_with(|| b.cmp(a)));
        index.dedup_by(|later, retained| id(later) == id(retained));
        index.shrink_to_fit();
        list.index = index;
        list
    }
}

/// The position of a user. Ordered by page, then by offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct UserOffset {
    page: u32,
    byte: u32,
}

/// A complete list, sorted [by id](compare_ids), without duplicates. Immutable.
#[derive(Default)]
pub struct UserList {
    pages: Vec<Box<[u8]>>,
    index: Vec<UserOffset>,
}

impl UserList {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The users in the order of their ids, decoded one by one.
    pub fn iter_users(&self) -> impl ExactSizeIterator<Item = UserRecord<'_>> {
        self.index.iter().map(|at| self.unpack(*at))
    }

    /// The user at an index.
    ///
    /// # Panics
    /// If the index is out of bounds.
    pub fn user_at(&self, at: usize) -> UserRecord<'_> {
        self.unpack(self.index[at])
    }

    /// The id of the user at an index.
    ///
    /// # Panics
    /// If the index is out of bounds.
    pub fn id_at(&self, at: usize) -> &str {
        self.unpack_id(self.index[at])
    }

    /// Whether the list contains a user with this id.
    pub fn contains(&self, id: &str) -> bool {
        self.index_of(id).is_some()
    }

    /// The user with this id.
    pub fn find_user(&self, id: &str) -> Option<UserRecord<'_>> {
        self.index_of(id).map(|at| self.user_at(at))
    }

    fn index_of(&self, id: &str) -> Option<usize> {
        self.index.binary_search_by(|at| compare_ids(self.unpack_id(*at), id)).ok()
    }

    /// Counts the users by status. Iterates over all users.
    pub fn count_users(&self) -> UserCounts {
        let mut counts = UserCounts::default();
        for user in self.iter_users() {
            counts.total += 1;
            *match user.status {
                UserStatus::Active => &mut counts.active,
                UserStatus::Inactive => &mut counts.inactive,
                UserStatus::CannotDeleteEdit | UserStatus::CannotDeleteEditUpload => &mut counts.restricted,
                // Box may add restrictions.
                UserStatus::Other(name) if name.starts_with("cannot_delete_edit") => &mut counts.restricted,
                UserStatus::Other(_) => &mut counts.other,
            } += 1;
            counts.app += i64::from(user.app);
        }
        counts
    }

    /// The size of the list in memory in bytes, including the index.
    pub fn memory_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.len()).sum::<usize>() + self.index.len() * size_of::<UserOffset>()
    }

    fn unpack_id(&self, at: UserOffset) -> &str {
        self.unpack(at)
    }

    /// A whole user, or its first field: the id.
    fn unpack<'a, T: Deserialize<'a>>(&'a self, at: UserOffset) -> T {
        let bytes = &self.pages[at.page as usize][at.byte as usize..];
        postcard::take_from_bytes(bytes).expect("packed by UserListBuilder").0
    }
}

/// Prints counts only: the list holds personal data.
impl fmt::Debug for UserList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserList")
            .field("users", &self.len())
            .field("bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "user_list_tests.rs"]
mod tests;
