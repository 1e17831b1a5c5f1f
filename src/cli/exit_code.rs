//! Exit codes, and the error that ends a command. Pure.

use std::{io, process::ExitCode};

/// The meaning of an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Success,
    /// Action needed: a connection, a request or a check failed, a user is not in the list, or nothing was approved.
    Failure,
    /// Not all connections are ready, but none needs action.
    NotReady,
    /// No operator is running.
    NoOperator,
    /// Expected logins are missing from the list.
    MissingLogins,
    TimedOut,
    /// The list is older than --max-age.
    ListTooOld,
    /// No list has been published.
    NoList,
    /// Cluster error: unreachable, forbidden or not found.
    Error,
    /// Invalid command line.
    Usage,
}

impl ExitStatus {
    pub const fn code(self) -> u8 {
        match self {
            ExitStatus::Success => 0,
            ExitStatus::Failure => 1,
            ExitStatus::NotReady => 2,
            ExitStatus::NoOperator => 3,
            ExitStatus::MissingLogins => 4,
            ExitStatus::TimedOut => 5,
            ExitStatus::ListTooOld => 6,
            ExitStatus::NoList => 7,
            ExitStatus::Error => 8,
            ExitStatus::Usage => 64,
        }
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
