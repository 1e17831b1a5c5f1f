//! request — from the creation of a request to its Complete, as a watch sees it.

use std::time::{Duration, Instant};

use boxsync::api::{BoxConnection, UserSyncRequest};

use crate::Result;
use crate::ground::{Bench, SECRET, awaiting, complete, connection, ready};
use crate::sample::Sample;
use crate::table::Row;

const RUNS: usize = 10;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("request").await?;
    let ids = ground.enterprises(1, 1_000).await?;
    let id = ids.first().ok_or("no enterprise")?;
    ground.connect(id, SECRET).await?;
    let _operator = ground.operator_with("--min-sync-gap", "0s")?;
    awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, ready).await?.seen().await?;
    ground.rest().await?;
    let mut times = Vec::new();
    for run in 0..RUNS {
        let name = format!("r{run}");
        let completed = awaiting(ground.api::<UserSyncRequest>(), Some(&name), 1, complete).await?;
        let begin = Instant::now();
        ground.request(&name, id).await?;
        times.push(completed.seen().await? - begin);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let times = Sample::of_times(times);
    Ok(vec![Row::new(
        "request to Complete, 1,000 users, Box answering at once",
        format!("{times} ({})", times.spread(0)),
        "≤ 1 s",
        times.median() <= 1e3,
    )])
}
