//! request — time from the creation of a request to its condition Complete, observed by a watch.

use std::time::Duration;

use crate::{Result, env::Bench, stats::Samples, table::BenchRow};

const RUNS: usize = 10;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("request").await?;
    let ids = env.create_enterprises(1, 1_000).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let _operator = env.start_operator_with_flag("--min-sync-gap", "0s")?;
    env.sync_enterprise(id).await?;
    env.wait_until_idle().await?;
    let mut times = Vec::new();
    for run in 0..RUNS {
        times.push(env.time_request(&format!("r{run}"), id).await?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let times = Samples::from_durations(times);
    Ok(vec![BenchRow::new(
        "request to Complete, 1,000 users, Box without latency",
        times.summary(0, "ms"),
        "≤ 1 s",
        times.median() <= 1e3,
    )])
}
