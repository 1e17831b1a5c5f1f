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

/// Fetches the whole list; tells after each page how far it is.
///
/// # Errors
/// Whatever kept the walk from Box's own end, an answer without a single user included.
pub async fn run(visit: &Visit, caps: Caps, progress: &watch::Sender<Progress>) -> Result<Outcome, boxapi::Error> {
    let mut walk = visit.users(caps);
    let mut builder = Builder::default();
    while let Some(page) = walk.next().await? {
        builder.push_page(page.users().map(entry));
        let users = i64::try_from(builder.len()).unwrap_or(i64::MAX);
        progress.send_replace(Progress { pages: walk.pages().into(), users });
    }
    let list = builder.finish();
    Ok(Outcome { users: list.counts(), list })
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
