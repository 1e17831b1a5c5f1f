//! mended — from the right credentials in the Secret to a connection that says Connected.

use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, State};

use crate::ground::{Bench, Ground, awaiting, connection, is};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

/// Mended one after the other, so that they meet every part of the minute between two looks.
const ALONE: usize = 12;
const APART: Duration = Duration::from_secs(5);
const ASKED: usize = 5;
const WRONG: &str = "notTheClientSecret00000000000000";

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("mended").await?;
    let ids = ground.enterprises(ALONE + ASKED, 1_000).await?;
    for id in &ids {
        ground.secret(&secret(id), WRONG).await?;
        ground.connect(id, &secret(id)).await?;
    }
    let _operator = ground.operator()?;
    let lost = |c: &BoxConnection| is(c, "Connected", State::False);
    awaiting(ground.api(), None, ids.len(), lost).await?.seen().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let (asked, alone) = ids.split_at(ASKED);
    let mut asked_times = Vec::new();
    for id in asked {
        let connected = connected(&ground, id).await?;
        let begin = Instant::now();
        ground.mend(&secret(id)).await?;
        ground.request(&format!("r{id}"), id).await?;
        asked_times.push(connected.seen().await? - begin);
    }
    say(&format!("mending {ALONE} Secrets, one every {} s", APART.as_secs()));
    let mut waiting = Vec::new();
    for id in alone {
        let connected = connected(&ground, id).await?;
        let begin = Instant::now();
        ground.mend(&secret(id)).await?;
        waiting.push(async move { Ok::<_, crate::Problem>(connected.seen().await? - begin) });
        tokio::time::sleep(APART).await;
    }
    let alone_times = Sample::of_times(futures::future::try_join_all(waiting).await?);
    let asked_times = Sample::of_times(asked_times);
    let seconds = |ms: f64| ms / 1e3;
    Ok(vec![
        Row::new(
            "a mended Secret to connected, by itself: the longest",
            format!(
                "{:.1} s (n={ALONE}, {:.1}–{:.1}, median {:.1})",
                seconds(alone_times.most()),
                seconds(alone_times.least()),
                seconds(alone_times.most()),
                seconds(alone_times.median())
            ),
            "≤ 65 s",
            alone_times.most() <= 65e3,
        ),
        Row::new(
            "a mended Secret to connected, with a request: the longest",
            format!("{:.0} ms ({}, median {asked_times})", asked_times.most(), asked_times.spread(0)),
            "≤ 2 s",
            asked_times.most() <= 2e3,
        ),
    ])
}

fn secret(id: &str) -> String {
    format!("box-{id}")
}

async fn connected(ground: &Ground<'_>, id: &str) -> Result<crate::ground::Awaited> {
    awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, |c| is(c, "Connected", State::True)).await
}
