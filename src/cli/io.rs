//! Standard streams, terminal detection, colors, prompts and the clock.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use secrecy::SecretString;

use super::exit_code::{CliError, ExitStatus};
use crate::runtime::Clock;

/// The streams and the clock of a command.
pub struct Io<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    pub input: &'a mut dyn BufRead,
    pub stdout_tty: Tty,
    pub stdin_tty: Tty,
    pub color: ColorMode,
    pub clock: Clock,
}

/// Whether a stream is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tty {
    Interactive,
    /// A pipe or a file.
    Piped,
}

/// Whether colors are used.
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
    /// Colors are used on terminals unless NO_COLOR is set (see no-color.org).
    pub fn for_stdout(stdout_tty: Tty, no_color: Option<&str>) -> Self {
        match (stdout_tty, no_color.unwrap_or_default()) {
            (Tty::Interactive, "") => Self::Ansi,
            (Tty::Interactive, _) | (Tty::Piped, _) => Self::Plain,
        }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self {
            ColorMode::Ansi => format!("{style}{text}{style:#}"),
            ColorMode::Plain => text.to_owned(),
        }
    }
}

impl Io<'_> {
    /// Prints a question and reads the answer.
    pub(crate) fn prompt(&mut self, question: &str) -> io::Result<String> {
        write!(self.out, "{question}")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Asks a yes/no question; anything but y and yes is no. Without a terminal it fails with what to do instead.
    pub(crate) fn confirm(&mut self, question: &str, instead: &str) -> Result<bool, CliError> {
        if self.stdin_tty == Tty::Piped {
            return Err(CliError::Message(ExitStatus::Failure, format!("not a terminal: {instead}.")));
        }
        let answer = self.prompt(question)?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Reads a file, or standard input for `-`. `expected` continues "Name ".
    pub(crate) fn read_file(&mut self, file: &Path, expected: &str) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        let read = match file == Path::new("-") {
            true => self.input.read_to_end(&mut bytes).map(|_| bytes),
            false => std::fs::read(file),
        };
        read.map_err(|e| {
            let file = file.display();
            CliError::usage(format!("{file} cannot be read: {e}. Name {expected}, or - for standard input."))
        })
    }

    /// Reads a secret: from a prompt without echo, or a line of standard input.
    pub(crate) fn prompt_secret(&mut self, question: &str) -> io::Result<SecretString> {
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

/// The standard streams of the process.
pub(crate) struct StdStreams {
    out: BufWriter<io::Stdout>,
    err: io::Stderr,
    input: io::StdinLock<'static>,
}

impl StdStreams {
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout()), err: io::stderr(), input: io::stdin().lock() }
    }

    pub(crate) fn io(&mut self) -> Io<'_> {
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
