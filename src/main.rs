//! The binary `boxsync-operator`: parses arguments, runs the subcommand, sets the exit code.

use std::process::ExitCode;

use boxsync::{
    api,
    config::{Config, OperatorArgs, OperatorSubcommand},
    operator, runtime,
};
use clap::Parser;

fn main() -> ExitCode {
    // reqwest and kube share the process-wide provider; without this call, the first client panics.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let result = match OperatorArgs::parse().subcommand {
        OperatorSubcommand::Run(config) => run(*config),
        OperatorSubcommand::Crds => api::crds_yaml().map(|yaml| print!("{yaml}")).map_err(|e| e.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("boxsync-operator: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), String> {
    let filter = runtime::parse_log_filter(&config.log).map_err(|e| format!("invalid --log {:?}: {e}", config.log))?;
    runtime::init_logging(config.log_format, filter);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    tokio.map_err(|e| e.to_string())?.block_on(operator::run(config)).map_err(|e| e.to_string())
}
