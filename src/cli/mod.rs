//! cli — the kubectl plugin `kubectl boxsync`.
//!
//! | file | holds |
//! | --- | --- |
//! | `args` | the program, its global flags and subcommands |
//! | `commands` | the subcommands, one file or folder each, with their own flags |
//! | `errors` | messages for API server errors |
//! | `exit_code` | exit codes and the error type |
//! | `global_args` | the flags that select cluster, namespace and user |
//! | `io` | standard streams, prompts and the clock |
//! | `kube_context` | the client, the namespace, and lookups of connections |
//! | `kubectl_completion` | what `kubectl boxsync <TAB>` offers |
//! | `output` | the sink that cleans what is printed, styled text, tables, numbers, times, YAML and CSV |
//!
//! Invariants:
//! * Decisions and messages are pure functions of objects and the time.
//! * A list is read with the same reader as any other consumer, and never shown in part.
//! * The plugin writes nothing but UserSyncRequests; `connect` also writes a Secret, and creates a BoxConnection on request.

pub(crate) mod commands;
pub(crate) mod output;

mod args;
mod box_api;
mod errors;
mod exit_code;
mod global_args;
mod io;
mod kube_context;
mod kubectl_completion;
mod list_evidence;

use std::{io::Write, path::Path};

use args::Commands;
use clap::CommandFactory;
use exit_code::CliError;
use io::StdStreams;
use kube::Client;
use kube_context::KubeContext;

use crate::{box_client, kube_client::process_env};

pub use args::Cli;
pub use exit_code::ExitStatus;
pub use io::Io;
pub use output::{
    sink::Output,
    styled::{ColorMode, Tty},
};

/// The name by which kubectl calls this program for `kubectl boxsync <TAB>`.
const COMPLETION_PROGRAM: &str = "kubectl_complete-boxsync";
/// The same as a first word, as of Cobra's programs: for the scripts in config/completion, where there is no link.
const COMPLETION_WORD: &str = "__complete";

/// Runs the plugin: parses the arguments, executes the command and returns the exit code.
pub fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().peekable();
    let program = arguments.next().unwrap_or_default();
    let is_link = Path::new(&program).file_stem().is_some_and(|name| name == COMPLETION_PROGRAM);
    if is_link || arguments.next_if(|word| word == COMPLETION_WORD).is_some() {
        let words = arguments.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
        return complete_for_kubectl(&words);
    }
    let mut streams = StdStreams::new();
    let mut io = streams.io();
    let cli = match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return report_error(print_clap_error(&error, &mut io), &mut io).into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(connect_and_run(cli, &mut io)),
        Err(e) => Err(CliError::error(format!("cannot start: {e}."))),
    };
    report_error(result, &mut io).into()
}

/// Prints what kubectl can offer for the last word. Nothing is an error here: the shell would show it between the words.
fn complete_for_kubectl(words: &[String]) -> std::process::ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.map(|runtime| runtime.block_on(kubectl_completion::complete(words)));
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(answer.unwrap_or_default().as_bytes()).and_then(|()| stdout.flush());
    if written.is_ok() { ExitStatus::Success } else { ExitStatus::Error }.into()
}

async fn connect_and_run(cli: Cli, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    // These need no cluster.
    if let Commands::Completion { shell } = &cli.command {
        return print_completion(*shell, io);
    }
    box_client::check_system_certificates(process_env("SSL_CERT_FILE").as_deref())
        .map_err(|e| CliError::error(format!("{e}.")))?;
    if let Commands::Check(args) = &cli.command
        && args.file.is_some()
    {
        return commands::check::run(args, None, io).await;
    }
    let kube = kube_context::connect(&cli.global, io).await?;
    dispatch(cli, kube, io).await
}

/// Executes a command in this cluster. `namespace` is the default namespace.
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
        Commands::Coverage(args) => commands::coverage::run(&args, &kube, io).await,
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
    // Generated in memory: the generator panics on a closed stdout.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-boxsync", &mut script);
    io.out.exact().write_all(&script)?;
    io.out.flush()?;
    Ok(ExitStatus::Success)
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn print_clap_error(error: &clap::Error, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let text = error.render();
    if error.use_stderr() {
        // It quotes the command line, which a script may have composed. Errors of a closed stream are ignored.
        write!(io.err, "{text}").ok();
        return Ok(ExitStatus::Usage);
    }
    match io.out.color() {
        ColorMode::Ansi => write!(io.out.exact(), "{}", text.ansi())?,
        ColorMode::Plain => write!(io.out, "{text}")?,
    }
    io.out.flush()?;
    Ok(ExitStatus::Success)
}

/// Prints the error, if any, and returns the exit code.
fn report_error(result: Result<ExitStatus, CliError>, io: &mut Io<'_>) -> ExitStatus {
    match result {
        Ok(exit) => exit,
        Err(CliError::BrokenPipe) => ExitStatus::Success,
        Err(CliError::Message(exit, message)) => {
            // Flushed first, so that the error follows the output. Errors of a closed stream are ignored.
            io.out.flush().ok();
            // No quoted text can pass for a line of its own.
            writeln!(io.err, "error: {}", message.replace('\n', "\n  ")).ok();
            exit
        }
    }
}
