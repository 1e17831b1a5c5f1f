//! The walk over all users of the enterprise, page by page: whoever drives it decides between two pages whether to go on.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::call::Endpoint;
use super::encode::percent;
use super::error::{Cap, Error, Nonsense};
use super::page::{FIELDS, Page};
use super::session::Visit;

/// Pages in a row that are tolerated without anybody new.
const IDLE_PAGES: u32 = 5;

/// What a walk reads at most; beyond it ends with [`Error::TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Users in all pages together, one who stands on two pages counted twice.
    pub users: usize,
    pub pages: u32,
    /// Bytes of one page as Box sends it.
    pub page_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { users: 2_000_000, pages: 20_000, page_bytes: 16 << 20 }
    }
}

/// A walk over the list. It counts only when [`next`](Self::next) has answered `None`.
pub struct Walk<'v> {
    visit: &'v Visit,
    caps: Caps,
    at: At,
    pages: u32,
    users: usize,
    idle: u32,
    hash: RandomState,
    /// Hashes of the markers that Box sent.
    markers: HashSet<u64>,
    /// Fingerprints of the pages that Box sent.
    seen: HashSet<u64>,
}

/// Asks for one user, to see whether any are given.
pub(super) async fn try_one(visit: &Visit) -> Result<(), Error> {
    let body = visit.get(Endpoint::Users, "/2.0/users?usemarker=true&limit=1&user_type=managed&fields=id").await?;
    match Page::read(&body)? {
        (page, None) if page.is_empty() => Err(Error::invalid(Nonsense::NoUsers)),
        _ => Ok(()),
    }
}

enum At {
    Start,
    Marker(String),
    End,
}

impl<'v> Walk<'v> {
    pub(super) fn new(visit: &'v Visit, caps: Caps) -> Self {
        let (markers, seen) = (HashSet::new(), HashSet::new());
        Self { visit, caps, at: At::Start, pages: 0, users: 0, idle: 0, hash: RandomState::new(), markers, seen }
    }

    /// The next page; `None` at the real end of the list, and only there.
    ///
    /// After an error the walk stands where it stood: to ask again asks for the same page again.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        let mut path = format!("/2.0/users?usemarker=true&limit=1000&user_type=managed&fields={FIELDS}");
        match &self.at {
            At::Start => {}
            At::Marker(marker) => {
                path.push_str("&marker=");
                percent(&mut path, marker);
            }
            At::End => return Ok(None),
        }
        if self.pages >= self.caps.pages {
            return Err(Error::TooLarge(Cap::Pages(self.caps.pages)));
        }
        let body = self.visit.get(Endpoint::Users, &path).await?;
        if body.len() > self.caps.page_bytes {
            return Err(Error::TooLarge(Cap::Bytes(self.caps.page_bytes)));
        }
        let (page, marker) = Page::read(&body)?;
        self.accept(page, marker).map(Some)
    }

    /// Pages so far.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Everything is checked before anything is noted, so that a refused page changes nothing.
    fn accept(&mut self, page: Page, marker: Option<String>) -> Result<Page, Error> {
        let users = self.users + page.len();
        if users > self.caps.users {
            return Err(Error::TooLarge(Cap::Users(self.caps.users)));
        }
        let mark = marker.as_ref().map(|marker| self.hash.hash_one(marker));
        if mark.is_some_and(|mark| self.markers.contains(&mark)) {
            return Err(Error::invalid(Nonsense::MarkerRepeated));
        }
        let fingerprint = page.fingerprint(&self.hash);
        let idle = match page.is_empty() || self.seen.contains(&fingerprint) {
            true => self.idle + 1,
            false => 0,
        };
        match marker {
            Some(_) if idle > IDLE_PAGES => return Err(Error::invalid(Nonsense::Endless(idle))),
            None if users == 0 => return Err(Error::invalid(Nonsense::NoUsers)),
            Some(marker) => self.at = At::Marker(marker),
            None => self.at = At::End,
        }
        self.markers.extend(mark);
        self.seen.insert(fingerprint);
        (self.pages, self.users, self.idle) = (self.pages + 1, users, idle);
        Ok(page)
    }
}
