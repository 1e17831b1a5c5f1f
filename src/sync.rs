//! sync — one run: walk Box to the end, and only then publish.
//! Invariant: knows the list, Box and where the list is published. Whatever ends a run early leaves the published list
//! as it was.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::Progress,
    boxapi::{self, Caps, User, Visit},
    roster::{self, Builder, Entry, List, Order, Published, Role, Status, Store},
};

/// Why nothing new was published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Box(#[from] boxapi::Error),
    #[error(transparent)]
    Roster(#[from] roster::Error),
}

/// Fetches the whole list; tells after each page how far it is.
///
/// # Errors
/// Whatever kept the walk from Box's own end, an answer without a single user included.
pub async fn walk(visit: &Visit, caps: Caps, progress: &watch::Sender<Progress>) -> Result<List, boxapi::Error> {
    let mut walk = visit.users(caps);
    let mut builder = Builder::default();
    while let Some(page) = walk.next().await? {
        builder.push_page(page.users().map(entry));
        let users = i64::try_from(builder.len()).unwrap_or(i64::MAX);
        progress.send_replace(Progress { pages: walk.pages().into(), users });
    }
    Ok(builder.finish())
}

/// Fetches the whole list and publishes it. `order` is called when the list is complete.
///
/// # Errors
/// Whatever kept Box's list from being complete, or from being published.
pub async fn run<'a>(
    visit: &Visit,
    caps: Caps,
    progress: &watch::Sender<Progress>,
    store: &Store,
    order: impl FnOnce() -> Order<'a>,
    now: impl Fn() -> Timestamp,
) -> Result<Published, Error> {
    let list = walk(visit, caps, progress).await?;
    Ok(roster::publish(store, &order(), &list, now).await?)
}

/// A user as Box tells it, as the list keeps it.
fn entry(user: User<'_>) -> Entry<'_> {
    let User { id, login, name, status, role, job_title, language, timezone, app, created_at, space_amount } = user;
    Entry {
        id,
        login,
        name,
        job_title,
        language,
        timezone,
        status: Status::named(status),
        role: Role::named(role),
        app,
        created_at: created_at.map(|t| t.as_second()),
        space_amount,
    }
}
