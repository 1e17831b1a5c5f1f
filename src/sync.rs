//! sync — one sync run: fetch the complete list from Box, then publish it.
//! Invariant: depends on the Box client, the user list and the roster. A run that ends early leaves the published list
//! unchanged.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::SyncProgress,
    box_client::{self, Client, Limits},
    roster::{self, PublishRequest, PublishResult, Store},
    user_list::{UserList, UserListBuilder},
};

/// Why a run published nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Box(#[from] box_client::Error),
    #[error(transparent)]
    Roster(#[from] roster::Error),
}

/// Fetches the complete list. Sends the progress after each page.
///
/// # Errors
/// The list could not be fetched completely, or Box returned no users.
pub async fn fetch_list(
    client: &Client,
    limits: Limits,
    progress: &watch::Sender<SyncProgress>,
) -> Result<UserList, box_client::Error> {
    let mut pages = client.list_users(limits);
    let mut builder = UserListBuilder::default();
    while let Some(page) = pages.next().await? {
        builder.push_page(page);
        let users = i64::try_from(builder.len()).unwrap_or(i64::MAX);
        tracing::debug!(page = pages.page_count(), users, "page received");
        progress.send_replace(SyncProgress { pages: pages.page_count().into(), users });
    }
    Ok(builder.build())
}

/// Fetches the complete list and publishes it. `make_request` is called with the
/// size of the list in bytes when it is complete and Box is no longer needed.
///
/// # Errors
/// The list could not be fetched completely or not be published.
pub async fn run<'a>(
    client: &Client,
    limits: Limits,
    progress: &watch::Sender<SyncProgress>,
    store: &Store,
    make_request: impl FnOnce(usize) -> PublishRequest<'a>,
    now: impl Fn() -> Timestamp,
) -> Result<PublishResult, Error> {
    let list = fetch_list(client, limits, progress).await?;
    Ok(roster::publish_list(store, &make_request(list.memory_bytes()), &list, now).await?)
}
