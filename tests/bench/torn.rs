//! torn — a reader that loops while list after list is published, and whether it ever saw anything but one of Box's
//! complete answers.
//!
//! Before each sync, some users all over the list are given the round's number as their title. A list is torn where
//! they have not all the same, or not that of the revision, or where somebody is missing.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, SliceState, UserRoster, UserSyncRequest};
use boxsync::roster::{self, LIST, Snapshot, Store, User};
use futures::future;
use tokio_util::sync::CancellationToken;

use crate::ground::{Bench, SECRET, awaiting, complete, connection, ready};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

const USERS: usize = 1_000;
const MARKED: usize = 8;
const PUBLISHES: usize = 1_000;
/// However far it is then.
const TIME: Duration = Duration::from_secs(120);
const ENOUGH: usize = 100;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("torn").await?;
    let ids = ground.enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let _operator = ground.operator_with("--min-sync-gap", "0s")?;
    let published = awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, ready).await?;
    ground.connect(id, SECRET).await?;
    published.seen().await?;

    let users = ground.sim.users(id).await?;
    let marked: Vec<u64> = users.iter().copied().step_by(USERS / MARKED).collect();
    let ended = CancellationToken::new();
    let names = marked.iter().map(u64::to_string).collect();
    let reader = looping(ground.store(id), names, ended.clone());
    let publisher = async {
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < PUBLISHES && begin.elapsed() < TIME {
            let round = times.len() + 1;
            let titles = marked.iter().map(|user| (user, title(round)));
            future::try_join_all(titles.map(async |(user, title)| ground.sim.title(id, *user, &title).await)).await?;
            let name = format!("round-{round}");
            let completed = awaiting(ground.api::<UserSyncRequest>(), Some(&name), 1, complete).await?;
            let asked = Instant::now();
            ground.request(&name, id).await?;
            times.push(completed.seen().await? - asked);
            if round.is_multiple_of(ENOUGH) {
                say(&format!("{round} publishes"));
            }
        }
        Ok::<_, crate::Problem>(times)
    };
    let publisher = async {
        let times = publisher.await;
        ended.cancel();
        times
    };
    let (seen, times) = future::join(reader, publisher).await;
    let (times, Seen { reads, torn, failed, revisions }) = (times?, seen);
    let last = ground.api::<UserRoster>().get(&connection(id)).await?.spec.revision;
    let publishes = times.len();
    if usize::try_from(last)? != publishes + 1 {
        return Err(format!("{publishes} rounds led to revision {last}").into());
    }
    let times = Sample::of_times(times);
    Ok(vec![
        Row::new(
            &format!("torn reads, a reader looping through {publishes} publishes of {USERS} users"),
            format!("{torn} of {reads} reads, {failed} in vain; it saw {} revisions", revisions.len()),
            "0",
            torn == 0 && failed == 0 && publishes >= ENOUGH,
        ),
        Row::beside("from a request to Complete meanwhile", format!("{times} ({})", times.spread(0))),
    ])
}

/// What the marked users are called in this round, which publishes the revision after it.
fn title(round: usize) -> String {
    format!("round {round}")
}

#[derive(Default)]
struct Seen {
    reads: usize,
    torn: usize,
    failed: usize,
    revisions: BTreeSet<i64>,
}

async fn looping(store: Store, marked: HashSet<String>, ended: CancellationToken) -> Seen {
    let mut seen = Seen::default();
    while !ended.is_cancelled() {
        seen.reads += 1;
        match roster::read(&store, LIST, None).await {
            Ok(snapshot) => {
                seen.revisions.insert(snapshot.roster.spec.revision);
                if !is_whole(&snapshot, &marked) {
                    seen.torn += 1;
                }
            }
            Err(error) => {
                say(&format!("the reader got no list: {error}"));
                seen.failed += 1;
            }
        }
    }
    seen
}

fn is_whole(snapshot: &Snapshot, marked: &HashSet<String>) -> bool {
    let expected = usize::try_from(snapshot.roster.spec.revision - 1).map(title).unwrap_or_default();
    let (mut ids, mut as_expected) = (HashSet::new(), 0);
    for line in snapshot.lines(SliceState::Live) {
        let Ok(user) = serde_json::from_str::<User<'_>>(line) else { return false };
        // Those of the first revision still have titles of their own.
        if marked.contains(&*user.id) && (user.job_title == expected || expected == title(0)) {
            as_expected += 1;
        }
        ids.insert(user.id.into_owned());
    }
    ids.len() == USERS && as_expected == marked.len()
}
