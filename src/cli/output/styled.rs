//! Text with colors, built line by line. Every part is cleaned when it is added, so only our own colors and line breaks are
//! in it. Pure.

use std::{collections::VecDeque, fmt, io::IsTerminal, ops::Range};

use anstyle::{AnsiColor, Style};

use super::wrap::{LineBreaks, line_breaks};
use crate::text::clean_line;

/// Whether a stream is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tty {
    Interactive,
    /// A pipe or a file.
    Piped,
}

impl Tty {
    pub(crate) fn detect(stream: &impl IsTerminal) -> Self {
        if stream.is_terminal() { Self::Interactive } else { Self::Piped }
    }
}

/// Whether colors are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorMode {
    Ansi,
    Plain,
}

impl ColorMode {
    /// Colors are used on terminals unless NO_COLOR is set (see no-color.org).
    pub fn for_stdout(stdout_tty: Tty, no_color: Option<&str>) -> Self {
        match (stdout_tty, no_color.unwrap_or_default()) {
            (Tty::Interactive, "") => Self::Ansi,
            (Tty::Interactive, _) | (Tty::Piped, _) => Self::Plain,
        }
    }
}

/// How a part of a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextStyle {
    Plain,
    /// Plain, and not wrapped: the rows of a table.
    Row,
    /// Plain, and wrapped as a shell reads it: to be copied.
    Command,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl TextStyle {
    const fn ansi(self) -> Style {
        match self {
            TextStyle::Plain | TextStyle::Row | TextStyle::Command => Style::new(),
            TextStyle::Bold => Style::new().bold(),
            TextStyle::Dim => Style::new().dimmed(),
            TextStyle::Red => AnsiColor::Red.on_default(),
            TextStyle::Green => AnsiColor::Green.on_default(),
            TextStyle::Yellow => AnsiColor::Yellow.on_default(),
        }
    }
}

/// The end of a line of a command that goes on.
const CONTINUATION: &str = " \\";

/// Lines of text, of which parts may be styled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StyledText(Vec<(TextStyle, String)>);

impl StyledText {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// One line, styled as a whole and without its line break.
    pub(crate) fn styled(style: TextStyle, text: &str) -> Self {
        Self::new().with(style, text)
    }

    /// Adds a part of a line.
    pub(crate) fn push(&mut self, style: TextStyle, text: &str) -> &mut Self {
        let cleaned = clean_line(text);
        match self.0.last_mut() {
            Some((last, whole)) if *last == style => whole.push_str(&cleaned),
            _ => self.0.push((style, cleaned.into_owned())),
        }
        self
    }

    /// Adds an unstyled part of a line.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.push(TextStyle::Plain, text)
    }

    pub(crate) fn newline(&mut self) -> &mut Self {
        match self.0.last_mut() {
            Some((TextStyle::Plain | TextStyle::Row, whole)) => whole.push('\n'),
            _ => self.0.push((TextStyle::Plain, "\n".to_owned())),
        }
        self
    }

    /// Adds an unstyled line.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.text(text).newline()
    }

    pub(crate) fn append(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn with(mut self, style: TextStyle, text: &str) -> Self {
        self.push(style, text);
        self
    }

    /// The same text, its lines broken where they are too long.
    pub(super) fn wrapped(&self, width: usize) -> Self {
        let whole = self.to_string();
        // The blanks that become line breaks, by their offset in the whole text, with the indentation behind.
        let mut breaks = VecDeque::new();
        let mut line_start = 0;
        for line in whole.split_inclusive('\n') {
            // A command needs room for the backslash at the end of a line.
            let room =
                if self.has_command(line_start..line_start + line.len()) { width - CONTINUATION.len() } else { width };
            let LineBreaks { indent, blanks } = line_breaks(line.trim_end_matches('\n'), room);
            breaks.extend(blanks.into_iter().map(|blank| (line_start + blank, indent)));
            line_start += line.len();
        }
        let mut wrapped = Self::new();
        let mut part_start = 0;
        for (style, part) in &self.0 {
            let mut text = String::with_capacity(part.len());
            let mut start = 0;
            while let Some((blank, indent)) = breaks.pop_front_if(|(blank, _)| *blank < part_start + part.len()) {
                if *style == TextStyle::Row {
                    continue;
                }
                text.push_str(&part[start..blank - part_start]);
                if *style == TextStyle::Command {
                    text.push_str(CONTINUATION);
                }
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent));
                start = blank - part_start + 1;
            }
            text.push_str(&part[start..]);
            wrapped.0.push((*style, text));
            part_start += part.len();
        }
        wrapped
    }

    /// Whether a part of this range is a command.
    fn has_command(&self, range: Range<usize>) -> bool {
        let mut start = 0;
        self.0.iter().any(|(style, part)| {
            let end = start + part.len();
            let overlaps = start < range.end && end > range.start;
            start = end;
            *style == TextStyle::Command && overlaps
        })
    }

    pub(crate) fn write_to(&self, out: &mut dyn std::io::Write, color: ColorMode) -> std::io::Result<()> {
        for (style, text) in &self.0 {
            match (color, style) {
                (ColorMode::Plain, _) | (ColorMode::Ansi, TextStyle::Plain | TextStyle::Row | TextStyle::Command) => {
                    out.write_all(text.as_bytes())?
                }
                (ColorMode::Ansi, style) => write!(out, "{style}{text}{style:#}", style = style.ansi())?,
            }
        }
        Ok(())
    }
}

/// Without colors.
impl fmt::Display for StyledText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(_, text)| f.write_str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &StyledText, color: ColorMode) -> String {
        let mut out = Vec::new();
        text.write_to(&mut out, color).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn wrapped_text_keeps_its_styles_and_tables_their_rows() {
        let mut text = StyledText::new();
        text.push(TextStyle::Yellow, "acme").line(" is waited for by everybody who has read as far as this.");
        text.push(TextStyle::Row, "NAME                               READY   STATUS    USERS").newline();
        let wrapped = text.wrapped(40);
        assert_eq!(
            wrapped.to_string(),
            "acme is waited for by everybody who has\nread as far as this.\nNAME                               READY   STATUS    USERS\n"
        );
        assert!(written(&wrapped, ColorMode::Ansi).starts_with("\u{1b}[33macme\u{1b}[0m is"));
    }

    #[test]
    fn a_command_that_is_broken_can_be_copied() {
        let mut text = StyledText::new();
        text.text("  TYPE   ").push(TextStyle::Command, "kubectl boxsync sync a-long-name -n team-a --wait").newline();
        assert_eq!(
            text.wrapped(40).to_string(),
            "  TYPE   kubectl boxsync sync \\\n         a-long-name -n team-a --wait\n"
        );
        assert_eq!(text.wrapped(usize::MAX), text);
    }

    #[test]
    fn only_own_colors_and_line_breaks_are_written() {
        let mut text = StyledText::styled(TextStyle::Red, "No\u{1b}[0m\nleader");
        text.newline().line("a\u{9b}31m\nb").text("c").text("d");
        let clean = "No\u{fffd}[0m\u{fffd}leader\na\u{fffd}31m\u{fffd}b\ncd";
        assert_eq!((written(&text, ColorMode::Plain).as_str(), text.to_string().as_str()), (clean, clean));
        assert_eq!(
            written(&text, ColorMode::Ansi),
            clean.replace("No\u{fffd}[0m\u{fffd}leader", "\u{1b}[31mNo\u{fffd}[0m\u{fffd}leader\u{1b}[0m")
        );
    }
}
