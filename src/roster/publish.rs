//! How a list is published: the slices that are missing are written, one list shows that all of them are there, and
//! then the roster is replaced, which is the commit. Whoever is overtaken begins again with what is published then.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    UserList,
    chunking::{Chunk, render_records, slice_name, split_into_chunks},
    diff_published::{diff_published, published_state},
    garbage_collection,
    next_revision::{MAX_SLICES, NextRevision, PlannedSlice, RosterOwner, SliceSource, plan_revision, with_counts},
    store::{SliceMeta, Store},
};
use crate::{
    api::{
        ROSTER_FORMAT_VERSION, RemovalHold, RosterChange, RosterContent, SliceContent, SliceRef, SliceState, UserRoster,
    },
    kube_client::KubeError,
};

const MAX_CONCURRENT_WRITES: usize = 4;
/// So often others may be quicker before this sync gives up.
const MAX_CONFLICTS: u32 = 8;
/// How long a finished list waits for an API server that is away, and for one that has just started and denies what it
/// will soon allow.
const UNAVAILABLE_TIMEOUT: Duration = Duration::from_secs(300);
const DENIED_TIMEOUT: Duration = Duration::from_secs(20);
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What is to be published, for whom and why.
#[derive(Clone, Debug)]
pub struct PublishRequest<'a> {
    /// The UID of the connection.
    pub owner_uid: &'a str,
    pub enterprise_id: &'a str,
    pub retention: Duration,
    pub max_removal_percent: i32,
    /// The digest of the held removals that somebody approved.
    pub approved_digest: Option<&'a str>,
    /// Revision and number of users of the list that was published last, as the connection's status knows them; `None`:
    /// none ever was.
    pub last_published: Option<(i64, i64)>,
    /// What started the sync and whom it answers; its numbers are filled in.
    pub change: RosterChange,
}

/// The list is published, or was already.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishResult {
    pub roster: RosterContent,
    /// Whether this sync wrote it.
    pub written: bool,
    /// The digest that was approved, if the approval took effect.
    pub approved: Option<String>,
    /// Slices that no revision names (any more).
    pub unreferenced: Vec<SliceMeta>,
}

/// Why nothing was published. The list of before stays.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotOwned(#[from] OwnershipConflict),
    #[error("{users} users take {slices} slices, more than a roster can name")]
    TooLarge { users: usize, slices: usize },
    #[error("what is known of one user is larger than a slice")]
    RecordTooLarge,
    /// The published list is lost, and so many users are missing that nobody may believe it unasked.
    #[error("{} of {} users are missing", _0.removals, _0.total)]
    BaselineLost(RemovalHold),
    #[error(transparent)]
    Kube(#[from] KubeError),
}

/// A roster of this name is there that is not ours to replace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnershipConflict {
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
pub fn check_ownership(roster: &UserRoster, owner_uid: &str, enterprise_id: &str) -> Result<bool, OwnershipConflict> {
    if roster.spec.format > ROSTER_FORMAT_VERSION {
        return Err(OwnershipConflict::NewerFormat(roster.spec.format));
    }
    let owners = roster.owner_references();
    if owners.iter().any(|o| o.uid == owner_uid) {
        return Ok(true);
    }
    if !owners.is_empty() {
        return Err(OwnershipConflict::OtherOwner);
    }
    if roster.spec.enterprise_id != enterprise_id {
        return Err(OwnershipConflict::OtherEnterprise(roster.spec.enterprise_id.clone()));
    }
    Ok(false)
}

/// Why an attempt came to nothing.
pub(super) enum PublishAttemptError {
    /// Somebody else was quicker.
    Conflict,
    Fatal(Error),
    Kube(KubeError),
}

impl From<KubeError> for PublishAttemptError {
    fn from(error: KubeError) -> Self {
        match error {
            KubeError::Conflict => PublishAttemptError::Conflict,
            other => PublishAttemptError::Kube(other),
        }
    }
}

