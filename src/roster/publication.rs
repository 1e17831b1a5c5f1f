//! The steps of publishing a revision, as types that prove their order: slices written, all slices verified to exist,
//! roster committed. Only a complete publication can be committed.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    chunking::{render_records, slice_name},
    garbage_collection::unreferenced_slices,
    next_revision::{NextRevision, PlannedSlice, SliceSource},
    own_slices::OwnSlices,
    publish::{PublishAttemptError, PublishOutcome, PublishResult},
    store::{SliceMeta, Store},
};
use crate::{
    api::{ROSTER_FORMAT_VERSION, RosterContent, SliceContent, SliceRef, SliceState, UserRoster},
    kube_client::KubeError,
    user_list::UserList,
};

const MAX_CONCURRENT_WRITES: usize = 4;
const MAX_THROTTLED_TRIES: u32 = 5;
const FIRST_THROTTLE_PAUSE: Duration = Duration::from_millis(500);

/// A revision and the last step that its publication has completed.
pub(super) struct Publication<'a, Step> {
    store: &'a Store,
    owner_uid: &'a str,
    next: NextRevision,
    step: Step,
}

/// Every missing slice has been written.
pub(super) struct Written {
    /// The number of slices that were missing.
    created: usize,
}

/// Every slice of the revision exists and belongs to the connection.
pub(super) struct Complete {
    existing: Vec<SliceMeta>,
}

/// The roster references the slices.
pub(super) struct Committed {
    existing: Vec<SliceMeta>,
    roster: UserRoster,
}

impl<'a> Publication<'a, Written> {
    /// Writes the slices that do not exist yet. An unreferenced slice is never reused, since it may be about to be
    /// deleted, except one that this publisher made itself a short time ago: if one has the same name, the new slice gets
    /// another name, derived from `salt`.
    pub(super) async fn write_slices(
        store: &'a Store,
        owner_uid: &'a str,
        list: &UserList,
        mut next: NextRevision,
        own_slices: &OwnSlices,
        salt: &str,
    ) -> Result<Self, PublishAttemptError> {
        let missing = next.slices.iter().enumerate().filter(|(_, planned)| planned.source != SliceSource::Existing);
        let missing: Vec<usize> = missing.map(|(at, _)| at).collect();
        let created = missing.len();
        let plan = &next;
        // Each slice is rendered only when it is its turn: all of them together would take as much memory as the list.
        let writes = stream::iter(missing).map(async |at| {
            let slice = &plan.slices[at].slice;
            if let Some(name) = own_slices.reusable_name(slice) {
                return Ok((at, name));
            }
            let salted = slice_name(store.connection_name(), owner_uid, slice.state.as_str(), &slice.digest, salt);
            for name in [&slice.name, &salted] {
                match create_slice(store, owner_uid, list, plan, &plan.slices[at], name).await {
                    Ok(uid) => {
                        let meta = SliceMeta { name: name.clone(), uid, owner_uids: vec![owner_uid.to_owned()] };
                        own_slices.insert(slice, meta);
                        return Ok((at, name.clone()));
                    }
                    Err(PublishAttemptError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(PublishAttemptError::Conflict)
        });
        let written: Vec<(usize, String)> = writes.buffer_unordered(MAX_CONCURRENT_WRITES).try_collect().await?;
        for (at, name) in written {
            if next.slices[at].slice.name != name {
                next.rename_slice(at, name);
            }
        }
        Ok(Self { store, owner_uid, next, step: Written { created } })
    }

    pub(super) fn revision(&self) -> &NextRevision {
        &self.next
    }

    /// Verifies that all slices exist. `existing` are the slices that existed before the missing ones were written.
    ///
    /// # Errors
    /// A conflict, if a slice was deleted since.
    pub(super) async fn verify(
        self,
        existing: Vec<SliceMeta>,
    ) -> Result<Publication<'a, Complete>, PublishAttemptError> {
        let Self { store, owner_uid, next, step: Written { created } } = self;
        let existing = if created == 0 { existing } else { store.list_slices().await? };
        let owned: HashSet<&str> =
            existing.iter().filter(|s| s.is_owned_by(owner_uid)).map(|s| s.name.as_str()).collect();
        if !next.slices.iter().all(|planned| owned.contains(planned.slice.name.as_str())) {
            return Err(PublishAttemptError::Conflict);
        }
        Ok(Publication { store, owner_uid, next, step: Complete { existing } })
    }
}

impl<'a> Publication<'a, Complete> {
    pub(super) fn roster_content(&self) -> RosterContent {
        self.next.roster_content()
    }

    /// Replaces `base`, or creates the roster if there is none.
    ///
    /// # Errors
    /// A conflict, if the roster has changed since `base` was read.
    pub(super) async fn commit(
        self,
        base: Option<&UserRoster>,
    ) -> Result<Publication<'a, Committed>, PublishAttemptError> {
        let Self { store, owner_uid, next, step: Complete { existing } } = self;
        let roster = store.commit_roster(owner_uid, base, next.roster_content()).await?;
        Ok(Publication { store, owner_uid, next, step: Committed { existing, roster } })
    }
}

impl Publication<'_, Committed> {
    pub(super) fn into_result(self, approved: Option<String>) -> PublishResult {
        let Committed { existing, roster } = self.step;
        publish_result(&roster, self.owner_uid, &existing, PublishOutcome::Committed, approved)
    }
}

