//! removals — a sync of 100,000 users of whom 90 have left, of which Box is asked one by one: time and peak memory, beside
//! a sync without changes.

use std::time::Duration;

use crate::{
    Result,
    env::{Bench, kib_to_mb},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 100_000;
const LEAVERS: usize = 90;
const RUNS: usize = 3;
/// As Box's API answers over the internet.
const LATENCY: Duration = Duration::from_millis(200);

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("removals").await?;
    let ids = env.create_enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let first = env.start_operator_with_flag("--min-sync-gap", "0s")?;
    env.sync_enterprise(id).await?;
    env.wait_until_idle().await?;
    drop(first);
    let (mut times, mut peaks) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for run in 0..RUNS {
        for (kind, leavers) in [0, LEAVERS].into_iter().enumerate() {
            log_progress(&format!("syncing {USERS} users of whom {leavers} have left"));
            for user in env.sim.user_ids(id).await?.into_iter().take(leavers) {
                env.sim.remove_user(id, user).await?;
            }
            // A new process, so that the peak belongs to one sync.
            let operator = env.start_operator_with_flag("--min-sync-gap", "0s")?;
            env.wait_until_idle().await?;
            env.sim.set_latency(id, LATENCY).await?;
            let took = env.time_request(&format!("r{run}-{leavers}"), id).await?;
            env.sim.set_latency(id, Duration::ZERO).await?;
            if let (Some(times), Some(peaks)) = (times.get_mut(kind), peaks.get_mut(kind)) {
                times.push(took);
                peaks.push(kib_to_mb(operator.process().peak_rss_kib())?);
            }
        }
    }
    let [unchanged_times, leaver_times] = times.map(Samples::from_durations);
    let [unchanged_peaks, leaver_peaks] = peaks.map(Samples::from_values);
    let more = leaver_times.median() - unchanged_times.median();
    Ok(vec![
        BenchRow::new(
            &format!("request to Complete, 100,000 users, {LEAVERS} have left, Box with a latency of 200 ms"),
            leaver_times.summary(0, "ms"),
            "≤ 10 s more than without changes",
            more <= 10e3,
        ),
        BenchRow::detail("the same without changes", unchanged_times.summary(0, "ms")),
        BenchRow::new(
            "peak memory of it",
            leaver_peaks.summary(1, "MB"),
            "≤ 1.1 times that without changes",
            leaver_peaks.median() <= unchanged_peaks.median() * 1.1,
        ),
        BenchRow::detail("the same without changes", unchanged_peaks.summary(1, "MB")),
    ])
}
