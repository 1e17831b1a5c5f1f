//! How a list is published: the slices that are missing are written, one list shows that all of them are there, and
//! then the roster is replaced, which is the commit. Whoever is overtaken begins again with what is published then.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::baseline::{compared, current};
use super::cut::{Cut, cut, data, name};
use super::revision::{MOST_SLICES, Next, Piece, Source, Whose, next, told};
use super::store::{Present, Store};
use super::{List, sweep};
use crate::{
    api::{Change, FORMAT, Held, RosterContent, SliceContent, SliceRef, SliceState, UserRoster},
    cluster::Trouble,
};

const AT_ONCE: usize = 4;
/// So often others may be quicker before this sync gives up.
const MOST_STARTS: u32 = 8;
/// How long a finished list waits for an API server that is away, and for one that has just started and denies what it
/// will soon allow.
const PATIENCE: Duration = Duration::from_secs(300);
const DENIED: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is to be published, for whom and why.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The UID of the connection.
    pub owner: &'a str,
    pub enterprise_id: &'a str,
    pub retention: Duration,
    pub max_removal_percent: i32,
    /// The digest of the held removals that somebody approved.
    pub approve: Option<&'a str>,
    /// Revision and number of users of the list that was published last, as the connection's status knows them; `None`:
    /// none ever was.
    pub known: Option<(i64, i64)>,
    /// What started the sync and whom it answers; its numbers are filled in.
    pub change: Change,
}

/// The list is published, or was already.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub roster: RosterContent,
    /// Whether this sync wrote it.
    pub revised: bool,
    /// The digest that was approved, if the approval took effect.
    pub approved: Option<String>,
    /// Slices that no revision names (any more).
    pub unnamed: Vec<Present>,
}

/// Why nothing was published. The list of before stays.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Conflict(#[from] Conflict),
    #[error("{users} users take {slices} slices, more than a roster can name")]
    TooLarge { users: usize, slices: usize },
    #[error("what is known of one user is larger than a slice")]
    LineTooLong,
    /// The published list is lost, and so many users are missing that nobody may believe it unasked.
    #[error("{} of {} users are missing", _0.removals, _0.total)]
    Unknown(Held),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// A roster of this name is there that is not ours to replace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("it belongs to another owner")]
    OtherOwner,
    #[error("it holds the users of enterprise {0}")]
    OtherEnterprise(String),
    #[error("it is in format {0}, which this version cannot read")]
    NewerFormat(i64),
}

/// Whether a roster is ours; `false`: it belongs to nobody and is to be adopted.
///
/// # Errors
/// Where it is somebody else's.
pub fn standing(roster: &UserRoster, owner: &str, enterprise_id: &str) -> Result<bool, Conflict> {
    if roster.spec.format > FORMAT {
        return Err(Conflict::NewerFormat(roster.spec.format));
    }
    let owners = roster.owner_references();
    if owners.iter().any(|o| o.uid == owner) {
        return Ok(true);
    }
    if !owners.is_empty() {
        return Err(Conflict::OtherOwner);
    }
    if roster.spec.enterprise_id != enterprise_id {
        return Err(Conflict::OtherEnterprise(roster.spec.enterprise_id.clone()));
    }
    Ok(false)
}

/// Why an attempt came to nothing.
pub(super) enum Setback {
    /// Somebody else was quicker.
    Overtaken,
    Refused(Error),
    Trouble(Trouble),
}

impl From<Trouble> for Setback {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Conflict => Setback::Overtaken,
            other => Setback::Trouble(other),
        }
    }
}

