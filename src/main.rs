//! The binary `boxsync-operator`: parses arguments, runs the subcommand, sets the exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use boxsync::{
    api,
    config::{Config, OperatorArgs, OperatorSubcommand},
    operator, runtime,
};
use clap::Parser;

fn main() -> ExitCode {
    // reqwest and kube share the process-wide provider; without this call, the first client panics.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let result = match OperatorArgs::try_parse() {
        Ok(OperatorArgs { subcommand: OperatorSubcommand::Run(config) }) => run(*config),
        Ok(OperatorArgs { subcommand: OperatorSubcommand::Crds }) => {
            api::crds_yaml().map_err(|e| e.to_string()).and_then(|yaml| print_text(&yaml))
        }
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => print_text(&help.render().to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Nobody can be told of a closed stderr.
            writeln!(io::stderr(), "boxsync-operator: {problem}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Prints to stdout. A reader who has read enough, as `head` does, is no error.
fn print_text(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the output: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn run(config: Config) -> Result<(), String> {
    let filter = runtime::parse_log_filter(&config.log).map_err(|e| format!("invalid --log {:?}: {e}", config.log))?;
    runtime::init_logging(config.log_format, filter);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    tokio.map_err(|e| e.to_string())?.block_on(operator::run(config)).map_err(|e| e.to_string())
}
