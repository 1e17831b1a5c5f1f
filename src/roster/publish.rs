//! Publishing a list: plans the next revision, writes its slices, commits its roster. After a conflict with another
//! writer the attempt starts again from the published state; while the API server is unavailable it is retried.
//!
//! Two processes can publish at the same time: one that lost the leadership, or was paused, may hold an answer of Box
//! that is older than what the other has published. Clocks differ, so the answers are ordered by the roster itself: a
//! list is published only over the version of it that was read before its first page was fetched. If that version was
//! replaced meanwhile, the list may be the older answer, and the sync is superseded. A list without changes writes
//! nothing and would not be noticed, so the first one of each process is a write of its own, the fence.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    chunking::{Chunk, RecordTooLarge, split_into_chunks},
    diff_published::{diff_published, leave_out_damaged_history, published_state},
    next_revision::{JournaledHolds, MAX_SLICES, RosterOwner, plan_revision, with_counts},
    own_slices::OwnSlices,
    ownership::{Ownership, OwnershipConflict, check_ownership},
    publication::{Publication, publish_result},
    records::optional_keys,
    removal_check::RemovalAnswers,
    removals::Undecided,
    store::{RosterVersion, SliceMeta, Store},
};
use crate::{
    api::{RemovalHold, RosterChange, RosterContent, UserRoster},
    kube_client::KubeError,
    user_list::UserList,
};

/// After this many conflicts the sync fails.
const MAX_CONFLICTS: u32 = 8;
/// How long it waits for an API server that denies the request: one that has just started may deny what it soon allows.
const DENIED_TIMEOUT: Duration = Duration::from_secs(20);
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The owner of a list, the rules for its removals, and the sync that fetched it.
#[derive(Clone, Debug)]
pub struct PublishRequest<'a> {
    /// The UID of the connection.
    pub owner_uid: &'a str,
    pub enterprise_id: &'a str,
    /// How long removed users and changes stay recorded; `None`: nothing is forgotten, since the time is in doubt.
    pub retention: Option<Duration>,
    pub max_removal_percent: i32,
    /// The digest of the held removals that were approved.
    pub approved_digest: Option<&'a str>,
    /// Revision and number of users of the last published list, from the connection's status; `None` if none was
    /// published.
    pub last_published: Option<(i64, i64)>,
    /// The roster before the first page was fetched; `None`: there was none.
    pub base: Option<RosterVersion>,
    pub fence: Fence,
    /// How long the list waits for an unavailable API server since it last accepted a slice.
    pub unavailable_timeout: Duration,
    /// The sync that fetched the list, without the counts of its changes.
    pub change: RosterChange,
}

/// Whether an earlier process may still publish an answer older than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It may: the roster is written even if the list is unchanged.
    Required,
    /// It cannot: this process has written the roster.
    Written,
}

/// The published list.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishResult {
    pub roster: RosterContent,
    pub outcome: PublishOutcome,
    /// The digest that was approved, if the approval took effect.
    pub approved: Option<String>,
    /// Slices that no revision references.
    pub unreferenced: Vec<SliceMeta>,
    /// Removed users and changes that an adopted roster named and whose slices are damaged. They are not in the history
    /// any more.
    pub damaged_history: i64,
    /// How long users whom this revision lists for the first time waited for it since they were created in Box. Empty for a
    /// first list.
    pub visibility_delays: Vec<Duration>,
}

/// How far publishing came.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishStep {
    Published(Box<PublishResult>),
    /// Users are missing, and nothing was written yet.
    Undecided(Undecided),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// This sync committed a new revision.
    Committed,
    /// The published list was already the same.
    Unchanged,
}

/// Why nothing was published. The previous list is kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotOwned(#[from] OwnershipConflict),
    #[error("{users} users need {slices} slices, more than one roster can reference")]
    TooLarge { users: usize, slices: usize },
    #[error("the record of one user exceeds the slice size limit")]
    RecordTooLarge,
    /// The published list is lost, and too many users are missing to remove them without approval.
    #[error("{} of {} users are missing", _0.removals, _0.total)]
    BaselineLost(RemovalHold),
    /// The list may be older than the published one.
    #[error("another process wrote the roster since this sync began")]
    Superseded,
    #[error(transparent)]
    Kube(#[from] KubeError),
}

impl From<RecordTooLarge> for Error {
    fn from(_: RecordTooLarge) -> Self {
        Error::RecordTooLarge
    }
}

