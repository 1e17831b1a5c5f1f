//! coverage — how long `kubectl boxsync coverage` takes to compare 100,000 users with an export of as many rows.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::{
    Result,
    env::{Bench, connection_name},
    log_progress,
    stats::Samples,
    table::BenchRow,
    users::{PLUGIN, time_command},
};

const USERS: usize = 100_000;
const RUNS: usize = 7;

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("coverage").await?;
    let ids = env.create_enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let operator = env.start_operator()?;
    env.sync_enterprise(id).await?;
    env.wait_until_idle().await?;
    drop(operator);
    let export = bench.log_dir().join("coverage.csv");
    let output = bench.log_dir().join("coverage.txt");
    let plugin = |args: &[&str], stdout: File| {
        let mut command = Command::new(PLUGIN);
        command
            .args(args)
            .args(["--namespace", &env.namespace])
            .env("KUBECONFIG", env.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .stdout(stdout);
        command
    };
    let name = connection_name(id);
    time_command(&mut plugin(&["users", &name, "--output", "csv"], File::create(&export)?))?;
    let file = export.display().to_string();
    let conditions = ["--where", "state=Live", "--last-backup-column", "createdAt", "--max-backup-age", "40000d"];
    let coverage = [&["coverage", &name, "--protected", &file][..], &conditions].concat();
    let mut times = Vec::new();
    // The runs alternate, so that both see the same load.
    let mut reading = Vec::new();
    for _ in 0..RUNS {
        log_progress("comparing 100,000 users with an export");
        let mut command = plugin(&coverage, File::create(&output)?);
        times.push(tokio::task::spawn_blocking(move || time_command(&mut command)).await??);
        let mut command = plugin(&["users", &name, "--output", "name"], File::create(&output)?);
        reading.push(tokio::task::spawn_blocking(move || time_command(&mut command)).await??);
    }
    time_command(&mut plugin(&coverage, File::create(&output)?))?;
    let summary = fs::read_to_string(&output)?.lines().next().unwrap_or_default().to_owned();
    if !summary.starts_with("All 100,000 users") {
        return Err(format!("it printed {summary:?}").into());
    }
    let (times, reading) = (Samples::from_durations(times), Samples::from_durations(reading));
    let beside = times.median() - reading.median();
    Ok(vec![
        BenchRow::new(
            "kubectl boxsync coverage, 100,000 users and rows",
            times.summary(0, "ms"),
            "≤ 1 s beside reading the list",
            beside <= 1e3,
        ),
        BenchRow::detail("reading the list (users -o name)", format!("{reading}; beside it {beside:.0} ms")),
    ])
}
