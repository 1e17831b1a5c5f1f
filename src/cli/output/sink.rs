//! Where all output goes. What is written as text is for people and is cleaned here, so that no command can forget it; what
//! is for programs is escaped or exact, by methods of its own.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io::{self, Write},
};

use super::{
    styled::{ColorMode, StyledText},
    wrap::wrap_lines,
};
use crate::text::{clean_lines, is_unprintable};

/// An output stream. As a [`Write`] it takes text for people: everything but printable characters and `\n` is replaced,
/// whoever wrote it. It takes whole texts, as `write!` passes them, not parts of a character.
pub struct Output<'a> {
    stream: &'a mut dyn Write,
    color: ColorMode,
    /// Text for people is wrapped at this width; rows of tables are not.
    width: usize,
}

/// What the plugin tells a terminal to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TerminalControl {
    /// Moves the cursor to the upper left corner and clears everything below.
    ClearScreen,
    /// Moves the cursor up and clears everything below.
    ClearLines(usize),
    /// Long lines are cut, because a wrapped line could not be redrawn.
    NoWrap,
    Wrap,
}

impl<'a> Output<'a> {
    pub fn new(stream: &'a mut dyn Write, color: ColorMode) -> Self {
        Self { stream, color, width: usize::MAX }
    }

    /// Wraps text for people at this width.
    #[must_use]
    pub fn wrapping_at(self, width: usize) -> Self {
        Self { width, ..self }
    }

    pub(crate) const fn color(&self) -> ColorMode {
        self.color
    }

    /// For `write!` and `writeln!`.
    pub(crate) fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        let text = fmt::format(text);
        self.stream.write_all(wrap_lines(&clean_lines(&text), self.width).as_bytes())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    pub(crate) fn print(&mut self, text: &StyledText) -> io::Result<()> {
        text.wrapped(self.width).write_to(self.stream, self.color)
    }

    pub(crate) fn control(&mut self, control: TerminalControl) -> io::Result<()> {
        match control {
            TerminalControl::ClearScreen => write!(self.stream, "\x1b[H\x1b[J"),
            TerminalControl::ClearLines(lines) => write!(self.stream, "\x1b[{lines}A\r\x1b[J"),
            TerminalControl::NoWrap => write!(self.stream, "\x1b[?7l"),
            TerminalControl::Wrap => write!(self.stream, "\x1b[?7h"),
        }
    }

    /// Writes JSON, or YAML whose strings are JSON's. What is unprintable in a string is written as its escape, which a
    /// parser reads as the same character.
    pub(crate) fn print_json(&mut self, document: &str) -> io::Result<()> {
        self.stream.write_all(escape_json(document).as_bytes())
    }

    /// The stream itself, for what must stay as it is: scripts and CSV, which cleans its cells by itself.
    pub(crate) fn exact(&mut self) -> &mut dyn Write {
        self.stream
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.stream.write_all(clean_lines(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The unprintable characters of a JSON text outside of ASCII can only be in its strings; those in ASCII are escaped there
/// already, but for DEL.
fn escape_json(json: &str) -> Cow<'_, str> {
    let must_escape = |c: char| !(c == '\n' || c == '\r' || c == '\t') && is_unprintable(c);
    if !json.contains(must_escape) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if must_escape(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}\u{200b}\u{2028}\r\u{8}\u{e0041}z";

    #[test]
    fn text_is_cleaned_whoever_writes_it() {
        let mut bytes = Vec::new();
        let mut out = Output::new(&mut bytes, ColorMode::Ansi);
        writeln!(out, "{HOSTILE}").expect("memory");
        out.write_all(HOSTILE.as_bytes()).expect("memory");
        let clean = "a\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}z";
        assert_eq!(String::from_utf8(bytes).expect("text"), format!("{clean}\n{clean}"));
    }

    #[test]
    fn json_stays_the_same_document_and_is_printable() {
        let json = serde_json::to_string_pretty(&[HOSTILE]).expect("JSON");
        let mut bytes = Vec::new();
        Output::new(&mut bytes, ColorMode::Plain).print_json(&json).expect("memory");
        let printed = String::from_utf8(bytes).expect("text");
        assert!(!printed.replace('\n', "").contains(is_unprintable), "{printed:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&printed).expect("JSON"), [HOSTILE]);
    }
}
