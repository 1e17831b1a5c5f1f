//! The person's side: where is read and written, whether somebody sits there, and what time it is.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};

use secrecy::SecretString;

use crate::runtime::Clock;

/// Where a command reads and writes.
pub struct Desk<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    pub input: &'a mut dyn BufRead,
    /// Who reads what is written.
    pub reader: Seat,
    /// Who answers questions.
    pub answerer: Seat,
    pub ink: Ink,
    pub clock: Clock,
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// A terminal, with a person before it.
    Person,
    /// A pipe or a file.
    Program,
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Colours,
    Plain,
}

impl Seat {
    fn of(stream: &impl IsTerminal) -> Self {
        if stream.is_terminal() { Self::Person } else { Self::Program }
    }
}

impl Ink {
    /// Colours are for people, and only for those who did not say no to them (see no-color.org).
    pub fn of(reader: Seat, no_color: Option<&str>) -> Self {
        match (reader, no_color.unwrap_or_default()) {
            (Seat::Person, "") => Self::Colours,
            (Seat::Person, _) | (Seat::Program, _) => Self::Plain,
        }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.painted("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.painted("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.painted("33", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        match self {
            Ink::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Ink::Plain => text.to_owned(),
        }
    }
}

impl Desk<'_> {
    /// The answer to a question.
    pub(super) fn asked(&mut self, question: &str) -> io::Result<String> {
        write!(self.out, "{question}")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Whether the answer is yes; anything else is no.
    pub(super) fn agreed(&mut self, question: &str) -> io::Result<bool> {
        let answer = self.asked(question)?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// A secret: typed at a prompt that does not show it, or a line of standard input.
    pub(super) fn hidden(&mut self, question: &str) -> io::Result<SecretString> {
        let mut line = match self.answerer {
            Seat::Person => {
                self.out.flush()?;
                rpassword::prompt_password(question)?
            }
            Seat::Program => {
                let mut line = String::new();
                self.input.read_line(&mut line)?;
                line
            }
        };
        line.truncate(line.trim_end().len());
        Ok(line.into())
    }
}

/// The process's own streams, kept while a desk uses them.
pub(super) struct Kept {
    out: BufWriter<io::Stdout>,
    err: io::Stderr,
    input: io::StdinLock<'static>,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout()), err: io::stderr(), input: io::stdin().lock() }
    }

    pub(super) fn desk(&mut self) -> Desk<'_> {
        let reader = Seat::of(&io::stdout());
        let no_color = std::env::var_os("NO_COLOR").map(|value| value.to_string_lossy().into_owned());
        Desk {
            out: &mut self.out,
            err: &mut self.err,
            input: &mut self.input,
            reader,
            answerer: Seat::of(&io::stdin()),
            ink: Ink::of(reader, no_color.as_deref()),
            clock: Clock::system(),
        }
    }
}
