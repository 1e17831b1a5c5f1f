//! users — how long `kubectl boxsync users` takes to print a list of 100,000.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{
    Result,
    env::{Bench, BenchEnv, connection_name},
    log_progress,
    stats::Samples,
    table::BenchRow,
};

const USERS: usize = 100_000;
const RUNS: usize = 7;
pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-boxsync");

pub(crate) async fn run(bench: &Bench) -> Result<Vec<BenchRow>> {
    let env = bench.new_env("users").await?;
    let ids = env.create_enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let operator = env.start_operator()?;
    env.sync_enterprise(id).await?;
    env.wait_until_idle().await?;
    drop(operator);
    let api_server = || env.plane.api_server().cpu_time().unwrap_or_default();
    let before = (children_cpu_time(), api_server());
    let table = time_printing(bench, &env, id, "table", USERS + 1).await?;
    let cpu = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1e3 / RUNS as f64;
    let (plugin_ms, api_server_ms) = (cpu(before.0, children_cpu_time()), cpu(before.1, api_server()));
    let mut others = Vec::new();
    for (format, lines) in [("name", USERS), ("jsonl", USERS), ("csv", USERS + 1), ("json", 0)] {
        let times = time_printing(bench, &env, id, format, lines).await?;
        others.push(format!("{format} {times}"));
    }
    let written = time_writing(bench, &env, id).await?;
    Ok(vec![
        BenchRow::new(
            "kubectl boxsync users, 100,000 users as a table",
            table.summary(0, "ms"),
            "≤ 1 s",
            table.median() <= 1e3,
        ),
        BenchRow::detail("average CPU", format!("{plugin_ms:.0} ms, API server {api_server_ms:.0} ms")),
        BenchRow::detail("other formats (-o)", others.join(", ")),
        BenchRow::new(
            "kubectl boxsync users -o id --out FILE, 100,000 users",
            written.summary(0, "ms"),
            "≤ 1 s",
            written.median() <= 1e3,
        ),
    ])
}

/// Durations of several runs that print into a file; with `lines`, checks the number of lines.
async fn time_printing(bench: &Bench, env: &BenchEnv<'_>, id: &str, format: &str, lines: usize) -> Result<Samples> {
    log_progress(&format!("printing 100,000 users as {format}"));
    let path = bench.log_dir().join(format!("users.{format}"));
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut command = Command::new(PLUGIN);
        command
            .args(["users", &connection_name(id), "--namespace", &env.namespace, "--output", format])
            .env("KUBECONFIG", env.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .stdout(File::create(&path)?);
        times.push(tokio::task::spawn_blocking(move || time_command(&mut command)).await??);
    }
    let line_count = BufReader::new(File::open(&path)?).lines().count();
    if lines > 0 && line_count != lines {
        return Err(format!("as {format} it printed {line_count} lines instead of {lines}").into());
    }
    Ok(Samples::from_durations(times))
}

/// Durations of several runs that write the ids of all users into a file that is synced to the disk.
async fn time_writing(bench: &Bench, env: &BenchEnv<'_>, id: &str) -> Result<Samples> {
    log_progress("writing the ids of 100,000 users into a file");
    let path = bench.log_dir().join("users.ids");
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut command = Command::new(PLUGIN);
        command
            .args(["users", &connection_name(id), "--namespace", &env.namespace, "--output", "id", "--out"])
            .arg(&path)
            .env("KUBECONFIG", env.plane.admin_kubeconfig())
            .stdin(Stdio::null());
        times.push(tokio::task::spawn_blocking(move || time_command(&mut command)).await??);
    }
    let line_count = BufReader::new(File::open(&path)?).lines().count();
    if line_count != USERS {
        return Err(format!("the file has {line_count} lines instead of {USERS}").into());
    }
    Ok(Samples::from_durations(times))
}

/// CPU time of all child processes that have exited.
fn children_cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split_whitespace().skip(13).take(2));
    let ticks: u64 = fields.into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

pub(crate) fn time_command(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    let output = command.stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    let took = begin.elapsed();
    if output.status.success() { Ok(took) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}
