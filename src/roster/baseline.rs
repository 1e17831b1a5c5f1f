//! What a new list is compared with: the published one, read as far as it differs, and what becomes of everybody.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::compare::{Compared, Comparison, Record, fresh};
use super::cut::{Cut, cut};
use super::line::{Changed, Gone, User};
use super::publish::{Error, Order, Setback};
use super::resolve::{Before, Resolved, resolve};
use super::revision::{Current, Parts, outlived};
use super::store::{Present, Store};
use super::{Builder, List};
use crate::{
    api::{Held, SliceRef, SliceState, UserCounts, UserRoster},
    cluster::Trouble,
};

const AT_ONCE: usize = 4;

/// The published list, as a next one can build on it.
pub(super) fn current<'a>(roster: &'a UserRoster, ours: bool, owner: &str, present: &'a [Present]) -> Current<'a> {
    let content = &roster.spec;
    let previous = content.previous.iter().flat_map(|p| p.slices.iter());
    let named: HashSet<&str> = content.slices.iter().map(|s| &s.name).chain(previous).map(String::as_str).collect();
    let there = present.iter().filter(|p| named.contains(p.name.as_str()));
    Current {
        content,
        ours,
        reusable: there.clone().filter(|p| p.owner.as_deref() == Some(owner)).map(|p| p.name.as_str()).collect(),
        readable: there.clone().map(|p| p.name.as_str()).collect(),
        ownerless: there.filter(|p| p.owner.is_none()).map(|p| p.name.clone()).collect(),
    }
}

/// Compares with what is published. The inner error: removals of nobody knows whom that would have to be held.
pub(super) async fn compared(
    store: &Store,
    order: &Order<'_>,
    list: &List,
    cuts: &[Cut],
    current: Option<&Current<'_>>,
    now: Timestamp,
) -> Result<Result<(Parts, Resolved), Held>, Setback> {
    let slices = |state| current.into_iter().flat_map(|c| &c.content.slices).filter(move |s| s.state == state);
    let digests: HashSet<&str> = cuts.iter().map(|c| c.digest.as_str()).collect();
    let published: HashSet<&str> = slices(SliceState::Live).map(|s| s.digest.as_str()).collect();
    let live_changed = digests != published;
    let missing = |slice: &SliceRef| current.is_some_and(|c| !c.reusable.contains(slice.name.as_str()));
    let total = current.map_or_else(|| order.known.map_or(0, |(_, total)| total), |c| c.content.users.total);

    let read_held = live_changed || order.approve.is_some() || slices(SliceState::Held).any(missing);
    let (held, mut lost) = if read_held { users(store, slices(SliceState::Held)).await? } else { (List::default(), 0) };
    let gone: Vec<&SliceRef> = slices(SliceState::Live).filter(|s| !digests.contains(s.digest.as_str())).collect();
    let record = if current.is_none() { Record::none() } else { Record::default() };
    let mut comparison = Comparison::new(list, fresh(cuts, |digest| published.contains(digest)), record);
    let reads = stream::iter(0..gone.len()).map(async |at| store.data(gone[at]).await).buffered(AT_ONCE);
    let mut reads = std::pin::pin!(reads);
    for slice in &gone {
        let data = reads.try_next().await?.flatten();
        match data.as_deref().and_then(lines::<User<'_>>) {
            Some(users) => comparison.published(&users),
            None => lost += slice.count,
        }
    }
    let mut found: Compared = comparison.finish();
    if current.is_none() {
        lost = total;
    }
    if lost > 0 {
        tracing::warn!(
            connection = store.connection(),
            users = lost,
            "a part of the published list is lost: it counts in numbers"
        );
        found.record = Record::none();
    }
    let before = Before {
        total,
        held,
        held_told: current.and_then(|c| c.content.held.clone()),
        lost,
        max_removal_percent: order.max_removal_percent,
        approve: order.approve,
    };
    let held_before = before.held_told.clone();
    let mut resolved = match resolve(list, found, before, now) {
        Ok(resolved) => resolved,
        Err(held) => return Ok(Err(held)),
    };
    let parts_held = if !read_held {
        resolved.held_told = held_before;
        None
    } else {
        let held = std::mem::take(&mut resolved.held);
        let cuts = cut(&held).map_err(|_| Setback::Refused(Error::LineTooLong))?;
        Some((held, cuts))
    };
    let removed = removed(store, order, list, current, &mut resolved, now).await?;
    let changes = std::mem::take(&mut resolved.record).finish();
    let changes_cuts = cut(changes.as_slice()).map_err(|_| Setback::Refused(Error::LineTooLong))?;
    let users = match (&parts_held, current) {
        (None, Some(current)) => current.content.users,
        (None, None) => list.counts(),
        (Some((held, _)), _) => with_held(list.counts(), &held.counts()),
    };
    let parts = Parts {
        held: parts_held,
        held_told: resolved.held_told.clone(),
        removed,
        changes: (changes, changes_cuts),
        users,
    };
    Ok(Ok((parts, resolved)))
}

