//! torn_reads — whether a reader that reads in a loop while lists are published continuously ever gets a torn list.
//!
//! Before each sync, some users spread over the list get the number of the round as their job title. A list is torn if
//! these titles differ, do not match the revision, or if a user is missing.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use boxsync::{
    api::{SliceState, UserRoster},
    roster::{self, LIST_STATES, PublishedUser, RosterSnapshot, Store},
};
use futures::future;
use tokio_util::sync::CancellationToken;

use crate::{
    Result,
    env::{Bench, connection_name},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 1_000;
const MARKED_USERS: usize = 8;
const PUBLISHES: usize = 1_000;
/// Stops after this time even with fewer publishes.
const MAX_TIME: Duration = Duration::from_secs(120);
const MIN_PUBLISHES: usize = 100;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("torn").await?;
    let ids = env.create_enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let _operator = env.start_operator_with_flag("--min-sync-gap", "0s")?;
    env.sync_enterprise(id).await?;

    let users = env.sim.user_ids(id).await?;
    let marked: Vec<u64> = users.iter().copied().step_by(USERS / MARKED_USERS).collect();
    let stop = CancellationToken::new();
    let names = marked.iter().map(u64::to_string).collect();
    let reader = read_in_loop(env.reader_store(id), names, stop.clone());
    let publisher = async {
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < PUBLISHES && begin.elapsed() < MAX_TIME {
            let round = times.len() + 1;
            let titles = marked.iter().map(|user| (user, round_title(round)));
            future::try_join_all(titles.map(async |(user, title)| env.sim.set_job_title(id, *user, &title).await))
                .await?;
            times.push(env.time_request(&format!("round-{round}"), id).await?);
            if round.is_multiple_of(MIN_PUBLISHES) {
                log_progress(&format!("{round} publishes"));
            }
        }
        Ok::<_, crate::Error>(times)
    };
    let publisher = async {
        let times = publisher.await;
        stop.cancel();
        times
    };
    let (stats, times) = future::join(reader, publisher).await;
    let (times, ReadStats { reads, torn, failed_reads: failed, revisions }) = (times?, stats);
    let last = env.api::<UserRoster>().get(&connection_name(id)).await?.spec.revision;
    let publishes = times.len();
    if usize::try_from(last)? != publishes + 1 {
        return Err(format!("{publishes} rounds published up to revision {last}").into());
    }
    let times = Samples::from_durations(times);
    Ok(vec![
        BenchRow::new(
            &format!("torn reads, reader loop during {publishes} publishes of {USERS} users"),
            format!("{torn} of {reads} reads, {failed} failed; {} revisions read", revisions.len()),
            "0",
            torn == 0 && failed == 0 && publishes >= MIN_PUBLISHES,
        ),
        BenchRow::detail("request to Complete meanwhile", times.summary(0, "ms")),
    ])
}

/// Job title of the marked users in this round, which publishes the next revision.
fn round_title(round: usize) -> String {
    format!("round {round}")
}

#[derive(Default)]
struct ReadStats {
    reads: usize,
    torn: usize,
    failed_reads: usize,
    revisions: BTreeSet<i64>,
}

async fn read_in_loop(store: Store, marked: HashSet<String>, stop: CancellationToken) -> ReadStats {
    let mut stats = ReadStats::default();
    while !stop.is_cancelled() {
        stats.reads += 1;
        match roster::read_snapshot(&store, LIST_STATES, None).await {
            Ok(snapshot) => {
                stats.revisions.insert(snapshot.roster.spec.revision);
                if !is_consistent(&snapshot, &marked) {
                    stats.torn += 1;
                }
            }
            Err(error) => {
                log_progress(&format!("read failed: {error}"));
                stats.failed_reads += 1;
            }
        }
    }
    stats
}

fn is_consistent(snapshot: &RosterSnapshot, marked: &HashSet<String>) -> bool {
    let expected = usize::try_from(snapshot.roster.spec.revision - 1).map(round_title).unwrap_or_default();
    let (mut ids, mut as_expected) = (HashSet::new(), 0);
    for line in snapshot.record_lines(SliceState::Live) {
        let Ok(user) = serde_json::from_str::<PublishedUser<'_>>(line) else { return false };
        // In the first revision, the titles are not set yet.
        if marked.contains(&*user.id) && (user.job_title == expected || expected == round_title(0)) {
            as_expected += 1;
        }
        ids.insert(user.id.into_owned());
    }
    ids.len() == USERS && as_expected == marked.len()
}
