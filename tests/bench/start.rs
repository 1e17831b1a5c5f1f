//! start — from the start of the process to its first call to Box, for a connection that is due.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ground::{Bench, LIMIT, SECRET};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

const RUNS: usize = 10;

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("start").await?;
    let ids = ground.enterprises(RUNS, 10).await?;
    let (mut calls, mut asks) = (Vec::new(), Vec::new());
    for id in &ids {
        // New, and therefore due; those of the runs before are fresh.
        ground.connect(id, SECRET).await?;
        let mark = ground.audit().mark();
        let begin = Timestamp::now();
        let mut operator = ground.operator()?;
        let deadline = Instant::now() + LIMIT;
        let called = loop {
            match ground.sim.first_call(id).await? {
                Some(at) => break at,
                None if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                None => return Err(format!("no call to Box:\n{}", operator.last_lines(5)?).into()),
            }
        };
        ground.rest().await?;
        operator.terminate(Duration::from_secs(10)).await?;
        let entries = ground.audit().since(mark).by(&ground.user);
        let first = entries.iter().map(|entry| entry.time).min().ok_or("the audit log shows no request")?;
        calls.push(Duration::try_from(called.duration_since(begin))?);
        asks.push(Duration::try_from(first.duration_since(begin))?);
        say(&format!("first call to Box after {:.0?}", calls.last().copied().unwrap_or_default()));
    }
    let (calls, asks) = (Sample::of_times(calls), Sample::of_times(asks));
    Ok(vec![
        Row::new(
            "start to first reconcile (its first call to Box)",
            format!("{calls} ({})", calls.spread(0)),
            "≤ 500 ms",
            calls.median() <= 500.0,
        ),
        Row::beside("start to first request to the API server", format!("{asks} ({})", asks.spread(0))),
    ])
}
