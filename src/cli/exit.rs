//! How a command ends: its exit code, and the sentence that says why it ended early. Pure.

use std::{io, process::ExitCode};

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is as it should be.
    Fine,
    /// It is not: a person is needed, the request failed, the login is not in the list, nobody approved.
    NotSo,
    /// Not all is ready, and it passes by itself.
    Passing,
    /// No operator is at work.
    NoOperator,
    /// Expected logins are not in the list.
    Missing,
    TimedOut,
    /// The list is older than it may be.
    TooOld,
    /// No list has been published.
    NoList,
    /// The cluster did not do it: it cannot be reached, does not allow it, does not have it.
    Trouble,
    /// The command line makes no sense.
    Usage,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::NotSo => 1,
            Exit::Passing => 2,
            Exit::NoOperator => 3,
            Exit::Missing => 4,
            Exit::TimedOut => 5,
            Exit::TooOld => 6,
            Exit::NoList => 7,
            Exit::Trouble => 8,
            Exit::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a command ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// One sentence for the person, with the next step.
    Told(Exit, String),
    /// Whoever read the output has left, as `head` does.
    NobodyReads,
}

impl Stop {
    pub(super) fn trouble(sentence: impl Into<String>) -> Self {
        Self::Told(Exit::Trouble, sentence.into())
    }

    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self::Told(Exit::Usage, sentence.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::trouble(format!("the output cannot be written: {error}.")),
        }
    }
}
