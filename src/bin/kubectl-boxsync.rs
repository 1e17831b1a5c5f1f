//! The kubectl plugin `kubectl boxsync`.

use std::process::ExitCode;

use boxsync::cli;

fn main() -> ExitCode {
    // Both kube and reqwest use rustls, which panics without a default provider.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    cli::main()
}