/// Creates a slice with this name. While the API server limits requests, the write is repeated in place, as it says or
/// with growing pauses: starting the whole attempt again would cost more requests.
async fn create_slice(
    store: &Store,
    owner_uid: &str,
    list: &UserList,
    next: &NextRevision,
    planned: &PlannedSlice,
    name: &str,
) -> Result<String, PublishAttemptError> {
    let (mut pause, mut tries) = (FIRST_THROTTLE_PAUSE, 1);
    loop {
        let content = slice_content(store, list, next, &planned.slice, &planned.source).await?;
        match store.create_slice(owner_uid, name, content).await {
            Err(error @ KubeError::TooManyRequests { .. }) if tries < MAX_THROTTLED_TRIES => {
                tokio::time::sleep(error.retry_pause(pause)).await;
                (pause, tries) = (pause * 2, tries + 1);
            }
            result => return Ok(result?),
        }
    }
}

pub(super) fn publish_result(
    roster: &UserRoster,
    owner_uid: &str,
    existing: &[SliceMeta],
    outcome: PublishOutcome,
    approved: Option<String>,
) -> PublishResult {
    let unreferenced = unreferenced_slices(Some(&roster.spec), owner_uid, existing);
    PublishResult {
        roster: roster.spec.clone(),
        outcome,
        approved,
        unreferenced,
        damaged_history: 0,
        visibility_delays: Vec::new(),
    }
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
        (SliceSource::Existing, _) | (SliceSource::New(_), SliceState::Other(_)) => String::new(),
        (SliceSource::New(range), SliceState::Live) => render_records(list, range.clone()),
        (SliceSource::New(range), SliceState::Held) => {
            next.parts.held.as_ref().map(|(held, _)| render_records(held, range.clone())).unwrap_or_default()
        }
        (SliceSource::New(range), SliceState::Removed) => next
            .parts
            .removed
            .as_ref()
            .map(|(removed, _)| render_records(removed.as_slice(), range.clone()))
            .unwrap_or_default(),
        (SliceSource::New(range), SliceState::Changes) => {
            render_records(next.parts.changes.0.as_slice(), range.clone())
        }
    };
    Ok(SliceContent {
        format: ROSTER_FORMAT_VERSION,
        state: slice.state,
        count: slice.count,
        first_id: record_id(data.lines().next()),
        last_id: record_id(data.lines().next_back()),
        digest: slice.digest.clone(),
        data,
    })
}

fn record_id(line: Option<&str>) -> String {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    line.and_then(|line| serde_json::from_str::<Id>(line).ok()).map(|record| record.id).unwrap_or_default()
}
