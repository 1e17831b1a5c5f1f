//! Packed users: all in one allocation, so that a user takes about 100 bytes instead of 600 as a struct of strings.

use std::fmt;

use super::User;

/// Some users, packed in the order in which they were pushed.
#[derive(Default)]
pub struct UserPage {
    pub(super) bytes: Vec<u8>,
    /// The offset of each user.
    pub(super) starts: Vec<u32>,
}

impl UserPage {
    /// # Panics
    /// If the page holds 4 GiB already. A page of Box is limited to 16 MiB, and [`UserListBuilder`](super::UserListBuilder)
    /// splits what is longer than 1 MiB.
    pub fn push(&mut self, user: &User<'_>) {
        self.starts.push(u32::try_from(self.bytes.len()).expect("a page is far below 4 GiB"));
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(user, bytes).expect("strings and numbers always serialize");
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The size of the users in memory in bytes, without spare capacity.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.starts.len() * size_of::<u32>()
    }

    /// The users, decoded one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        self.starts.iter().map(|&start| unpack(&self.bytes, start))
    }

    /// The ids of the users; cheaper than [`iter`](Self::iter).
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.starts.iter().map(|&start| unpack(&self.bytes, start))
    }
}

/// Shows no personal data.
impl fmt::Debug for UserPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPage").field("users", &self.len()).finish_non_exhaustive()
    }
}

/// A whole user at this offset, or its first field: the id.
pub(super) fn unpack<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], start: u32) -> T {
    postcard::take_from_bytes(&bytes[start as usize..]).expect("packed by UserPage::push").0
}
