//! Comparison of a new list with the published one. Only slices that differ are read.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::{
    chunking::{Chunk, split_into_chunks},
    diff::{ChangeLog, Diff, Differ, unpublished_indices},
    next_revision::{ListParts, PublishedState, is_expired},
    ownership::Ownership,
    publish::{Error, PublishAttemptError, PublishRequest},
    records::{ChangeRecord, KnownKeys, PublishedUser, RemovedUser},
    removal_check::RemovalAnswers,
    removals::{NoDecision, PreviousList, RemovalDecision, decide_removals},
    store::{SliceMeta, Store},
    user_counts::{add_held_counts, count_users},
    visibility::visibility_delay,
};
use crate::{
    api::{SliceRef, SliceState, UserRoster},
    kube_client::KubeError,
    user_list::{UserList, UserListBuilder, compare_ids},
};

const MAX_CONCURRENT_READS: usize = 4;

/// The published list and its slices that can be reused or read.
pub(super) fn published_state<'a>(
    roster: &'a UserRoster,
    ownership: Ownership,
    owner_uid: &str,
    existing: &'a [SliceMeta],
) -> PublishedState<'a> {
    let content = &roster.spec;
    let previous = content.previous.iter().flat_map(|p| p.slices.iter());
    let referenced: HashSet<&str> =
        content.slices.iter().map(|s| &s.name).chain(previous).map(String::as_str).collect();
    let available = existing.iter().filter(|p| referenced.contains(p.name.as_str()));
    PublishedState {
        content,
        ownership,
        reusable: available.clone().filter(|p| p.is_owned_by(owner_uid)).map(|p| p.name.as_str()).collect(),
        readable: available.clone().map(|p| p.name.as_str()).collect(),
        ownerless: available.filter(|p| p.owner_uids.is_empty()).map(|p| p.name.clone()).collect(),
    }
}

/// Leaves out the slices of removed users and of changes that would have to be copied and are damaged: no later attempt
/// could copy them, and the list of users does not depend on them. Returns the number of their records.
///
/// # Errors
/// API server errors.
pub(super) async fn leave_out_damaged_history(
    store: &Store,
    published: &mut PublishedState<'_>,
) -> Result<i64, KubeError> {
    let mut dropped = 0;
    for slice in &published.content.slices {
        let is_history = matches!(slice.state, SliceState::Removed | SliceState::Changes);
        if !is_history || published.is_reusable(&slice.name) || !published.readable.contains(slice.name.as_str()) {
            continue;
        }
        if store.get_slice_data(slice).await?.is_none() {
            published.readable.remove(slice.name.as_str());
            dropped += slice.count;
        }
    }
    Ok(dropped)
}

/// Compares a new list with the published one, and decides on removals.
///
/// # Errors
/// [`Error::BaselineLost`] if removals would have to be held, but slices are missing and the removed users are unknown;
/// undecided if Box must be asked first, or contradicts the list.
pub(super) async fn diff_published(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    chunks: &[Chunk],
    published: Option<&PublishedState<'_>>,
    answers: &RemovalAnswers,
    now: Timestamp,
) -> Result<(ListParts, RemovalDecision), PublishAttemptError> {
    let slices = |state| published.into_iter().flat_map(|c| &c.content.slices).filter(move |s| s.state == state);
    let digests: HashSet<&str> = chunks.iter().map(|c| c.digest.as_str()).collect();
    let published_digests: HashSet<&str> = slices(SliceState::Live).map(|s| s.digest.as_str()).collect();
    let live_changed = digests != published_digests;
    let missing = |slice: &SliceRef| published.is_some_and(|c| !c.reusable.contains(slice.name.as_str()));
    let total =
        published.map_or_else(|| request.last_published.map_or(0, |(_, total)| total), |c| c.content.users.total);

    let unconfirmed = published.map_or(&[][..], |c| c.content.unconfirmed.as_slice());
    let read_held = !unconfirmed.is_empty()
        || live_changed
        || request.approved_digest.is_some()
        || slices(SliceState::Held).any(missing);
    let (held, mut lost) =
        if read_held { read_users(store, slices(SliceState::Held)).await? } else { (UserList::default(), 0) };
    let changed_slices: Vec<&SliceRef> =
        slices(SliceState::Live).filter(|s| !digests.contains(s.digest.as_str())).collect();
    let change_log = if published.is_none() { ChangeLog::disabled() } else { ChangeLog::default() };
    let known = published.map_or(KnownKeys::All, |c| KnownKeys::of_roster(c.content));
    let unpublished = unpublished_indices(chunks, |digest| published_digests.contains(digest));
    let mut differ = Differ::new(list, known, unpublished, change_log);
    let reads = stream::iter(0..changed_slices.len())
        .map(async |at| store.get_slice_data(changed_slices[at]).await)
        .buffered(MAX_CONCURRENT_READS);
    let mut reads = std::pin::pin!(reads);
    for slice in &changed_slices {
        let data = reads.try_next().await?.flatten();
        match data.as_deref().and_then(parse_records::<PublishedUser<'_>>) {
            Some(users) => differ.compare_slice(&users),
            None => lost += slice.count,
        }
    }
    let mut diff: Diff = differ.into_diff();
    if published.is_none() {
        lost = total;
    }
    if lost > 0 {
        tracing::warn!(
            connection = store.connection_name(),
            users = lost,
            "slices of the published list are missing, comparing by counts only"
        );
        diff.change_log = ChangeLog::disabled();
    }
    let previous = PreviousList {
        total,
        held,
        known,
        held_summary: published.and_then(|c| c.content.held.clone()),
        unconfirmed: unconfirmed.iter().map(String::as_str).collect(),
        journal: published.map_or(&[], |c| c.content.journal.as_slice()),
        lost_users: lost,
        max_removal_percent: request.max_removal_percent,
        approved_digest: request.approved_digest,
    };
    let held_before = previous.held_summary.clone();
    let mut decision = decide_removals(list, diff, previous, answers, now)?;
    let parts_held = if !read_held {
        decision.held_summary = held_before;
        None
    } else {
        let held = std::mem::take(&mut decision.held);
        let chunks = split_into_chunks(&held).map_err(Error::from)?;
        Some((held, chunks))
    };
    let removed = removed_records(store, request, list, published, &mut decision, now).await?;
    if lost > 0 {
        // Users of the lost slices seem to be new.
        decision.visibility_delays.clear();
    }
    let changes = std::mem::take(&mut decision.change_log).into_sorted();
    let changes_chunks = split_into_chunks(changes.as_slice()).map_err(Error::from)?;
    let users = match (&parts_held, published) {
        (None, Some(current)) => current.content.users,
        (None, None) => count_users(list),
        (Some((held, _)), _) => add_held_counts(count_users(list), &count_users(held)),
    };
    let parts = ListParts {
        held: parts_held,
        held_summary: decision.held_summary.clone(),
        unconfirmed: std::mem::take(&mut decision.unconfirmed),
        removed,
        changes: (changes, changes_chunks),
        users,
    };
    Ok((parts, decision))
}