/// Why an attempt failed.
pub(super) enum PublishAttemptError {
    /// Another writer changed the roster or its slices.
    Conflict,
    Undecided(Undecided),
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

impl From<Error> for PublishAttemptError {
    fn from(error: Error) -> Self {
        PublishAttemptError::Fatal(error)
    }
}

/// Publishes a complete list, as a new revision if it differs from the published one. Of users who are missing nobody is
/// removed before `answers` has what Box says of them.
///
/// # Errors
/// The list must not or could not be published; readers still see the previous list.
pub async fn publish_list(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    answers: &RemovalAnswers,
    now: impl Fn() -> Timestamp,
) -> Result<PublishStep, Error> {
    let chunks = split_into_chunks(list)?;
    if chunks.len() > MAX_SLICES {
        return Err(Error::TooLarge { users: list.len(), slices: chunks.len() });
    }
    let own_slices = OwnSlices::default();
    let mut publisher = Publisher {
        store,
        request,
        list,
        answers,
        chunks: &chunks,
        own_slices: &own_slices,
        conflicts: 0,
        sent_any: false,
        unconfirmed: None,
        damaged_history: 0,
        visibility_delays: Vec::new(),
    };
    // One time for all attempts: it is part of the records, and a slice with another time would be another slice.
    let published = publish_with_retries(&mut publisher, now()).await;
    match published {
        Ok(PublishStep::Published(result)) => {
            let Publisher { damaged_history, visibility_delays, .. } = publisher;
            Ok(PublishStep::Published(Box::new(PublishResult { damaged_history, visibility_delays, ..*result })))
        }
        unpublished => {
            publisher.discard_own_slices().await;
            unpublished
        }
    }
}

async fn publish_with_retries(publisher: &mut Publisher<'_>, now: Timestamp) -> Result<PublishStep, Error> {
    let mut progress = (publisher.own_slices.len(), Instant::now());
    let mut backoff = INITIAL_BACKOFF;
    // When the API server first denied the request since it was last unavailable.
    let mut denied_since = None;
    loop {
        let error = match publisher.attempt(now).await {
            Ok(published) => return Ok(PublishStep::Published(Box::new(published))),
            Err(PublishAttemptError::Undecided(undecided)) => return Ok(PublishStep::Undecided(undecided)),
            Err(PublishAttemptError::Fatal(error)) => return Err(error),
            Err(PublishAttemptError::Conflict) if publisher.conflicts == MAX_CONFLICTS => {
                return Err(Error::Kube(KubeError::Conflict));
            }
            Err(PublishAttemptError::Conflict) => {
                publisher.conflicts += 1;
                continue;
            }
            Err(PublishAttemptError::Kube(error)) => error,
        };
        if publisher.own_slices.len() > progress.0 {
            progress = (publisher.own_slices.len(), Instant::now());
            backoff = INITIAL_BACKOFF;
        }
        let remaining = if error.is_unavailable() {
            denied_since = None;
            publisher.request.unavailable_timeout.saturating_sub(progress.1.elapsed())
        } else if error.denies_sender() || error == KubeError::UnknownKind {
            DENIED_TIMEOUT.saturating_sub(denied_since.get_or_insert_with(Instant::now).elapsed())
        } else {
            Duration::ZERO
        };
        if remaining.is_zero() {
            return Err(Error::Kube(error));
        }
        let connection = publisher.store.connection_name();
        tracing::warn!(connection, %error, "publishing the roster failed, retrying");
        tokio::time::sleep(error.retry_pause(backoff).min(remaining)).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

struct Publisher<'a> {
    store: &'a Store,
    request: &'a PublishRequest<'a>,
    list: &'a UserList,
    answers: &'a RemovalAnswers,
    chunks: &'a [Chunk],
    own_slices: &'a OwnSlices,
    conflicts: u32,
    /// Whether a roster was sent, which may have been written and may reference our own slices.
    sent_any: bool,
    /// The last roster that was sent, until a response confirms that it was written.
    unconfirmed: Option<SentRoster>,
    damaged_history: i64,
    /// Those of the last attempt.
    visibility_delays: Vec<Duration>,
}

struct SentRoster {
    content: RosterContent,
    outcome: PublishOutcome,
    approved: Option<String>,
}

impl Publisher<'_> {
    async fn attempt(&mut self, now: Timestamp) -> Result<PublishResult, PublishAttemptError> {
        let Self { store, request, list, answers, chunks, own_slices, conflicts, .. } = *self;
        let owner_uid = request.owner_uid;
        let roster = store.get_roster().await?;
        if let Some((roster, sent)) =
            roster.as_ref().zip(self.unconfirmed.take()).filter(|(r, sent)| is_sent(&r.spec, &sent.content))
        {
            let existing = store.list_slices().await?;
            return Ok(publish_result(roster, owner_uid, &existing, sent.outcome, sent.approved));
        }
        let ownership = match &roster {
            Some(roster) => check_ownership(roster, owner_uid, request.enterprise_id).map_err(Error::NotOwned)?,
            None => Ownership::Adoptable,
        };
        if roster.as_ref().is_some_and(|roster| request.base.as_ref() != Some(&RosterVersion::of(roster))) {
            return Err(Error::Superseded.into());
        }
        let existing = store.list_slices().await?;
        own_slices.retain_existing(&existing);
        let mut published = roster.as_ref().map(|roster| published_state(roster, ownership, owner_uid, &existing));
        if let Some(published) = &mut published {
            self.damaged_history = leave_out_damaged_history(store, published).await?;
        }
        let diff = diff_published(store, request, list, chunks, published.as_ref(), answers, now).await;
        let (parts, mut decision) = match diff {
            Err(PublishAttemptError::Fatal(lost @ Error::BaselineLost(_))) => {
                return Err(confirm_lost(store, roster.as_ref(), lost).await?);
            }
            other => other?,
        };
        self.visibility_delays = std::mem::take(&mut decision.visibility_delays);
        let roster_owner = RosterOwner {
            connection: store.connection_name(),
            owner_uid,
            enterprise_id: request.enterprise_id,
            retention: request.retention,
            known_revision: request.last_published.map_or(0, |(revision, _)| revision),
        };
        let change = with_counts(&request.change, &decision);
        let holds = JournaledHolds { newly_held: decision.newly_held, approved: decision.approved_count };
        let next = plan_revision(&roster_owner, published.as_ref(), chunks, parts, change, holds, now)
            .map_err(|slices| Error::TooLarge { users: list.len(), slices })?;
        let salt = format!("{}/{conflicts}", request.change.start_time.0);
        let written = Publication::write_slices(store, owner_uid, list, next, own_slices, &salt).await?;
        if let Some(roster) = roster.as_ref().filter(|_| !written.revision().differs_from(published.as_ref())) {
            let (outcome, approved) = (PublishOutcome::Unchanged, decision.approved);
            if request.fence == Fence::Written {
                return Ok(publish_result(roster, owner_uid, &existing, outcome, approved));
            }
            let fence = roster.spec.fence.map_or(1, |fence| fence.saturating_add(1));
            // The same lines of this version: who lacks an optional key has none of it.
            let content = RosterContent { fence: Some(fence), optional_keys: optional_keys(), ..roster.spec.clone() };
            self.unconfirmed = Some(SentRoster { content: content.clone(), outcome, approved: approved.clone() });
            let fenced = store.commit_roster(owner_uid, Some(roster), content).await?;
            return Ok(publish_result(&fenced, owner_uid, &existing, outcome, approved));
        }
        let complete = written.verify(existing).await?;
        self.sent_any = true;
        self.unconfirmed = Some(SentRoster {
            content: complete.roster_content(),
            outcome: PublishOutcome::Committed,
            approved: decision.approved.clone(),
        });
        let committed = complete.commit(roster.as_ref()).await?;
        Ok(committed.into_result(decision.approved))
    }

    /// Deletes what was made for a list that was not published. Nobody else can reference it, unless a roster was sent
    /// whose response was lost: then garbage collection decides. What cannot be deleted now, it finds within an hour.
    async fn discard_own_slices(&self) {
        if self.sent_any {
            return;
        }
        for slice in self.own_slices.take_all() {
            if let Err(error) = self.store.delete_slice(&slice).await {
                let connection = self.store.connection_name();
                tracing::warn!(connection, %error, "slices of an unpublished list are left for garbage collection");
                return;
            }
        }
    }
}

/// A lost baseline is an error only if the roster has not changed while it was read; otherwise it is a conflict.
async fn confirm_lost(
    store: &Store,
    roster: Option<&UserRoster>,
    lost: Error,
) -> Result<PublishAttemptError, KubeError> {
    let reread = store.get_roster().await?;
    let unchanged = reread.and_then(|r| r.resource_version()) == roster.and_then(ResourceExt::resource_version);
    Ok(if unchanged { PublishAttemptError::Fatal(lost) } else { PublishAttemptError::Conflict })
}

/// Whether a roster is the one that was sent; only garbage collection may have changed it since. The same run may have
/// sent it at another time and with other slice names, if an earlier attempt was applied late.
fn is_sent(roster: &RosterContent, sent: &RosterContent) -> bool {
    let RosterContent { revision, change, fence, .. } = sent;
    roster.revision == *revision && roster.change == *change && roster.fence == *fence
}
