//! sync — one sync run: fetch the complete list from Box, ask it about users who are missing, then publish the list.
//! Invariant: depends on the Box client, the user list and the roster. A run that ends early leaves the published list
//! unchanged.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::SyncProgress,
    box_client::{self, Client, Limits},
    roster::{self, PublishRequest, PublishResult, PublishStep, RemovalAnswers, Store, Undecided},
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

/// Fetches the complete list and publishes it. `make_request` is called with the size of the list in bytes when it is
/// complete.
///
/// A list that lacks users is not believed by itself: Box is asked about them one by one. If it contradicts the list, the
/// list is fetched once more.
///
/// # Errors
/// The list could not be fetched completely or not be published, or Box contradicts itself again.
pub async fn run<'a>(
    client: &Client,
    limits: Limits,
    progress: &watch::Sender<SyncProgress>,
    store: &Store,
    make_request: impl FnOnce(usize) -> PublishRequest<'a>,
    now: impl Fn() -> Timestamp,
) -> Result<PublishResult, Error> {
    let mut answers = RemovalAnswers::default();
    let list = fetch_list(client, limits, progress).await?;
    let mut publishing = Publishing::new(client, store, make_request(list.memory_bytes()));
    match publishing.publish(&list, &mut answers, &now).await? {
        PublishStep::Published(published) => return Ok(*published),
        PublishStep::Undecided(undecided) => {
            tracing::info!(missing = %undecided, "the list is fetched again");
            answers.keep_for_next_list(&list);
        }
    }
    drop(list);
    let list = fetch_list(client, limits, progress).await?;
    match publishing.publish(&list, &mut answers, &now).await? {
        PublishStep::Published(published) => Ok(*published),
        PublishStep::Undecided(Undecided::Incomplete(users)) => Err(box_client::Error::incomplete_list(users).into()),
        PublishStep::Undecided(Undecided::Unproven | Undecided::AskAbout(_)) => {
            Err(box_client::Error::different_lists().into())
        }
    }
}

/// Single users that Box is asked about at once.
const MAX_CONCURRENT_LOOKUPS: usize = 4;

struct Publishing<'a> {
    client: &'a Client,
    store: &'a Store,
    request: PublishRequest<'a>,
    /// Calls of the sync that `client` has not counted.
    other_calls: i64,
}

impl<'a> Publishing<'a> {
    fn new(client: &'a Client, store: &'a Store, request: PublishRequest<'a>) -> Self {
        let other_calls = request.change.calls - i64::from(client.call_count());
        Self { client, store, request, other_calls }
    }

    /// Publishes the list as soon as Box has been asked about everybody it must be asked about.
    async fn publish(
        &mut self,
        list: &UserList,
        answers: &mut RemovalAnswers,
        now: impl Fn() -> Timestamp,
    ) -> Result<PublishStep, Error> {
        loop {
            self.request.change.calls = self.other_calls + i64::from(self.client.call_count());
            match roster::publish_list(self.store, &self.request, list, answers, &now).await? {
                PublishStep::Undecided(Undecided::AskAbout(ids)) => self.ask_about(ids, answers).await?,
                step => return Ok(step),
            }
        }
    }

    async fn ask_about(&self, ids: Vec<String>, answers: &mut RemovalAnswers) -> Result<(), box_client::Error> {
        let enterprise_id = self.request.enterprise_id;
        let mut lookups = stream::iter(ids)
            .map(async |id| {
                let standing = self.client.look_up_user(&id, enterprise_id).await;
                tracing::debug!(user_id = id, ?standing, "Box was asked about a user who is missing");
                standing.map(|standing| (id, standing))
            })
            .buffer_unordered(MAX_CONCURRENT_LOOKUPS);
        while let Some((id, standing)) = lookups.try_next().await? {
            answers.insert(id, standing);
        }
        Ok(())
    }
}