/// The next records of removed users; `None` if they stay as published. Adds the added and the returned users to the
/// change log.
async fn removed_records(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    published: Option<&PublishedState<'_>>,
    decision: &mut RemovalDecision,
    now: Timestamp,
) -> Result<Option<(Vec<RemovedUser>, Vec<Chunk>)>, PublishAttemptError> {
    let oldest = published.and_then(|c| c.content.oldest_removed_at.as_ref());
    let has_expired = oldest.is_some_and(|t| is_expired(t.0, request.retention, now));
    let mut removed_users = Vec::new();
    let needed = !decision.added.is_empty() || !decision.removed.is_empty() || has_expired;
    if needed {
        let slices = published.into_iter().flat_map(|c| &c.content.slices).filter(|s| s.state == SliceState::Removed);
        for slice in slices {
            match store.get_slice_data(slice).await?.as_deref().and_then(parse_records::<RemovedUser>) {
                Some(records) => removed_users.extend(records),
                None => {
                    let (connection, users) = (store.connection_name(), slice.count);
                    tracing::warn!(connection, users, "slices of removed users are missing, their records are dropped");
                }
            }
        }
    }
    let previously_removed: HashSet<&str> = removed_users.iter().map(|user| user.id.as_str()).collect();
    for at in &decision.added {
        let user = list.user_at(*at as usize);
        let returned = previously_removed.contains(user.id);
        if !returned && published.is_some() {
            let created = user.created_at.and_then(|time| Timestamp::from_second(time).ok());
            decision.visibility_delays.extend(visibility_delay(created, now));
        }
        decision.change_log.push_with(|| {
            if returned { ChangeRecord::removed_user_returned(&user) } else { ChangeRecord::user_added(&user) }
        });
    }
    if !needed {
        return Ok(None);
    }
    removed_users.retain(|user| !list.contains(&user.id) && !is_expired(user.removed_at, request.retention, now));
    removed_users.append(&mut decision.removed);
    removed_users.sort_by(|a, b| compare_ids(&a.id, &b.id));
    let chunks = split_into_chunks(removed_users.as_slice()).map_err(Error::from)?;
    Ok(Some((removed_users, chunks)))
}

impl From<NoDecision> for PublishAttemptError {
    fn from(reason: NoDecision) -> Self {
        match reason {
            NoDecision::Undecided(undecided) => PublishAttemptError::Undecided(undecided),
            NoDecision::BaselineLost(hold) => Error::BaselineLost(hold).into(),
        }
    }
}

/// The users in the slices, and the number of users in missing slices.
async fn read_users(store: &Store, slices: impl Iterator<Item = &SliceRef>) -> Result<(UserList, i64), KubeError> {
    let (mut builder, mut lost) = (UserListBuilder::default(), 0);
    for slice in slices {
        let data = store.get_slice_data(slice).await?;
        match data.as_deref().and_then(parse_records::<PublishedUser<'_>>) {
            Some(users) => builder.push_users(users.iter().map(PublishedUser::as_user)),
            None => lost += slice.count,
        }
    }
    Ok((builder.build(), lost))
}

/// The records of a slice; `None` if one of them cannot be parsed, since then none is reliable.
fn parse_records<'a, T: serde::Deserialize<'a>>(data: &'a str) -> Option<Vec<T>> {
    data.lines().map(|line| serde_json::from_str(line).ok()).collect()
}
