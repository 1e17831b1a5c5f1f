//! cli — kubectl boxsync: what people ask of the cluster and read there, a file a subcommand.
//!
//! | file | holds |
//! | --- | --- |
//! | `flags`, `exit` | what may be asked, and how it ends |
//! | `site`, `desk`, `trouble` | the cluster and the person: where is read and written, and what is said when that fails |
//! | `status`, `standing`, `leader`, `overview`, `watching` | how the connections are, and who looks after them |
//! | `sync`, `wait`, `progress`, `expect` | requests, and waiting for their end |
//! | `users`, `filter`, `listing` | the list |
//! | `changes`, `record`, `why` | what became of it |
//! | `approve` | the removals that are held |
//! | `check`, `round`, `gate`, `finding`, `seen` | what a connection needs, tried from here, and when the operator looks again |
//! | `handover`, `letter` | what the Box admin is asked for |
//! | `connect` | credentials: from a person to Box, and into the Secret |
//! | `table`, `words` | how it looks |
//!
//! Invariants:
//! * What is decided or worded is a pure function of objects and the time.
//! * The list is read as any other program would: half of one is never shown.
//! * Nothing but requests is ever written, but by `connect`: a Secret with credentials, and a BoxConnection that was asked for.

pub(crate) mod commands;
pub(crate) mod output;

mod args;
mod errors;
mod exit_code;
mod io;
mod kube_context;

use args::Commands;
use clap::{CommandFactory, Parser};
use exit_code::CliError;
use io::StdStreams;
use kube::Client;
use kube_context::KubeContext;

pub use args::Cli;
pub use exit_code::ExitStatus;
pub use io::{ColorMode, Io, Tty};

/// The whole program, from the arguments to the exit code.
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader of --help who has left needs no more of it.
            error.print().ok();
            return if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success }.into();
        }
    };
    let mut streams = StdStreams::new();
    let mut io = streams.io();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(connect_and_run(cli, &mut io)),
        Err(e) => Err(CliError::error(format!("the program could not start: {e}."))),
    };
    report_error(result, &mut io).into()
}

async fn connect_and_run(cli: Cli, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    match &cli.command {
        Commands::Completion { shell } => return print_completion(*shell, io),
        Commands::Check(args) if args.file.is_some() => return commands::check::run(args, None, io).await,
        Commands::Status(_)
        | Commands::Sync(_)
        | Commands::Users(_)
        | Commands::Changes(_)
        | Commands::Why(_)
        | Commands::Approve(_)
        | Commands::Connect(_)
        | Commands::Check(_)
        | Commands::Handover(_) => {}
    }
    let (client, namespace) = kube_context::build_client(&cli.global).await?;
    dispatch(cli, KubeContext::new(client, namespace), io).await
}

/// Does what was asked, in this cluster. `namespace` is meant where none is named.
pub async fn run(cli: Cli, client: Client, namespace: &str, io: &mut Io<'_>) -> ExitStatus {
    let namespace = cli.global.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    let result = dispatch(cli, KubeContext::new(client, namespace), io).await;
    report_error(result, io)
}

async fn dispatch(cli: Cli, kube: KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let exit = match cli.command {
        Commands::Status(args) => commands::status::run(&args, &kube, io).await,
        Commands::Sync(args) => commands::sync::run(&args, &kube, io).await,
        Commands::Users(args) => commands::users::run(&args, &kube, io).await,
        Commands::Changes(args) => commands::changes::run(&args, &kube, io).await,
        Commands::Why(args) => commands::why::run(&args, &kube, io).await,
        Commands::Connect(args) => commands::connect::run(&args, &kube, io).await,
        Commands::Approve(args) => commands::approve::run(&args, &kube, io).await,
        Commands::Check(args) => commands::check::run(&args, Some(&kube), io).await,
        Commands::Handover(args) => commands::handover::run(&args, &kube, io).await,
        Commands::Completion { shell } => print_completion(shell, io),
    }?;
    io.out.flush()?;
    Ok(exit)
}

fn print_completion(shell: clap_complete::Shell, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    // Written into memory first: the generator takes a reader who has left for a bug.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-boxsync", &mut script);
    io.out.write_all(&script)?;
    io.out.flush()?;
    Ok(ExitStatus::Success)
}

/// Says what went wrong, if it did.
fn report_error(result: Result<ExitStatus, CliError>, io: &mut Io<'_>) -> ExitStatus {
    match result {
        Ok(exit) => exit,
        Err(CliError::BrokenPipe) => ExitStatus::Success,
        Err(CliError::Message(exit, message)) => {
            // What was said before comes before it. A terminal that is gone hears neither.
            io.out.flush().ok();
            writeln!(io.err, "error: {message}").ok();
            exit
        }
    }
}
