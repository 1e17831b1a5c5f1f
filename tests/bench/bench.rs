//! bench — measures the performance goals of the operator and prints them as one table.
//!
//! | module | holds |
//! | --- | --- |
//! | `listing`, `publish`, `users`, `coverage`, `torn_reads`, `start`, `request`, `reconnect_latency`, `idle`, `memory`, `removals`, `finished_requests`, `mass_create`, `image` | one group of rows each |
//! | `env` | a namespace of a real control plane, an operator process with the permissions of a ServiceAccount |
//! | `simulator` | the simulated Box in its own process: this program with a subcommand |
//! | `stats`, `table` | medians and ranges; the rows and the machine they were measured on |
//!
//! Invariants: no time is asserted. Progress goes to stderr, the table to stdout. A missed goal is a row that says so; the
//! exit code is a failure only if something could not be measured.

mod coverage;
mod env;
mod finished_requests;
mod idle;
mod image;
mod listing;
mod mass_create;
mod memory;
mod publish;
mod reconnect_latency;
mod removals;
mod request;
mod simulator;
mod start;
mod stats;
mod table;
mod torn_reads;
mod users;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use futures::FutureExt as _;

use crate::{
    env::Bench,
    table::{BenchRow, BenchTable},
};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measures the performance goals of the operator and prints them as one table.
#[derive(Parser)]
struct BenchArgs {
    /// Groups to measure. Default: all.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Operator binary to measure instead of the built one; only for rows that run the operator.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_boxsync-operator"))]
    operator: PathBuf,
    /// Set by cargo bench; absent when run by cargo test.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Listing 100,000 users, compared with a plain download
    Listing,
    /// Publishing 100,000 users: the first time, unchanged, one user changed, 1 % changed
    Publish,
    /// Printing 100,000 users with kubectl boxsync
    Users,
    /// Comparing 100,000 users with the export of a backup tool
    Coverage,
    /// Torn reads while lists are published continuously
    TornReads,
    /// From the start of the process to its first call to Box
    Start,
    /// From a request to Complete
    Request,
    /// From a fixed Secret to Connected
    ReconnectLatency,
    /// Idle memory, cost of a restart, and writes in an idle minute
    Idle,
    /// Peak memory of fetching and publishing 100,000 and 1,000,000 users
    Memory,
    /// Time and memory of a sync of 100,000 users of whom 90 have left
    Removals,
    /// Memory beside 35,000 finished requests
    FinishedRequests,
    /// 300 new connections at once
    MassCreate,
    /// Size of the image's binaries, rebuilt
    Image,
}

impl Group {
    fn value_name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    async fn run(self, bench: &Bench) -> Result<Vec<BenchRow>> {
        match self {
            Self::Listing => listing::run(bench).await,
            Self::Publish => publish::run(bench).await,
            Self::Users => users::run(bench).await,
            Self::Coverage => coverage::run(bench).await,
            Self::TornReads => torn_reads::run(bench).await,
            Self::Start => start::run(bench).await,
            Self::Request => request::run(bench).await,
            Self::ReconnectLatency => reconnect_latency::run(bench).await,
            Self::Idle => idle::run(bench).await,
            Self::Memory => memory::run(bench).await,
            Self::Removals => removals::run(bench).await,
            Self::FinishedRequests => finished_requests::run(bench).await,
            Self::MassCreate => mass_create::run(bench).await,
            Self::Image => image::run(),
        }
    }
}

fn main() -> ExitCode {
    harness::install_crypto_provider();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    if std::env::args().nth(1).as_deref() == Some(simulator::SUBCOMMAND) {
        return runtime.block_on(simulator::serve_box());
    }
    let BenchArgs { groups, operator, bench } = BenchArgs::parse();
    if !bench {
        eprintln!("no measurement: run `cargo bench --bench bench`");
        return ExitCode::SUCCESS;
    }
    let groups = if groups.is_empty() { Group::value_variants().to_vec() } else { groups };
    runtime.block_on(run_groups(groups, operator))
}

async fn run_groups(groups: Vec<Group>, operator: PathBuf) -> ExitCode {
    let begin = Instant::now();
    let mut table = BenchTable::new(&operator);
    let bench = match Bench::new(operator) {
        Ok(bench) => bench,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    for group in groups {
        log_progress(&format!("{} …", group.value_name()));
        let since = Instant::now();
        // The harness panics on a timeout, which ends only this group.
        match AssertUnwindSafe(group.run(&bench)).catch_unwind().await {
            Ok(Ok(rows)) => table.add_rows(rows),
            Ok(Err(problem)) => table.add_unmeasured(&group.value_name(), &problem.to_string()),
            Err(_) => table.add_unmeasured(&group.value_name(), "panicked"),
        }
        log_progress(&format!("{} took {} s", group.value_name(), since.elapsed().as_secs()));
    }
    if !table.all_measured() {
        bench.keep_logs();
    }
    print!("{}", table.render(begin.elapsed()));
    if table.all_measured() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn log_progress(line: &str) {
    eprintln!("bench: {line}");
}
