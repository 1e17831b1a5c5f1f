//! The complete list: the pages as they came, and a sorted index of eight bytes per user.

use std::fmt;

use super::{
    User, UserPage, compare_ids,
    page::{unpack_id, unpack_user},
};

/// The size at which [`UserListBuilder::push_users`] begins a new page.
const PAGE_BYTES: usize = 1 << 20;

/// Builds a list from pages in any order. Of two users with the same id the later one wins, also across pages.
#[derive(Default)]
pub struct UserListBuilder {
    pages: Vec<StoredPage>,
    len: usize,
}

/// A page without spare capacity.
struct StoredPage {
    bytes: Box<[u8]>,
    starts: Box<[u32]>,
}

impl UserListBuilder {
    pub fn push_page(&mut self, page: UserPage) {
        if !page.is_empty() {
            self.len += page.len();
            let (bytes, starts) = (page.bytes.into_boxed_slice(), page.starts.into_boxed_slice());
            self.pages.push(StoredPage { bytes, starts });
        }
    }

    /// Adds any number of users.
    pub fn push_users<'a>(&mut self, users: impl IntoIterator<Item = User<'a>>) {
        let mut page = UserPage::default();
        for user in users {
            if page.bytes.len() >= PAGE_BYTES {
                self.push_page(std::mem::take(&mut page));
            }
            page.push(&user);
        }
        self.push_page(page);
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
        for (number, StoredPage { bytes, starts }) in self.pages.into_iter().enumerate() {
            let page = u32::try_from(number).expect("page count fits in u32");
            index.extend(starts.iter().map(|&byte| UserOffset { page, byte }));
            pages.push(bytes);
        }
        let mut list = UserList { pages, index: Vec::new(), duplicates: 0 };
        let id = |at: &UserOffset| list.unpack_id(*at);
        // The later one first, so that dedup keeps it. The unstable sort needs no scratch space and is linear for sorted input.
        index.sort_unstable_by(|a, b| compare_ids(id(a), id(b)).then_with(|| b.cmp(a)));
        let pushed = index.len();
        index.dedup_by(|later, retained| id(later) == id(retained));
        let duplicates = pushed - index.len();
        index.shrink_to_fit();
        (list.index, list.duplicates) = (index, duplicates);
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
    duplicates: usize,
}

impl UserList {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many of the users that were pushed had the id of another one.
    pub fn duplicate_count(&self) -> usize {
        self.duplicates
    }

    /// The users in the order of their ids, decoded one by one.
    pub fn iter_users(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        self.index.iter().map(|at| self.unpack(*at))
    }

    /// The user at an index.
    ///
    /// # Panics
    /// If the index is out of bounds.
    pub fn user_at(&self, at: usize) -> User<'_> {
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
    pub fn find_user(&self, id: &str) -> Option<User<'_>> {
        self.index_of(id).map(|at| self.user_at(at))
    }

    fn index_of(&self, id: &str) -> Option<usize> {
        self.index.binary_search_by(|at| compare_ids(self.unpack_id(*at), id)).ok()
    }

    /// The size of the list in memory in bytes, including the index.
    pub fn memory_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.len()).sum::<usize>() + self.index.len() * size_of::<UserOffset>()
    }

    fn unpack_id(&self, at: UserOffset) -> &str {
        unpack_id(&self.pages[at.page as usize], at.byte)
    }

    fn unpack(&self, at: UserOffset) -> User<'_> {
        unpack_user(&self.pages[at.page as usize], at.byte)
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
