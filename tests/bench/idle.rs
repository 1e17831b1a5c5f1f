//! idle — idle memory with one and with a thousand connections, cost of a restart with fresh lists, and writes in an idle
//! minute.

use std::time::{Duration, Instant};

use boxsync::api::BoxConnection;
use harness::Operator;

use crate::{
    Result,
    env::{Bench, BenchEnv, TIMEOUT, is_ready, kib_to_mb, start_watch},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 10;
const CONNECTIONS: usize = 1_000;
const RUNS: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let mut rows = measure_one_connection(bench).await?;
    rows.extend(measure_thousand_connections(bench).await?);
    Ok(rows)
}

async fn measure_one_connection(bench: &Bench) -> Result<Vec<BenchRow>> {
    let (mut rss, mut anonymous) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let env = bench.new_env("idle one").await?;
        let operator = start_synced_operator(&env, 1).await?;
        rss.push(kib_to_mb(operator.process().rss_kib())?);
        anonymous.push(kib_to_mb(operator.process().anonymous_rss_kib())?);
    }
    let (rss, anonymous) = (Samples::from_values(rss), Samples::from_values(anonymous));
    Ok(vec![BenchRow::new(
        "idle memory, 1 connection with 10 users",
        format!("{}, {:.1} MB anonymous", rss.summary(1, "MB"), anonymous.median()),
        "≤ 15 MB",
        rss.median() <= 15.0,
    )])
}

async fn measure_thousand_connections(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("idle thousand").await?;
    log_progress("syncing 1,000 connections");
    let mut operator = start_synced_operator(&env, CONNECTIONS).await?;
    let (synced, anonymous) =
        (kib_to_mb(operator.process().rss_kib())?, kib_to_mb(operator.process().anonymous_rss_kib())?);

    log_progress("idle for one minute");
    let (mark, cpu) = (env.audit().end_offset(), operator.process().cpu_time().unwrap_or_default());
    tokio::time::sleep(MINUTE).await;
    let writes = env.audit().entries_since(mark).by_user(&env.operator_user).only_writes().without_resource("leases");
    let cpu = operator.process().cpu_time().unwrap_or_default().saturating_sub(cpu);
    if !writes.is_empty() {
        log_progress(&format!("writes:\n{writes}"));
    }

    let (mut calls, mut api_requests, mut writes_after_restart, mut rss) = (0, 0, 0, Vec::new());
    for _ in 0..RUNS {
        operator.terminate(Duration::from_secs(10)).await?;
        let before = env.sim.count_calls().await?;
        let mark = env.audit().end_offset();
        operator.restart()?;
        wait_for_watches(&env, mark).await?;
        env.wait_until_idle().await?;
        let entries = env.audit().entries_since(mark).by_user(&env.operator_user);
        let others =
            entries.clone().without_resource("leases").filter(|entry| !matches!(entry.verb.as_str(), "list" | "watch"));
        if !others.is_empty() {
            log_progress(&format!("API requests after the restart:\n{others}"));
        }
        // The maximum of all runs.
        calls = calls.max(env.sim.count_calls().await? - before);
        api_requests = api_requests.max(others.len());
        writes_after_restart = writes_after_restart.max(entries.only_writes().without_resource("leases").len());
        rss.push(kib_to_mb(operator.process().rss_kib())?);
    }
    let rss = Samples::from_values(rss);
    Ok(vec![
        BenchRow::new(
            "idle memory, 1,000 connections with 10 users, all synced",
            format!("{synced:.1} MB (n=1), {anonymous:.1} MB anonymous"),
            "≤ 25 MB",
            synced <= 25.0,
        ),
        BenchRow::detail("after a restart", rss.summary(1, "MB")),
        BenchRow::new(
            "restart with 1,000 fresh connections: maximum of 3",
            format!("{calls} Box calls, {writes_after_restart} writes, {api_requests} other API requests"),
            "0, 0, ≤ 10",
            calls == 0 && writes_after_restart == 0 && api_requests <= 10,
        ),
        BenchRow::new(
            "writes in an idle minute, 1,000 connections",
            format!("{} (operator's CPU: {} ms)", writes.len(), cpu.as_millis()),
            "0",
            writes.is_empty(),
        ),
    ])
}

/// Starts an operator and waits until it has synced `count` connections and is idle.
async fn start_synced_operator(env: &BenchEnv<'_>, count: usize) -> Result<Operator> {
    let ids = env.create_enterprises(count, USERS).await?;
    let operator = env.start_operator()?;
    let all_ready = start_watch(env.api::<BoxConnection>(), None, count, is_ready).await?;
    env.connect_enterprises(&ids).await?;
    all_ready.reached_at().await?;
    env.wait_until_idle().await?;
    Ok(operator)
}

/// Waits until all watches have started: connections, requests, rosters.
async fn wait_for_watches(env: &BenchEnv<'_>, mark: harness::LogOffset) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let watches = env.audit().entries_since(mark).by_user(&env.operator_user).filter(|entry| entry.verb == "watch");
        if watches.len() >= 3 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err("the operator started no watches".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
