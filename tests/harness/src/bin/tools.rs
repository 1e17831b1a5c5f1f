//! Builds the named tools (default: all) if they are missing, and prints their paths.
//! `make test` runs it first, so that minutes of building do not count as a test's.

use std::process::ExitCode;

use harness::tools::{self, Tool};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = names.iter().find(|name| !Tool::ALL.iter().any(|tool| tool.name() == *name)) {
        let known: Vec<_> = Tool::ALL.iter().map(|tool| tool.name()).collect();
        eprintln!("unknown tool {unknown}; known tools: {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |tool: &&Tool| names.is_empty() || names.iter().any(|name| name == tool.name());
    for tool in Tool::ALL.iter().filter(wanted) {
        match tools::find_tool(*tool) {
            Ok(path) => println!("{}", path.display()),
            Err(e) => {
                eprintln!("{e}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