/// Publishes a complete list, as a new revision if it differs from the published one.
///
/// # Errors
/// Where it must not or could not be published; nothing has changed for readers then.
pub async fn publish_list(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    now: impl Fn() -> Timestamp,
) -> Result<PublishResult, Error> {
    let chunks = split_into_chunks(list).map_err(|_| Error::RecordTooLarge)?;
    if chunks.len() > MAX_SLICES {
        return Err(Error::TooLarge { users: list.len(), slices: chunks.len() });
    }
    let started = Instant::now();
    let mut backoff = INITIAL_BACKOFF;
    let mut conflicts = 0;
    // Since when the API server, which can be reached, denies what it may soon allow.
    let mut denied_since = None;
    // A commit whose answer was lost.
    let mut unconfirmed = None;
    loop {
        let error = match try_publish(store, request, list, &chunks, now(), conflicts, &mut unconfirmed).await {
            Ok(published) => return Ok(published),
            Err(PublishAttemptError::Fatal(error)) => return Err(error),
            Err(PublishAttemptError::Conflict) if conflicts == MAX_CONFLICTS => {
                return Err(Error::Kube(KubeError::Conflict));
            }
            Err(PublishAttemptError::Conflict) => {
                conflicts += 1;
                continue;
            }
            Err(PublishAttemptError::Kube(trouble)) => trouble,
        };
        let remaining = match &error {
            KubeError::Unreachable(_) | KubeError::Rejected { code: 429 | 500.., .. } => {
                denied_since = None;
                UNAVAILABLE_TIMEOUT.saturating_sub(started.elapsed())
            }
            KubeError::Forbidden(_) | KubeError::UnknownKind => {
                DENIED_TIMEOUT.saturating_sub(denied_since.get_or_insert_with(Instant::now).elapsed())
            }
            KubeError::NotFound | KubeError::Conflict | KubeError::Rejected { .. } => Duration::ZERO,
        };
        if remaining.is_zero() {
            return Err(Error::Kube(error));
        }
        tracing::warn!(connection = store.connection_name(), %error, "the list is not published yet");
        tokio::time::sleep(backoff.min(remaining)).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

async fn try_publish(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    chunks: &[Chunk],
    now: Timestamp,
    conflicts: u32,
    unconfirmed: &mut Option<RosterContent>,
) -> Result<PublishResult, PublishAttemptError> {
    let roster = store.get_roster().await?;
    if let Some((roster, sent)) =
        roster.as_ref().zip(unconfirmed.take()).filter(|(r, sent)| is_same_revision(&r.spec, sent))
    {
        let present = store.list_slices().await?;
        return Ok(publish_result(roster, request.owner_uid, &present, true, sent.change.approved));
    }
    let owned = match &roster {
        Some(roster) => check_ownership(roster, request.owner_uid, request.enterprise_id)
            .map_err(|c| PublishAttemptError::Fatal(c.into()))?,
        None => false,
    };
    let existing = store.list_slices().await?;
    let published = roster.as_ref().map(|roster| published_state(roster, owned, request.owner_uid, &existing));
    let (parts, decision) = match diff_published(store, request, list, chunks, published.as_ref(), now).await? {
        Ok(found) => found,
        Err(held) => {
            // Before anybody is alarmed: was the list lost, or did it move on while it was read?
            let reread = store.get_roster().await?;
            let same =
                reread.and_then(|r| r.resource_version()) == roster.as_ref().and_then(ResourceExt::resource_version);
            return Err(if same {
                PublishAttemptError::Fatal(Error::BaselineLost(held))
            } else {
                PublishAttemptError::Conflict
            });
        }
    };
    let roster_owner = RosterOwner {
        connection: store.connection_name(),
        owner_uid: request.owner_uid,
        enterprise_id: request.enterprise_id,
        retention: request.retention,
        known_revision: request.last_published.map_or(0, |(revision, _)| revision),
    };
    let change = with_counts(&request.change, &decision);
    let mut next = plan_revision(&roster_owner, published.as_ref(), chunks, parts, change, decision.newly_held, now)
        .map_err(|slices| PublishAttemptError::Fatal(Error::TooLarge { users: list.len(), slices }))?;
    let salt = format!("{}/{conflicts}", request.change.start_time.0);
    let any_written = write_missing_slices(store, request.owner_uid, list, &mut next, &salt).await?;
    let Some(roster) = roster.as_ref().filter(|_| !next.differs_from(published.as_ref())) else {
        let existing_after = if any_written { store.list_slices().await? } else { existing.clone() };
        check_slices_exist(&existing_after, request.owner_uid, &next)?;
        let content = next.roster_content();
        *unconfirmed = Some(content.clone());
        let committed = store.commit_roster(request.owner_uid, roster.as_ref(), content).await?;
        return Ok(publish_result(&committed, request.owner_uid, &existing_after, true, decision.approved));
    };
    Ok(publish_result(roster, request.owner_uid, &existing, false, decision.approved))
}

fn publish_result(
    roster: &UserRoster,
    owner_uid: &str,
    existing: &[SliceMeta],
    written: bool,
    approved: Option<String>,
) -> PublishResult {
    let unnamed = garbage_collection::unreferenced_slices(&roster.spec, owner_uid, existing);
    PublishResult { roster: roster.spec.clone(), written, approved, unreferenced: unnamed }
}

/// Whether a roster is the one that was sent; only a sweep may have touched it since.
fn is_same_revision(roster: &RosterContent, sent: &RosterContent) -> bool {
    let RosterContent { revision, revision_time, change, slices, .. } = sent;
    roster.revision == *revision
        && roster.revision_time == *revision_time
        && roster.change == *change
        && roster.slices == *slices
}

/// Writes the slices that are not there yet. A slice that nobody names is never taken for ours, since somebody may be
/// about to delete it: where one has the name already, ours gets another. Returns whether there was one to write.
async fn write_missing_slices(
    store: &Store,
    owner_uid: &str,
    list: &UserList,
    next: &mut NextRevision,
    salt: &str,
) -> Result<bool, PublishAttemptError> {
    let missing = next.slices.iter().enumerate().filter(|(_, piece)| piece.source != SliceSource::Existing);
    let missing: Vec<usize> = missing.map(|(at, _)| at).collect();
    let plan = &*next;
    // One after the other made: a thousand writes that wait would take as much memory as the list.
    let writes = stream::iter(missing).map(async |at| {
        let PlannedSlice { slice, source } = &plan.slices[at];
        match store.create_slice(owner_uid, &slice.name, slice_content(store, list, plan, slice, source).await?).await {
            Ok(()) => Ok((at, None)),
            Err(KubeError::Conflict) => {
                let other = slice_name(store.connection_name(), owner_uid, slice.state.as_str(), &slice.digest, salt);
                store.create_slice(owner_uid, &other, slice_content(store, list, plan, slice, source).await?).await?;
                Ok((at, Some(other)))
            }
            Err(trouble) => Err(PublishAttemptError::from(trouble)),
        }
    });
    let written: Vec<(usize, Option<String>)> = writes.buffer_unordered(MAX_CONCURRENT_WRITES).try_collect().await?;
    let any_written = !written.is_empty();
    for (at, renamed) in written {
        if let Some(other) = renamed {
            next.rename_slice(at, other);
        }
    }
    Ok(any_written)
}

async fn slice_content(
    store: &Store,
    list: &UserList,
    next: &NextRevision,
    slice: &SliceRef,
    source: &SliceSource,
) -> Result<SliceContent, PublishAttemptError> {
    let data = match (source, slice.state) {
        (SliceSource::Copy(from), _) => {
            let old = SliceRef { name: from.clone(), ..slice.clone() };
            store.get_slice_data(&old).await?.ok_or(PublishAttemptError::Conflict)?
        }
        (SliceSource::Existing, _) => String::new(),
        (SliceSource::New(range), SliceState::Live) => render_records(list, range.clone()),
        (SliceSource::New(range), SliceState::Held) => {
            next.parts.held.as_ref().map(|(held, _)| render_records(held, range.clone())).unwrap_or_default()
        }
        (SliceSource::New(range), SliceState::Removed) => next
            .parts
            .removed
            .as_ref()
            .map(|(gone, _)| render_records(gone.as_slice(), range.clone()))
            .unwrap_or_default(),
        (SliceSource::New(range), SliceState::Changes) => {
            render_records(next.parts.changes.0.as_slice(), range.clone())
        }
    };
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let id =
        |line: Option<&str>| line.and_then(|l| serde_json::from_str::<Id>(l).ok()).map(|l| l.id).unwrap_or_default();
    Ok(SliceContent {
        format: ROSTER_FORMAT_VERSION,
        state: slice.state,
        count: slice.count,
        first_id: id(data.lines().next()),
        last_id: id(data.lines().next_back()),
        digest: slice.digest.clone(),
        data,
    })
}

/// Whether every slice that the next roster names is there, and ours.
fn check_slices_exist(existing: &[SliceMeta], owner_uid: &str, next: &NextRevision) -> Result<(), PublishAttemptError> {
    let owned: HashSet<&str> =
        existing.iter().filter(|p| p.owner_uid.as_deref() == Some(owner_uid)).map(|p| p.name.as_str()).collect();
    let all = next.slices.iter().all(|piece| owned.contains(piece.slice.name.as_str()));
    if all { Ok(()) } else { Err(PublishAttemptError::Conflict) }
}
