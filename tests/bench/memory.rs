//! memory — peak resident memory of the operator while it fetches and publishes one large list.

use crate::{
    Result,
    env::{Bench, kib_to_mb},
    log_progress,
    simulator::TrackingCodes,
    stats::Samples,
    table::BenchRow,
};

const RUNS: usize = 3;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let mut rows = measure_peak(bench, "100,000 users", 100_000, TrackingCodes::None, 40.0).await?;
    rows.extend(measure_peak(bench, "100,000 users with tracking codes", 100_000, TrackingCodes::Two, 53.0).await?);
    rows.extend(measure_peak(bench, "1,000,000 users", 1_000_000, TrackingCodes::None, 160.0).await?);
    Ok(rows)
}

async fn measure_peak(
    bench: &Bench,
    label: &str,
    users: usize,
    codes: TrackingCodes,
    max_mb: f64,
) -> Result<Vec<BenchRow>> {
    let (mut peaks, mut idle_values) = (Vec::new(), Vec::new());
    let env = bench.new_env(&format!("memory {label}")).await?;
    let ids = env.create_enterprises_with(codes, RUNS, users).await?;
    for id in &ids {
        log_progress(&format!("syncing {label}"));
        // A new process, so that the peak belongs to one list.
        let operator = env.start_operator()?;
        env.sync_enterprise(id).await?;
        env.wait_until_idle().await?;
        peaks.push(kib_to_mb(operator.process().peak_rss_kib())?);
        idle_values.push(kib_to_mb(operator.process().rss_kib())?);
    }
    let (peaks, idle_values) = (Samples::from_values(peaks), Samples::from_values(idle_values));
    Ok(vec![
        BenchRow::new(
            &format!("peak memory, {label} fetched and published"),
            peaks.summary(1, "MB"),
            &format!("≤ {max_mb:.0} MB"),
            peaks.median() <= max_mb,
        ),
        BenchRow::detail("idle memory afterwards", idle_values.summary(1, "MB")),
    ])
}
