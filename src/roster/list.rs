//! The list in memory, packed: one allocation a page, eight bytes of index a user. Some 100 bytes a user instead of 600 as structs.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::UserCounts;

/// A user of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    // Stays first: the id alone is read for sorting.
    pub id: &'a str,
    pub login: &'a str,
    pub name: &'a str,
    pub job_title: &'a str,
    pub language: &'a str,
    pub timezone: &'a str,
    #[serde(borrow)]
    pub status: Status<'a>,
    #[serde(borrow)]
    pub role: Role<'a>,
    /// Whether this is an app user.
    pub app: bool,
    /// Seconds since 1970.
    pub created_at: Option<i64>,
    /// Bytes; -1 is unlimited.
    pub space_amount: i64,
}

/// What a user may do. `Other` is a status that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status<'a> {
    Active,
    Inactive,
    CannotDeleteEdit,
    CannotDeleteEditUpload,
    Other(&'a str),
}

impl<'a> Status<'a> {
    pub fn named(name: &'a str) -> Self {
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

/// What a user is in the enterprise. `Other` is a role that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role<'a> {
    Admin,
    Coadmin,
    User,
    Other(&'a str),
}

impl<'a> Role<'a> {
    pub fn named(name: &'a str) -> Self {
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

/// The order of every list: shorter ids first, then by their bytes. For ids that are numbers this is the order of the numbers.
pub fn by_id(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A list in the making: pages in any order of arrival.
#[derive(Default)]
pub struct Builder {
    pages: Vec<Packed>,
    len: usize,
    /// Kept from page to page, so that each page is one allocation of the right size.
    scratch: Vec<u8>,
    starts: Vec<u32>,
}

/// The users of one page, one behind the other, and where each begins.
struct Packed {
    bytes: Box<[u8]>,
    starts: Box<[u32]>,
}

/// No page grows beyond this, however much is pushed at once: positions in it are 32 bits wide.
const PAGE_BYTES: usize = 1 << 20;

impl Builder {
    /// Adds users. Of two with the same id the later one counts, whichever page it came on.
    pub fn push_page<'a>(&mut self, users: impl IntoIterator<Item = Entry<'a>>) {
        for user in users {
            if self.scratch.len() >= PAGE_BYTES {
                self.pack();
            }
            self.starts.push(u32::try_from(self.scratch.len()).expect("below PAGE_BYTES"));
            let scratch = std::mem::take(&mut self.scratch);
            self.scratch = postcard::to_extend(&user, scratch).expect("texts and numbers always serialize");
        }
        self.pack();
    }

    fn pack(&mut self) {
        if self.starts.is_empty() {
            return;
        }
        self.len += self.starts.len();
        self.pages.push(Packed { bytes: self.scratch.as_slice().into(), starts: self.starts.as_slice().into() });
        self.scratch.clear();
        self.starts.clear();
    }

    /// Users pushed so far; one who was pushed twice counts twice.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sorts, and leaves the last of each id.
    pub fn finish(self) -> List {
        // The index is made once, now that its length is known: one that grew would for a moment take three times its space.
        let mut index = Vec::with_capacity(self.len);
        let mut pages = Vec::with_capacity(self.pages.len());
        for (number, Packed { bytes, starts }) in self.pages.into_iter().enumerate() {
            let page = u32::try_from(number).expect("fewer pages than users, and those fit");
            index.extend(starts.iter().map(|&byte| At { page, byte }));
            pages.push(bytes);
        }
        let mut list = List { pages, index: Vec::new() };
        let id = |at: &At| list.id(*at);
        // The later one first, so that it is the one that stays. Without scratch space, and linear if Box kept its order.
        index.sort_unstable_by(|a, b| by_id(id(a), id(b)).then_with(|| b.cmp(a)));
        index.dedup_by(|later, kept| id(later) == id(kept));
        index.shrink_to_fit();
        list.index = index;
        list
    }
}

/// Where a user begins. Later pages and later places are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    page: u32,
    byte: u32,
}

/// A complete list, sorted [by id](by_id), every id once. It never changes.
#[derive(Default)]
pub struct List {
    pages: Vec<Box<[u8]>>,
    index: Vec<At>,
}

impl List {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The users in the order of their ids, unpacked one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.index.iter().map(|at| self.read(*at))
    }

    /// The user at this place.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, at: usize) -> Entry<'_> {
        self.read(self.index[at])
    }

    /// The id of the user at this place.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn id_at(&self, at: usize) -> &str {
        self.id(self.index[at])
    }

    /// Whether there is a user of this id.
    pub fn contains(&self, id: &str) -> bool {
        self.place(id).is_some()
    }

    /// The user of this id.
    pub fn find(&self, id: &str) -> Option<Entry<'_>> {
        self.place(id).map(|at| self.get(at))
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.index.binary_search_by(|at| by_id(self.id(*at), id)).ok()
    }

    /// How many there are of each kind. Looks at every user.
    pub fn counts(&self) -> UserCounts {
        let mut counts = UserCounts::default();
        for user in self.iter() {
            counts.total += 1;
            *match user.status {
                Status::Active => &mut counts.active,
                Status::Inactive => &mut counts.inactive,
                Status::CannotDeleteEdit | Status::CannotDeleteEditUpload => &mut counts.restricted,
                // Box's family of restrictions may grow.
                Status::Other(name) if name.starts_with("cannot_delete_edit") => &mut counts.restricted,
                Status::Other(_) => &mut counts.other,
            } += 1;
            counts.app += i64::from(user.app);
        }
        counts
    }

    /// Bytes that the list takes in memory, the index included.
    pub fn payload(&self) -> usize {
        self.pages.iter().map(|page| page.len()).sum::<usize>() + self.index.len() * size_of::<At>()
    }

    fn id(&self, at: At) -> &str {
        self.read(at)
    }

    /// A whole user, or what stands first in one: its id.
    fn read<'a, T: Deserialize<'a>>(&'a self, at: At) -> T {
        let bytes = &self.pages[at.page as usize][at.byte as usize..];
        postcard::take_from_bytes(bytes).expect("our own bytes").0
    }
}

/// Counts, never names: a list holds people.
impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("users", &self.len()).field("bytes", &self.payload()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
