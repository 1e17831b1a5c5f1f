//! reconnect_latency — time from valid credentials in the Secret to the condition Connected.

use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, ConditionStatus};

use crate::{
    Result,
    env::{Bench, has_condition, start_watch},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

/// The Secrets are fixed one after the other, spread over the minute between two checks.
const AUTOMATIC_RUNS: usize = 12;
const INTERVAL: Duration = Duration::from_secs(5);
const REQUESTED_RUNS: usize = 5;
const WRONG_CLIENT_SECRET: &str = "notTheClientSecret00000000000000";

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("reconnect").await?;
    let ids = env.create_enterprises(AUTOMATIC_RUNS + REQUESTED_RUNS, 1_000).await?;
    for id in &ids {
        env.create_secret(&secret_name(id), WRONG_CLIENT_SECRET).await?;
        env.connect_enterprise(id, &secret_name(id)).await?;
    }
    let _operator = env.start_operator()?;
    let disconnected = |c: &BoxConnection| has_condition(c, "Connected", ConditionStatus::False);
    start_watch(env.api(), None, ids.len(), disconnected).await?.reached_at().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let (requested, automatic) = ids.split_at(REQUESTED_RUNS);
    let mut requested_times = Vec::new();
    for id in requested {
        let connected = env.watch_connection(id, is_connected).await?;
        let begin = Instant::now();
        env.fix_secret(&secret_name(id)).await?;
        env.create_sync_request(&format!("r{id}"), id).await?;
        requested_times.push(connected.reached_at().await? - begin);
    }
    log_progress(&format!("fixing {AUTOMATIC_RUNS} Secrets, one every {} s", INTERVAL.as_secs()));
    let mut waiting = Vec::new();
    for id in automatic {
        let connected = env.watch_connection(id, is_connected).await?;
        let begin = Instant::now();
        env.fix_secret(&secret_name(id)).await?;
        waiting.push(async move { Ok::<_, crate::Error>(connected.reached_at().await? - begin) });
        tokio::time::sleep(INTERVAL).await;
    }
    let automatic_times = Samples::from_durations(futures::future::try_join_all(waiting).await?);
    let requested_times = Samples::from_durations(requested_times);
    let seconds = |ms: f64| ms / 1e3;
    Ok(vec![
        BenchRow::new(
            "fixed Secret to Connected, automatic: maximum",
            format!(
                "{:.1} s (n={AUTOMATIC_RUNS}, {:.1}–{:.1}, median {:.1})",
                seconds(automatic_times.max()),
                seconds(automatic_times.min()),
                seconds(automatic_times.max()),
                seconds(automatic_times.median())
            ),
            "≤ 65 s",
            automatic_times.max() <= 65e3,
        ),
        BenchRow::new(
            "fixed Secret to Connected, with a request: maximum",
            format!("{:.0} ms ({}, median {requested_times})", requested_times.max(), requested_times.format_range(0)),
            "≤ 2 s",
            requested_times.max() <= 2e3,
        ),
    ])
}

fn secret_name(id: &str) -> String {
    format!("box-{id}")
}

fn is_connected(connection: &BoxConnection) -> bool {
    has_condition(connection, "Connected", ConditionStatus::True)
}
