//! The person's side: where is read and written, whether somebody sits there, and what time it is.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};

use secrecy::SecretString;

use crate::runtime::Clock;

/// Where a command reads and writes.
pub struct Io<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    pub input: &'a mut dyn BufRead,
    /// Who reads what is written.
    pub stdout_tty: Tty,
    /// Who answers questions.
    pub stdin_tty: Tty,
    pub color: ColorMode,
    pub clock: Clock,
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tty {
    /// A terminal, with a person before it.
    Interactive,
    /// A pipe or a file.
    Piped,
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorMode {
    Ansi,
    Plain,
}

impl Tty {
    fn detect(stream: &impl IsTerminal) -> Self {
        if stream.is_terminal() { Self::Interactive } else { Self::Piped }
    }
}

impl ColorMode {
    /// Colours are for people, and only for those who did not say no to them (see no-color.org).
    pub fn for_stdout(stdout_tty: Tty, no_color: Option<&str>) -> Self {
        match (stdout_tty, no_color.unwrap_or_default()) {
            (Tty::Interactive, "") => Self::Ansi,
            (Tty::Interactive, _) | (Tty::Piped, _) => Self::Plain,
        }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            ColorMode::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
            ColorMode::Plain => text.to_owned(),
        }
    }
}

impl Io<'_> {
    /// The answer to a question.
    pub(super) fn prompt(&mut self, question: &str) -> io::Result<String> {
        write!(self.out, "{question}")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Whether the answer is yes; anything else is no.
    pub(super) fn confirm(&mut self, question: &str) -> io::Result<bool> {
        let answer = self.prompt(question)?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// A secret: typed at a prompt that does not show it, or a line of standard input.
    pub(super) fn prompt_secret(&mut self, question: &str) -> io::Result<SecretString> {
        let mut line = match self.stdin_tty {
            Tty::Interactive => {
                self.out.flush()?;
                rpassword::prompt_password(question)?
            }
            Tty::Piped => {
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
pub(super) struct StdStreams {
    out: BufWriter<io::Stdout>,
    err: io::Stderr,
    input: io::StdinLock<'static>,
}

impl StdStreams {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout()), err: io::stderr(), input: io::stdin().lock() }
    }

    pub(super) fn io(&mut self) -> Io<'_> {
        let stdout_tty = Tty::detect(&io::stdout());
        let no_color = std::env::var_os("NO_COLOR").map(|value| value.to_string_lossy().into_owned());
        Io {
            out: &mut self.out,
            err: &mut self.err,
            input: &mut self.input,
            stdout_tty,
            stdin_tty: Tty::detect(&io::stdin()),
            color: ColorMode::for_stdout(stdout_tty, no_color.as_deref()),
            clock: Clock::system(),
        }
    }
}
