//! How a command ends: its exit code, and the sentence that says why it ended early. Pure.

use std::{io, process::ExitCode};

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It is as it should be.
    Success,
    /// It is not: a person is needed, the request failed, the login is not in the list, nobody approved.
    Failure,
    /// Not all is ready, and it passes by itself.
    NotReady,
    /// No operator is at work.
    NoOperator,
    /// Expected logins are not in the list.
    MissingLogins,
    TimedOut,
    /// The list is older than it may be.
    ListTooOld,
    /// No list has been published.
    NoList,
    /// The cluster did not do it: it cannot be reached, does not allow it, does not have it.
    Error,
    /// The command line makes no sense.
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

/// Why a command ended before its end.
#[derive(Debug)]
pub(super) enum CliError {
    /// One sentence for the person, with the next step.
    Message(ExitStatus, String),
    /// Whoever read the output has left, as `head` does.
    BrokenPipe,
}

impl CliError {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::Message(ExitStatus::Error, message.into())
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Message(ExitStatus::Usage, message.into())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::error(format!("the output cannot be written: {error}.")),
        }
    }
}
