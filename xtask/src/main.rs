//! `cargo run -p xtask -- generate` writes the files that are generated from the operator's types; `check` compares them.

mod api_docs;
mod chart_readme;
mod generated;
mod reading_page;
mod reason_docs;
mod record_schemas;

use std::process::ExitCode;

use clap::Parser;

/// Generated files of this repository. `make generate` also writes those that the tests generate.
#[derive(Parser)]
enum Command {
    /// Write the generated files.
    Generate,
    /// Fail if a generated file is out of date.
    Check,
}

fn main() -> ExitCode {
    let problems = match Command::parse() {
        Command::Generate => generated::write_all(),
        Command::Check => generated::find_outdated(),
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
