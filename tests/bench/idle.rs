//! idle — memory at rest with one and with a thousand connections, what a restart among fresh lists costs, and
//! what is written in a minute in which nothing happens.

use std::time::{Duration, Instant};

use boxsync::api::BoxConnection;
use harness::Operator;

use crate::ground::{Bench, Ground, LIMIT, anonymous, awaiting, mb, ready};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

const USERS: usize = 10;
const CONNECTIONS: usize = 1_000;
const RUNS: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = one(bench).await?;
    rows.extend(thousand(bench).await?);
    Ok(rows)
}

async fn one(bench: &Bench) -> Result<Vec<Row>> {
    let (mut rss, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let ground = bench.ground("idle one").await?;
        let operator = synced(&ground, 1).await?;
        rss.push(mb(operator.process().rss_kib())?);
        parts.push(anonymous(&operator)?);
    }
    let (rss, parts) = (Sample::of(rss), Sample::of(parts));
    Ok(vec![Row::new(
        "memory at rest, 1 connection of 10 users",
        format!("{:.1} MB ({}), {:.1} of them no file", rss.median(), rss.spread(1), parts.median()),
        "≤ 15 MB",
        rss.median() <= 15.0,
    )])
}

async fn thousand(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("idle thousand").await?;
    say("syncing 1,000 connections");
    let mut operator = synced(&ground, CONNECTIONS).await?;
    let (synced, part) = (mb(operator.process().rss_kib())?, anonymous(&operator)?);

    say("nothing happens for a minute");
    let (mark, cpu) = (ground.audit().mark(), operator.process().cpu().unwrap_or_default());
    tokio::time::sleep(MINUTE).await;
    let writes = ground.audit().since(mark).by(&ground.user).writes().besides("leases");
    let cpu = operator.process().cpu().unwrap_or_default().saturating_sub(cpu);
    if !writes.is_empty() {
        say(&format!("written meanwhile:\n{writes}"));
    }

    let (mut calls, mut asks, mut wrote, mut rss) = (0, 0, 0, Vec::new());
    for _ in 0..RUNS {
        operator.terminate(Duration::from_secs(10)).await?;
        let before = ground.sim.calls().await?;
        let mark = ground.audit().mark();
        operator.start_again()?;
        watching(&ground, mark).await?;
        ground.rest().await?;
        let entries = ground.audit().since(mark).by(&ground.user);
        let others = entries.clone().besides("leases").filter(|entry| !matches!(entry.verb.as_str(), "list" | "watch"));
        if !others.is_empty() {
            say(&format!("after the restart:\n{others}"));
        }
        // The worst of them.
        calls = calls.max(ground.sim.calls().await? - before);
        asks = asks.max(others.len());
        wrote = wrote.max(entries.writes().besides("leases").len());
        rss.push(mb(operator.process().rss_kib())?);
    }
    let rss = Sample::of(rss);
    Ok(vec![
        Row::new(
            "memory at rest, 1,000 connections of 10 users, all synced",
            format!("{synced:.1} MB (n=1), {part:.1} of them no file"),
            "≤ 25 MB",
            synced <= 25.0,
        ),
        Row::beside("the same after a restart", format!("{:.1} MB ({})", rss.median(), rss.spread(1))),
        Row::new(
            "restart with 1,000 fresh connections: the most of 3",
            format!("{calls} Box calls, {wrote} writes, {asks} other API requests"),
            "0, 0, ≤ 10",
            calls == 0 && wrote == 0 && asks <= 10,
        ),
        Row::new(
            "writes in an idle minute, 1,000 connections",
            format!("{} (operator's CPU: {} ms)", writes.len(), cpu.as_millis()),
            "0",
            writes.is_empty(),
        ),
    ])
}

/// An operator that has synced so many connections and then came to rest.
async fn synced(ground: &Ground<'_>, count: usize) -> Result<Operator> {
    let ids = ground.enterprises(count, USERS).await?;
    let operator = ground.operator()?;
    let all_ready = awaiting(ground.api::<BoxConnection>(), None, count, ready).await?;
    ground.connect_all(&ids).await?;
    all_ready.seen().await?;
    ground.rest().await?;
    Ok(operator)
}

/// Waits until all watches have begun: connections, requests, rosters.
async fn watching(ground: &Ground<'_>, mark: harness::Mark) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let watches = ground.audit().since(mark).by(&ground.user).filter(|entry| entry.verb == "watch");
        if watches.len() >= 3 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err("the operator does not watch".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
