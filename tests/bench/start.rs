//! start — time from the start of the process to its first call to Box, for a connection that is due.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    Result,
    env::{Bench, SECRET_NAME, TIMEOUT},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const RUNS: usize = 10;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("start").await?;
    let ids = env.create_enterprises(RUNS, 10).await?;
    let (mut calls, mut first_requests) = (Vec::new(), Vec::new());
    for id in &ids {
        // A new connection is due; those of earlier runs are fresh.
        env.connect_enterprise(id, SECRET_NAME).await?;
        let mark = env.audit().end_offset();
        let begin = Timestamp::now();
        let mut operator = env.start_operator()?;
        let deadline = Instant::now() + TIMEOUT;
        let first_call = loop {
            match env.sim.first_call_time(id).await? {
                Some(at) => break at,
                None if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                None => return Err(format!("no call to Box:\n{}", operator.last_lines(5)?).into()),
            }
        };
        env.wait_until_idle().await?;
        operator.terminate(Duration::from_secs(10)).await?;
        let entries = env.audit().entries_since(mark).by_user(&env.operator_user);
        let first = entries.iter().map(|entry| entry.time).min().ok_or("the audit log shows no request")?;
        calls.push(Duration::try_from(first_call.duration_since(begin))?);
        first_requests.push(Duration::try_from(first.duration_since(begin))?);
        log_progress(&format!("first call to Box after {:.0?}", calls.last().copied().unwrap_or_default()));
    }
    let (calls, first_requests) = (Samples::from_durations(calls), Samples::from_durations(first_requests));
    Ok(vec![
        BenchRow::new(
            "start to first reconcile (its first call to Box)",
            calls.summary(0, "ms"),
            "≤ 500 ms",
            calls.median() <= 500.0,
        ),
        BenchRow::detail("start to first request to the API server", first_requests.summary(0, "ms")),
    ])
}
