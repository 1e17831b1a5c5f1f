//! users — how long `kubectl boxsync users` takes to print a list of 100,000.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boxsync::api::BoxConnection;

use crate::ground::{Bench, Ground, SECRET, awaiting, connection, ready};
use crate::sample::Sample;
use crate::table::Row;
use crate::{Result, say};

const USERS: usize = 100_000;
const RUNS: usize = 7;
const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-boxsync");

pub(crate) async fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let ground = bench.ground("users").await?;
    let ids = ground.enterprises(1, USERS).await?;
    let id = ids.first().ok_or("no enterprise")?;
    let operator = ground.operator()?;
    let published = awaiting(ground.api::<BoxConnection>(), Some(&connection(id)), 1, ready).await?;
    ground.connect(id, SECRET).await?;
    published.seen().await?;
    ground.rest().await?;
    drop(operator);
    let api_server = || ground.plane.api_server().cpu().unwrap_or_default();
    let before = (own_programs(), api_server());
    let table = printed(bench, &ground, id, "table", USERS + 1).await?;
    let cpu = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1e3 / RUNS as f64;
    let (own, theirs) = (cpu(before.0, own_programs()), cpu(before.1, api_server()));
    let mut others = Vec::new();
    for (format, lines) in [("name", USERS), ("jsonl", USERS), ("csv", USERS + 1), ("json", 0)] {
        let times = printed(bench, &ground, id, format, lines).await?;
        others.push(format!("{format} {times}"));
    }
    Ok(vec![
        Row::new(
            "kubectl boxsync users, 100,000 users as a table",
            format!("{table} ({})", table.spread(0)),
            "≤ 1 s",
            table.median() <= 1e3,
        ),
        Row::beside("CPU of it, on average", format!("{own:.0} ms, and {theirs:.0} ms of the API server")),
        Row::beside("the same with -o", others.join(", ")),
    ])
}

/// The times of some runs that print into a file; with `lines`, so many are expected there.
async fn printed(bench: &Bench, ground: &Ground<'_>, id: &str, format: &str, lines: usize) -> Result<Sample> {
    say(&format!("printing 100,000 users as {format}"));
    let path = bench.folder().join(format!("users.{format}"));
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut command = Command::new(PLUGIN);
        command
            .args(["users", &connection(id), "--namespace", &ground.namespace, "--output", format])
            .env("KUBECONFIG", ground.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .stdout(File::create(&path)?);
        times.push(tokio::task::spawn_blocking(move || timed(&mut command)).await??);
    }
    let seen = BufReader::new(File::open(&path)?).lines().count();
    if lines > 0 && seen != lines {
        return Err(format!("as {format} it printed {seen} lines instead of {lines}").into());
    }
    Ok(Sample::of_times(times))
}

/// CPU time of the programs that this one has started and that have ended.
fn own_programs() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split_whitespace().skip(13).take(2));
    let ticks: u64 = fields.into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn timed(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    let output = command.stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    let took = begin.elapsed();
    if output.status.success() { Ok(took) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}