/// Publishes a complete list, as a new revision if it differs from the published one.
///
/// # Errors
/// Where it must not or could not be published; nothing has changed for readers then.
pub async fn publish(
    store: &Store,
    order: &Order<'_>,
    list: &List,
    now: impl Fn() -> Timestamp,
) -> Result<Published, Error> {
    let cuts = cut(list).map_err(|_| Error::LineTooLong)?;
    if cuts.len() > MOST_SLICES {
        return Err(Error::TooLarge { users: list.len(), slices: cuts.len() });
    }
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut overtaken = 0;
    // Since when the API server, which can be reached, denies what it may soon allow.
    let mut denied = None;
    // A commit whose answer was lost.
    let mut sent = None;
    loop {
        let trouble = match attempt(store, order, list, &cuts, now(), overtaken, &mut sent).await {
            Ok(published) => return Ok(published),
            Err(Setback::Refused(error)) => return Err(error),
            Err(Setback::Overtaken) if overtaken == MOST_STARTS => return Err(Error::Trouble(Trouble::Conflict)),
            Err(Setback::Overtaken) => {
                overtaken += 1;
                continue;
            }
            Err(Setback::Trouble(trouble)) => trouble,
        };
        let left = match &trouble {
            Trouble::Unreachable(_) | Trouble::Refused { code: 429 | 500.., .. } => {
                denied = None;
                PATIENCE.saturating_sub(begun.elapsed())
            }
            Trouble::Forbidden(_) | Trouble::NotServed => {
                DENIED.saturating_sub(denied.get_or_insert_with(Instant::now).elapsed())
            }
            Trouble::NotFound | Trouble::Conflict | Trouble::Refused { .. } => Duration::ZERO,
        };
        if left.is_zero() {
            return Err(Error::Trouble(trouble));
        }
        tracing::warn!(connection = store.connection(), %trouble, "the list is not published yet");
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(
    store: &Store,
    order: &Order<'_>,
    list: &List,
    cuts: &[Cut],
    now: Timestamp,
    overtaken: u32,
    sent: &mut Option<RosterContent>,
) -> Result<Published, Setback> {
    let roster = store.roster().await?;
    if let Some((roster, sent)) = roster.as_ref().zip(sent.take()).filter(|(r, sent)| is(&r.spec, sent)) {
        let present = store.present().await?;
        return Ok(published(roster, order.owner, &present, true, sent.change.approved));
    }
    let ours = match &roster {
        Some(roster) => standing(roster, order.owner, order.enterprise_id).map_err(|c| Setback::Refused(c.into()))?,
        None => false,
    };
    let present = store.present().await?;
    let current = roster.as_ref().map(|roster| current(roster, ours, order.owner, &present));
    let (parts, resolved) = match compared(store, order, list, cuts, current.as_ref(), now).await? {
        Ok(found) => found,
        Err(held) => {
            // Before anybody is alarmed: was the list lost, or did it move on while it was read?
            let again = store.roster().await?;
            let same =
                again.and_then(|r| r.resource_version()) == roster.as_ref().and_then(ResourceExt::resource_version);
            return Err(if same { Setback::Refused(Error::Unknown(held)) } else { Setback::Overtaken });
        }
    };
    let whose = Whose {
        connection: store.connection(),
        owner: order.owner,
        enterprise_id: order.enterprise_id,
        retention: order.retention,
        known_revision: order.known.map_or(0, |(revision, _)| revision),
    };
    let change = told(&order.change, &resolved);
    let mut next = next(&whose, current.as_ref(), cuts, parts, change, resolved.newly_held, now)
        .map_err(|slices| Setback::Refused(Error::TooLarge { users: list.len(), slices }))?;
    let salt = format!("{}/{overtaken}", order.change.start_time.0);
    let wrote = write(store, order.owner, list, &mut next, &salt).await?;
    let Some(roster) = roster.as_ref().filter(|_| !next.revises(current.as_ref())) else {
        let there = if wrote { store.present().await? } else { present.clone() };
        complete(&there, order.owner, &next)?;
        let content = next.content();
        *sent = Some(content.clone());
        let committed = store.commit(order.owner, roster.as_ref(), content).await?;
        return Ok(published(&committed, order.owner, &there, true, resolved.approved));
    };
    Ok(published(roster, order.owner, &present, false, resolved.approved))
}

fn published(
    roster: &UserRoster,
    owner: &str,
    present: &[Present],
    revised: bool,
    approved: Option<String>,
) -> Published {
    let unnamed = sweep::unnamed(&roster.spec, owner, present);
    Published { roster: roster.spec.clone(), revised, approved, unnamed }
}

/// Whether a roster is the one that was sent; only a sweep may have touched it since.
fn is(roster: &RosterContent, sent: &RosterContent) -> bool {
    let RosterContent { revision, revision_time, change, slices, .. } = sent;
    roster.revision == *revision
        && roster.revision_time == *revision_time
        && roster.change == *change
        && roster.slices == *slices
}

/// Writes the slices that are not there yet. A slice that nobody names is never taken for ours, since somebody may be
/// about to delete it: where one has the name already, ours gets another. Returns whether there was one to write.
async fn write(store: &Store, owner: &str, list: &List, next: &mut Next, salt: &str) -> Result<bool, Setback> {
    let missing = next.pieces.iter().enumerate().filter(|(_, piece)| piece.source != Source::Kept);
    let missing: Vec<usize> = missing.map(|(at, _)| at).collect();
    let seen = &*next;
    // One after the other made: a thousand writes that wait would take as much memory as the list.
    let writes = stream::iter(missing).map(async |at| {
        let Piece { slice, source } = &seen.pieces[at];
        match store.create(owner, &slice.name, content(store, list, seen, slice, source).await?).await {
            Ok(()) => Ok((at, None)),
            Err(Trouble::Conflict) => {
                let other = name(store.connection(), owner, slice.state.as_str(), &slice.digest, salt);
                store.create(owner, &other, content(store, list, seen, slice, source).await?).await?;
                Ok((at, Some(other)))
            }
            Err(trouble) => Err(Setback::from(trouble)),
        }
    });
    let written: Vec<(usize, Option<String>)> = writes.buffer_unordered(AT_ONCE).try_collect().await?;
    let wrote = !written.is_empty();
    for (at, renamed) in written {
        if let Some(other) = renamed {
            next.rename(at, other);
        }
    }
    Ok(wrote)
}

async fn content(
    store: &Store,
    list: &List,
    next: &Next,
    slice: &SliceRef,
    source: &Source,
) -> Result<SliceContent, Setback> {
    let data = match (source, slice.state) {
        (Source::Copy(from), _) => {
            let old = SliceRef { name: from.clone(), ..slice.clone() };
            store.data(&old).await?.ok_or(Setback::Overtaken)?
        }
        (Source::Kept, _) => String::new(),
        (Source::Lines(range), SliceState::Live) => data(list, range.clone()),
        (Source::Lines(range), SliceState::Held) => {
            next.parts.held.as_ref().map(|(held, _)| data(held, range.clone())).unwrap_or_default()
        }
        (Source::Lines(range), SliceState::Removed) => {
            next.parts.removed.as_ref().map(|(gone, _)| data(gone.as_slice(), range.clone())).unwrap_or_default()
        }
        (Source::Lines(range), SliceState::Changes) => data(next.parts.changes.0.as_slice(), range.clone()),
    };
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let id =
        |line: Option<&str>| line.and_then(|l| serde_json::from_str::<Id>(l).ok()).map(|l| l.id).unwrap_or_default();
    Ok(SliceContent {
        format: FORMAT,
        state: slice.state,
        count: slice.count,
        first_id: id(data.lines().next()),
        last_id: id(data.lines().next_back()),
        digest: slice.digest.clone(),
        data,
    })
}

/// Whether every slice that the next roster names is there, and ours.
fn complete(present: &[Present], owner: &str, next: &Next) -> Result<(), Setback> {
    let there: HashSet<&str> =
        present.iter().filter(|p| p.owner.as_deref() == Some(owner)).map(|p| p.name.as_str()).collect();
    let all = next.pieces.iter().all(|piece| there.contains(piece.slice.name.as_str()));
    if all { Ok(()) } else { Err(Setback::Overtaken) }
}
