//! Exit codes, and the error that ends a command. Pure.

use std::{io, process::ExitCode};

/// The meaning of an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    Success = 0,
    /// Action needed: a connection, a request or a check failed, a user is not in the list, nothing was approved, or an
    /// export of a backup tool is not whole.
    Failure = 1,
    /// Not all connections are ready, but none needs action.
    NotReady = 2,
    /// No operator is running.
    NoOperator = 3,
    /// Expected logins are missing from the list.
    MissingLogins = 4,
    TimedOut = 5,
    /// The list is older than --max-age.
    ListTooOld = 6,
    /// No list has been published.
    NoList = 7,
    /// Cluster error: unreachable, forbidden, refused or not found.
    Error = 8,
    /// Users of the list have no backup, or none that is new enough.
    Uncovered = 9,
    /// Fewer users than --min-users.
    TooFewUsers = 10,
    /// Invalid command line.
    Usage = 64,
}

impl ExitStatus {
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum CliError {
    /// A message for the user: what happened, and the next step.
    Message(ExitStatus, String),
    /// The reader of stdout has exited, as `head` does.
    BrokenPipe,
}

impl CliError {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::Message(ExitStatus::Error, message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Message(ExitStatus::Usage, message.into())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::error(format!("cannot write the output: {error}.")),
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::error(error.to_string())
    }
}
