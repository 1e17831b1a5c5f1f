//! bench — measures the figures that the operator is to reach, and prints them as one table.
//!
//! | part | what it does |
//! | --- | --- |
//! | `listing`, `publish`, `users`, `torn`, `start`, `request`, `mended`, `idle`, `memory`, `many`, `image` | one group of rows each |
//! | `ground` | a namespace of a real control plane, an operator process under a ServiceAccount's rights |
//! | `simulator` | Box, as a process of its own: this program started anew |
//! | `sample`, `table` | medians and their spread; rows, and what machine they were measured on |
//!
//! Invariants: nothing asserts a time. Progress goes to stderr, the table to stdout. A figure that is missed
//! is a row that says so; only what could not be measured ends with a failure.

mod env;
mod idle;
mod image;
mod listing;
mod mass_create;
mod memory;
mod publish;
mod reconnect_latency;
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

/// Measures the figures that the operator is to reach, and prints them as one table.
#[derive(Parser)]
struct BenchArgs {
    /// What to measure; nothing named: everything.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// An operator built elsewhere, to compare with. For the rows of an operator process only.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_boxsync-operator"))]
    operator: PathBuf,
    /// Cargo says so when it runs a benchmark, and does not when it runs all targets as tests.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// A walk over 100,000 users beside a loop that only downloads them
    Listing,
    /// Publishing 100,000 users: first, unchanged, with one user's change, with one user's in a hundred
    Publish,
    /// Printing 100,000 users with kubectl boxsync
    Users,
    /// A reader that looks for half a list while list after list is published
    TornReads,
    /// From the start of the process to its first call to Box
    Start,
    /// From a request to Complete
    Request,
    /// From a mended Secret to connected
    ReconnectLatency,
    /// Memory at rest, a restart, and a minute in which nothing happens
    Idle,
    /// The most memory that fetching and publishing 100,000 and 1,000,000 users takes
    Memory,
    /// 300 new connections at once
    MassCreate,
    /// The size of the image's binaries, built anew
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
            Self::TornReads => torn_reads::run(bench).await,
            Self::Start => start::run(bench).await,
            Self::Request => request::run(bench).await,
            Self::ReconnectLatency => reconnect_latency::run(bench).await,
            Self::Idle => idle::run(bench).await,
            Self::Memory => memory::run(bench).await,
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
        eprintln!("nothing is measured: run it by `cargo bench --bench bench`");
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
        // The harness panics where it awaits in vain; that ends this group only.
        match AssertUnwindSafe(group.run(&bench)).catch_unwind().await {
            Ok(Ok(rows)) => table.add_rows(rows),
            Ok(Err(problem)) => table.add_unmeasured(&group.value_name(), &problem.to_string()),
            Err(_) => table.add_unmeasured(&group.value_name(), "it panicked"),
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
