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

mod ground;
mod idle;
mod image;
mod listing;
mod many;
mod memory;
mod mended;
mod publish;
mod request;
mod sample;
mod simulator;
mod start;
mod table;
mod torn;
mod users;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use futures::FutureExt as _;

use crate::ground::Bench;
use crate::table::{Row, Table};

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Problem>;

/// Measures the figures that the operator is to reach, and prints them as one table.
#[derive(Parser)]
struct Flags {
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
    Torn,
    /// From the start of the process to its first call to Box
    Start,
    /// From a request to Complete
    Request,
    /// From a mended Secret to connected
    Mended,
    /// Memory at rest, a restart, and a minute in which nothing happens
    Idle,
    /// The most memory that fetching and publishing 100,000 and 1,000,000 users takes
    Memory,
    /// 300 new connections at once
    Many,
    /// The size of the image's binaries, built anew
    Image,
}

impl Group {
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    async fn rows(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Self::Listing => listing::rows(bench).await,
            Self::Publish => publish::rows(bench).await,
            Self::Users => users::rows(bench).await,
            Self::Torn => torn::rows(bench).await,
            Self::Start => start::rows(bench).await,
            Self::Request => request::rows(bench).await,
            Self::Mended => mended::rows(bench).await,
            Self::Idle => idle::rows(bench).await,
            Self::Memory => memory::rows(bench).await,
            Self::Many => many::rows(bench).await,
            Self::Image => image::rows(),
        }
    }
}

fn main() -> ExitCode {
    harness::install_crypto();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    if std::env::args().nth(1).as_deref() == Some(simulator::WORD) {
        return runtime.block_on(simulator::serve());
    }
    let Flags { groups, operator, bench } = Flags::parse();
    if !bench {
        eprintln!("nothing is measured: run it by `cargo bench --bench bench`");
        return ExitCode::SUCCESS;
    }
    let groups = if groups.is_empty() { Group::value_variants().to_vec() } else { groups };
    runtime.block_on(run(groups, operator))
}

async fn run(groups: Vec<Group>, operator: PathBuf) -> ExitCode {
    let begin = Instant::now();
    let mut table = Table::new(&operator);
    let bench = match Bench::new(operator) {
        Ok(bench) => bench,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    for group in groups {
        say(&format!("{} …", group.word()));
        let since = Instant::now();
        // The harness panics where it awaits in vain; that ends this group only.
        match AssertUnwindSafe(group.rows(&bench)).catch_unwind().await {
            Ok(Ok(rows)) => table.add(rows),
            Ok(Err(problem)) => table.lost(&group.word(), &problem.to_string()),
            Err(_) => table.lost(&group.word(), "it panicked"),
        }
        say(&format!("{} took {} s", group.word(), since.elapsed().as_secs()));
    }
    if !table.is_whole() {
        bench.keep_logs();
    }
    print!("{}", table.finish(begin.elapsed()));
    if table.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(line: &str) {
    eprintln!("bench: {line}");
}
