//! Paging through all users of the enterprise. The caller decides between two pages whether to continue.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::{
    call_observer::Endpoint,
    client::Client,
    error::{Error, InvalidResponse, LimitExceeded},
    user_page::{USER_FIELDS, parse_user_page},
};
use crate::user_list::UserPage;

/// The number of consecutive pages without a new user that is tolerated.
const MAX_IDLE_PAGES: u32 = 5;

/// The limits of a listing; beyond them it fails with [`Error::LimitExceeded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Users on all pages; a user on two pages counts twice.
    pub users: usize,
    pub pages: u32,
    /// Bytes of one response.
    pub page_bytes: usize,
    /// Bytes of all pages, packed.
    pub list_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { users: 2_000_000, pages: 20_000, page_bytes: 16 << 20, list_bytes: 512 << 20 }
    }
}

/// The pages of a listing. It is complete only when [`next`](Self::next) has returned `None`.
pub struct UserPages<'v> {
    client: &'v Client,
    limits: Limits,
    position: PagePosition,
    page_count: u32,
    user_count: usize,
    list_bytes: usize,
    idle_pages: u32,
    hash_builder: RandomState,
    /// Hashes of the markers that Box sent.
    seen_markers: HashSet<u64>,
    /// Fingerprints of the pages that Box sent.
    seen_pages: HashSet<u64>,
}

impl Client {
    /// Checks the right to list users with a request for one user.
    pub async fn check_list_access(&self) -> Result<(), Error> {
        let path = "/2.0/users?usemarker=true&limit=1&user_type=managed&fields=id";
        let body = self.get_authorized(Endpoint::Users, path).await?;
        match parse_user_page(&body).map_err(|error| body.explain(error))? {
            (page, None) if page.is_empty() => Err(Error::invalid_response(InvalidResponse::EmptyUserList)),
            _ => Ok(()),
        }
    }

    /// Lists all users of the enterprise page by page. Calls Box only when a page is requested.
    pub fn list_users(&self, limits: Limits) -> UserPages<'_> {
        UserPages::new(self, limits)
    }
}

enum PagePosition {
    Start,
    Marker(String),
    End,
}

impl<'v> UserPages<'v> {
    fn new(client: &'v Client, limits: Limits) -> Self {
        let (seen_markers, seen_pages) = (HashSet::new(), HashSet::new());
        Self {
            client,
            limits,
            position: PagePosition::Start,
            page_count: 0,
            user_count: 0,
            list_bytes: 0,
            idle_pages: 0,
            hash_builder: RandomState::new(),
            seen_markers,
            seen_pages,
        }
    }

    /// The next page; `None` only after the last page.
    ///
    /// After an error, the next call requests the same page again.
    pub async fn next(&mut self) -> Result<Option<UserPage>, Error> {
        let mut path = format!("/2.0/users?usemarker=true&limit=1000&user_type=managed&fields={USER_FIELDS}");
        match &self.position {
            PagePosition::Start => {}
            PagePosition::Marker(marker) => {
                path.push_str("&marker=");
                // Outside of forms, not every server decodes `+` as a space.
                let encoded = form_urlencoded::byte_serialize(marker.as_bytes());
                path.extend(encoded.map(|part| if part == "+" { "%20" } else { part }));
            }
            PagePosition::End => return Ok(None),
        }
        if self.page_count >= self.limits.pages {
            return Err(Error::LimitExceeded(LimitExceeded::Pages(self.limits.pages)));
        }
        let body = self.client.get_authorized(Endpoint::Users, &path).await?;
        if body.len() > self.limits.page_bytes {
            return Err(Error::LimitExceeded(LimitExceeded::Bytes(self.limits.page_bytes)));
        }
        let number = self.page_count + 1;
        let (page, marker) = parse_user_page(&body).map_err(|error| body.explain(error.on_page(number)))?;
        self.accept_page(page, marker).map(Some).map_err(|error| body.explain(error))
    }

    /// The number of pages so far.
    pub fn page_count(&self) -> u32 {
        self.page_count
    }

    /// Checks everything before it changes the state, so that a rejected page has no effect.
    fn accept_page(&mut self, page: UserPage, marker: Option<String>) -> Result<UserPage, Error> {
        let user_count = self.user_count + page.len();
        if user_count > self.limits.users {
            return Err(Error::LimitExceeded(LimitExceeded::Users(self.limits.users)));
        }
        let list_bytes = self.list_bytes + page.memory_bytes();
        if list_bytes > self.limits.list_bytes {
            return Err(Error::LimitExceeded(LimitExceeded::ListBytes(self.limits.list_bytes)));
        }
        let marker_hash = marker.as_ref().map(|marker| self.hash_builder.hash_one(marker));
        if marker_hash.is_some_and(|marker_hash| self.seen_markers.contains(&marker_hash)) {
            return Err(Error::invalid_response(InvalidResponse::RepeatedMarker));
        }
        let fingerprint = hash_ids(&page, &self.hash_builder);
        let idle_pages = match page.is_empty() || self.seen_pages.contains(&fingerprint) {
            true => self.idle_pages + 1,
            false => 0,
        };
        match marker {
            Some(_) if idle_pages > MAX_IDLE_PAGES => {
                return Err(Error::invalid_response(InvalidResponse::NoProgress(idle_pages)));
            }
            None if user_count == 0 => return Err(Error::invalid_response(InvalidResponse::EmptyUserList)),
            Some(marker) => self.position = PagePosition::Marker(marker),
            None => self.position = PagePosition::End,
        }
        self.seen_markers.extend(marker_hash);
        self.seen_pages.insert(fingerprint);
        (self.page_count, self.user_count, self.list_bytes) = (self.page_count + 1, user_count, list_bytes);
        self.idle_pages = idle_pages;
        Ok(page)
    }
}

fn hash_ids(page: &UserPage, hash_builder: &RandomState) -> u64 {
    let mut hasher = hash_builder.build_hasher();
    for id in page.ids() {
        hasher.write(id.as_bytes());
        hasher.write_u8(b'\n');
    }
    hasher.finish()
}
