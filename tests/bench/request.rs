//! request — time from the creation of a request to its condition Complete, observed by a watch.

use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, UserSyncRequest};

use crate::{
    Result,
    env::{Bench, SECRET_NAME, connection_name, is_complete, is_ready, start_watch},
    stats::Samples,
    table::BenchRow,
};

const RUNS: usize = 10;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("request").await?;
    let ids = env.create_enterprises(1, 1_000).await?;
    let id = ids.first().ok_or("no enterprise")?;
    env.connect_enterprise(id, SECRET_NAME).await?;
    let _operator = env.start_operator_with_flag("--min-sync-gap", "0s")?;
    start_watch(env.api::<BoxConnection>(), Some(&connection_name(id)), 1, is_ready).await?.reached_at().await?;
    env.wait_until_idle().await?;
    let mut times = Vec::new();
    for run in 0..RUNS {
        let name = format!("r{run}");
        let completed = start_watch(env.api::<UserSyncRequest>(), Some(&name), 1, is_complete).await?;
        let begin = Instant::now();
        env.create_sync_request(&name, id).await?;
        times.push(completed.reached_at().await? - begin);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let times = Samples::from_durations(times);
    Ok(vec![BenchRow::new(
        "request to Complete, 1,000 users, Box without latency",
        format!("{times} ({})", times.format_range(0)),
        "≤ 1 s",
        times.median() <= 1e3,
    )])
}
