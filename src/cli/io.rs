//! Standard streams, terminal detection, prompts and the clock.

use std::io::{self, BufRead, BufWriter, Read};
use std::path::Path;

use secrecy::SecretString;
use terminal_size::Width;

use super::{
    exit_code::{CliError, ExitStatus},
    output::{
        sink::Output,
        styled::{ColorMode, Tty},
        wrap::DEFAULT_WIDTH,
    },
};
use crate::{runtime::Clock, text::clean_line};

/// More than the export of a backup tool for a million users.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The streams and the clock of a command.
pub struct Io<'a> {
    pub out: Output<'a>,
    pub err: Output<'a>,
    pub input: &'a mut dyn BufRead,
    pub stdout_tty: Tty,
    pub stdin_tty: Tty,
    pub clock: Clock,
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

    /// Reads a file, or standard input for `-`, up to [`MAX_FILE_BYTES`]. `expected` continues "Name ".
    pub(crate) fn read_file(&mut self, file: &Path, expected: &str) -> Result<Vec<u8>, CliError> {
        let read = match file == Path::new("-") {
            true => read_limited(&mut self.input, MAX_FILE_BYTES),
            false => std::fs::File::open(file).and_then(|file| read_limited(file, MAX_FILE_BYTES)),
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
                rpassword::prompt_password(clean_line(question))?
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

/// # Errors
/// There are more bytes than the limit.
fn read_limited(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20))),
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
        let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(Width(columns), _)| columns.into());
        let no_color = std::env::var_os("NO_COLOR").map(|value| value.to_string_lossy().into_owned());
        Io {
            out: Output::new(&mut self.out, ColorMode::for_stdout(stdout_tty, no_color.as_deref())).wrapping_at(width),
            err: Output::new(&mut self.err, ColorMode::Plain).wrapping_at(width),
            input: &mut self.input,
            stdout_tty,
            stdin_tty: Tty::detect(&io::stdin()),
            clock: Clock::system(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_refused_and_not_cut() {
        assert_eq!(read_limited(&b"1234"[..], 4).ok().as_deref(), Some(&b"1234"[..]));
        let error = read_limited(io::repeat(b'x'), 1 << 20).expect_err("it is larger");
        assert_eq!(error.to_string(), "it is larger than 1 MiB");
    }
}
