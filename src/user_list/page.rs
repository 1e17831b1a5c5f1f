//! Packed users: all in one allocation, so that a user takes about 100 bytes instead of 600 as a struct of strings.

use std::{collections::HashMap, fmt};

use serde::{Deserialize, Serialize};

use super::{TrackingCodes, User};

/// Some users, packed in the order in which they were pushed.
#[derive(Default)]
pub struct UserPage {
    pub(super) bytes: Vec<u8>,
    /// The offset of each user.
    pub(super) starts: Vec<u32>,
    /// The offset of each different set of tracking codes: most users share theirs with others.
    codes: HashMap<Vec<u8>, u32>,
}

/// What is packed behind a user: one byte, and the offset of the tracking codes where there are any.
#[derive(Serialize, Deserialize)]
enum UserTail {
    Person,
    App,
    PersonWithCodes(u32),
    AppWithCodes(u32),
}

impl UserPage {
    /// # Panics
    /// If the page holds 4 GiB already. A page of Box is limited to 16 MiB, and [`UserListBuilder`](super::UserListBuilder)
    /// splits what is longer than 1 MiB.
    pub fn push(&mut self, user: &User<'_>) {
        let tail = match (self.push_codes(user.tracking_codes), user.app) {
            (None, false) => UserTail::Person,
            (None, true) => UserTail::App,
            (Some(codes), false) => UserTail::PersonWithCodes(codes),
            (Some(codes), true) => UserTail::AppWithCodes(codes),
        };
        let start = self.append(&(user, tail));
        self.starts.push(start);
    }

    /// The offset of these codes; `None` if there are none.
    fn push_codes(&mut self, codes: TrackingCodes<'_>) -> Option<u32> {
        let packed = codes.pack();
        if packed.is_empty() {
            return None;
        }
        if let Some(known) = self.codes.get(&packed) {
            return Some(*known);
        }
        let start = self.append(packed.as_slice());
        self.codes.insert(packed, start);
        Some(start)
    }

    /// Packs a value; returns its offset.
    fn append(&mut self, value: &(impl Serialize + ?Sized)) -> u32 {
        let start = u32::try_from(self.bytes.len()).expect("a page is far below 4 GiB");
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(value, bytes).expect("strings and numbers always serialize");
        start
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
        self.starts.iter().map(|&start| unpack_user(&self.bytes, start))
    }

    /// The ids of the users; cheaper than [`iter`](Self::iter).
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.starts.iter().map(|&start| unpack_id(&self.bytes, start))
    }
}

/// Shows no personal data.
impl fmt::Debug for UserPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPage").field("users", &self.len()).finish_non_exhaustive()
    }
}

/// The user at this offset.
pub(super) fn unpack_user(bytes: &[u8], start: u32) -> User<'_> {
    let (user, tail): (User<'_>, UserTail) = unpack(bytes, start);
    let codes = |start| TrackingCodes::from_packed(unpack(bytes, start));
    let (app, tracking_codes) = match tail {
        UserTail::Person => (false, TrackingCodes::default()),
        UserTail::App => (true, TrackingCodes::default()),
        UserTail::PersonWithCodes(start) => (false, codes(start)),
        UserTail::AppWithCodes(start) => (true, codes(start)),
    };
    User { app, tracking_codes, ..user }
}

/// The id of the user at this offset: its first field.
pub(super) fn unpack_id(bytes: &[u8], start: u32) -> &str {
    unpack(bytes, start)
}

fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8], start: u32) -> T {
    postcard::take_from_bytes(&bytes[start as usize..]).expect("packed by UserPage").0
}
