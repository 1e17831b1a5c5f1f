//! sync — one run: walk Box to the end, and only then speak.
//! Invariant: knows the list and Box, but no cluster. Whatever ends a walk early leaves nothing behind.

use tokio::sync::watch;

use crate::{
    api::{Progress, UserCounts},
    boxapi::{self, Caps, User, Visit},
    roster::{Builder, Entry, List, Role, Status},
};

/// What a complete walk found.
pub struct Outcome {
    pub list: List,
    pub users: UserCounts,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Box(#[from] boxapi::Error),
    /// An enterprise has an admin at least, so that an empty list is never true.
    #[error("Box answered with a list without a single user")]
    NoUsers,
}

/// Fetches the whole list; tells after each page how far it is.
pub async fn run(visit: &Visit, caps: Caps, progress: &watch::Sender<Progress>) -> Result<Outcome, Error> {
    let mut walk = visit.users(caps);
    let mut builder = Builder::default();
    while let Some(page) = walk.next().await? {
        builder.push_page(page.users().map(entry));
        progress.send_modify(|p| {
            p.pages += 1;
            p.users = i64::try_from(builder.len()).unwrap_or(i64::MAX);
        });
    }
    let list = builder.finish();
    let users = list.counts();
    if users.total == 0 { Err(Error::NoUsers) } else { Ok(Outcome { list, users }) }
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