/// Those who are gone, as they are to be published; `None`: as they are. Tells of the added ones who is back.
async fn removed(
    store: &Store,
    order: &Order<'_>,
    list: &List,
    current: Option<&Current<'_>>,
    resolved: &mut Resolved,
    now: Timestamp,
) -> Result<Option<(Vec<Gone>, Vec<Cut>)>, Setback> {
    let oldest = current.and_then(|c| c.content.oldest_removed_at.as_ref());
    let old = oldest.is_some_and(|t| outlived(t.0, order.retention, now));
    let mut everybody = Vec::new();
    let needed = !resolved.added.is_empty() || !resolved.removed.is_empty() || old;
    if needed {
        let slices = current.into_iter().flat_map(|c| &c.content.slices).filter(|s| s.state == SliceState::Removed);
        for slice in slices {
            match store.data(slice).await?.as_deref().and_then(lines::<Gone>) {
                Some(gone) => everybody.extend(gone),
                None => {
                    let (connection, users) = (store.connection(), slice.count);
                    tracing::warn!(connection, users, "the record of users who are gone is lost in part");
                }
            }
        }
    }
    let was_removed: HashSet<&str> = everybody.iter().map(|gone| gone.id.as_str()).collect();
    for at in &resolved.added {
        let user = list.get(*at as usize);
        let back = was_removed.contains(user.id);
        resolved.record.note(|| if back { Changed::back(&user) } else { Changed::added(&user) });
    }
    if !needed {
        return Ok(None);
    }
    everybody.retain(|gone| !list.contains(&gone.id) && !outlived(gone.removed_at, order.retention, now));
    everybody.append(&mut resolved.removed);
    everybody.sort_by(|a, b| super::by_id(&a.id, &b.id));
    let cuts = cut(everybody.as_slice()).map_err(|_| Setback::Refused(Error::LineTooLong))?;
    Ok(Some((everybody, cuts)))
}

/// The users of these slices, and how many are lost.
async fn users(store: &Store, slices: impl Iterator<Item = &SliceRef>) -> Result<(List, i64), Trouble> {
    let (mut builder, mut lost) = (Builder::default(), 0);
    for slice in slices {
        let data = store.data(slice).await?;
        match data.as_deref().and_then(lines::<User<'_>>) {
            Some(users) => builder.push_page(users.iter().map(User::entry)),
            None => lost += slice.count,
        }
    }
    Ok((builder.finish(), lost))
}

/// The lines of a slice; `None` where one of them cannot be read, and none can be relied on.
fn lines<'a, T: serde::Deserialize<'a>>(data: &'a str) -> Option<Vec<T>> {
    data.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

fn with_held(live: UserCounts, held: &UserCounts) -> UserCounts {
    UserCounts {
        total: live.total + held.total,
        active: live.active + held.active,
        inactive: live.inactive + held.inactive,
        restricted: live.restricted + held.restricted,
        other: live.other + held.other,
        app: live.app + held.app,
        held: held.total,
        removed: 0,
    }
}
