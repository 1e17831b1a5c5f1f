//! kubectl-boxsync: the plugin that kubectl finds as `kubectl boxsync`. Arguments, run, exit code.

use std::process::ExitCode;

use boxsync::cli;

fn main() -> ExitCode {
    // Two TLS users share the process; without this line the first client panics.
    rustls::crypto::ring::default_provider().install_default().ok();
    cli::main()
}
