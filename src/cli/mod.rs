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

mod approve;
mod changes;
mod check;
mod connect;
mod desk;
mod exit;
mod expect;
mod filter;
mod finding;
mod flags;
mod gate;
mod handover;
mod leader;
mod letter;
mod listing;
mod overview;
mod progress;
mod record;
mod round;
mod seen;
mod site;
mod standing;
mod status;
mod sync;
mod table;
mod trouble;
mod users;
mod wait;
mod watching;
mod why;
mod words;

use clap::{CommandFactory, Parser};
use desk::Kept;
use exit::Stop;
use flags::Task;
use kube::Client;
use site::Site;

pub use desk::{Desk, Ink, Seat};
pub use exit::Exit;
pub use flags::Command;

/// The whole program, from the arguments to the exit code.
pub fn main() -> std::process::ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(said) => {
            // A reader of --help who has left needs no more of it.
            said.print().ok();
            return if said.use_stderr() { Exit::Usage } else { Exit::Fine }.into();
        }
    };
    let mut kept = Kept::new();
    let mut desk = kept.desk();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match tokio {
        Ok(tokio) => tokio.block_on(connected(command, &mut desk)),
        Err(e) => Err(Stop::trouble(format!("the program could not start: {e}."))),
    };
    told(ended, &mut desk).into()
}

async fn connected(command: Command, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    match &command.task {
        Task::Completion { shell } => return completion(*shell, desk),
        Task::Check(flags) if flags.file.is_some() => return check::run(flags, None, desk).await,
        Task::Status(_)
        | Task::Sync(_)
        | Task::Users(_)
        | Task::Changes(_)
        | Task::Why(_)
        | Task::Approve(_)
        | Task::Connect(_)
        | Task::Check(_)
        | Task::Handover(_) => {}
    }
    let (client, namespace) = site::connect(&command.target).await?;
    done(command, Site::new(client, namespace), desk).await
}

/// Does what was asked, in this cluster. `namespace` is meant where none is named.
pub async fn run(command: Command, client: Client, namespace: &str, desk: &mut Desk<'_>) -> Exit {
    let namespace = command.target.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    let ended = done(command, Site::new(client, namespace), desk).await;
    told(ended, desk)
}

async fn done(command: Command, site: Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let exit = match command.task {
        Task::Status(flags) => status::run(&flags, &site, desk).await,
        Task::Sync(flags) => sync::run(&flags, &site, desk).await,
        Task::Users(flags) => users::run(&flags, &site, desk).await,
        Task::Changes(flags) => changes::run(&flags, &site, desk).await,
        Task::Why(flags) => why::run(&flags, &site, desk).await,
        Task::Connect(flags) => connect::run(&flags, &site, desk).await,
        Task::Approve(flags) => approve::run(&flags, &site, desk).await,
        Task::Check(flags) => check::run(&flags, Some(&site), desk).await,
        Task::Handover(flags) => handover::run(&flags, &site, desk).await,
        Task::Completion { shell } => completion(shell, desk),
    }?;
    desk.out.flush()?;
    Ok(exit)
}

fn completion(shell: clap_complete::Shell, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    // Written into memory first: the generator takes a reader who has left for a bug.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "kubectl-boxsync", &mut script);
    desk.out.write_all(&script)?;
    desk.out.flush()?;
    Ok(Exit::Fine)
}

/// Says what went wrong, if it did.
fn told(ended: Result<Exit, Stop>, desk: &mut Desk<'_>) -> Exit {
    match ended {
        Ok(exit) => exit,
        Err(Stop::NobodyReads) => Exit::Fine,
        Err(Stop::Told(exit, sentence)) => {
            // What was said before comes before it. A terminal that is gone hears neither.
            desk.out.flush().ok();
            writeln!(desk.err, "error: {sentence}").ok();
            exit
        }
    }
}
