//! sync — one sync run: fetch the complete list from Box, then publish it.
//! Invariant: depends on the Box client and on the roster. A run that ends early leaves the published list unchanged.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::SyncProgress,
    box_client::{self, Client, Limits, User},
    roster::{self, PublishRequest, PublishResult, Store, UserList, UserListBuilder, UserRecord, UserRole, UserStatus},
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
        builder.push_page(page.iter().map(to_user_record));
        let users = i64::try_from(builder.len()).unwrap_or(i64::MAX);
        tracing::debug!(page = pages.page_count(), users, "page received");
        progress.send_replace(SyncProgress { pages: pages.page_count().into(), users });
    }
    Ok(builder.build())
}

/// Fetches the complete list and publishes it. `make_request` is called when the list is complete.
///
/// # Errors
/// The list could not be fetched completely or not be published.
pub async fn run<'a>(
    client: &Client,
    limits: Limits,
    progress: &watch::Sender<SyncProgress>,
    store: &Store,
    make_request: impl FnOnce() -> PublishRequest<'a>,
    now: impl Fn() -> Timestamp,
) -> Result<PublishResult, Error> {
    let list = fetch_list(client, limits, progress).await?;
    Ok(roster::publish_list(store, &make_request(), &list, now).await?)
}

/// Converts a user of the Box API to a record of the list.
fn to_user_record(user: User<'_>) -> UserRecord<'_> {
    let User { id, login, name, status, role, job_title, language, timezone, app, created_at, space_amount } = user;
    UserRecord {
        id,
        login,
        name,
        job_title,
        language,
        timezone,
        status: UserStatus::from_name(status),
        role: UserRole::from_name(role),
        app,
        created_at: created_at.map(|t| t.as_second()),
        space_amount,
    }
}
