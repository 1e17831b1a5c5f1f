//! Terminal output of the demo.
//!
//! Sentences are wrapped at 80 columns; command output is indented and otherwise unchanged. Colors are used on a
//! terminal only and never with `NO_COLOR`. A closed pipe (`| head`) is not an error.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use crate::format_duration;

const WIDTH: usize = 80;
const INDENT: &str = "   ";

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Dim,
    Command,
    Success,
    Failure,
}

impl Style {
    const fn ansi_code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Command => "36",
            Self::Success => "32",
            Self::Failure => "1;31",
        }
    }
}

pub(crate) struct Screen {
    use_color: bool,
    started_at: Instant,
    steps: Cell<usize>,
    passed: Cell<usize>,
    failed: Cell<usize>,
    skipped: Cell<usize>,
    is_finished: Cell<bool>,
}

impl Default for Screen {
    fn default() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            use_color: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
            started_at: Instant::now(),
            steps: Cell::new(0),
            passed: Cell::new(0),
            failed: Cell::new(0),
            skipped: Cell::new(0),
            is_finished: Cell::new(false),
        }
    }
}

impl Screen {
    pub(crate) fn title(&self, title: &str, about: &str) {
        self.print_line(Style::Bold, title);
        self.print_line(Style::Plain, "");
        self.print_paragraph("", about);
    }

    /// The title of the next step.
    pub(crate) fn step(&self, title: &str) {
        self.steps.set(self.steps.get() + 1);
        self.print_line(Style::Plain, "");
        self.print_line(Style::Bold, &format!("{}. {title}", self.steps.get()));
    }

    /// Explains the next command.
    pub(crate) fn explain(&self, text: &str) {
        self.print_line(Style::Plain, "");
        self.print_paragraph(INDENT, text);
    }

    pub(crate) fn command(&self, line: &str) {
        self.print_line(Style::Plain, "");
        for line in line.lines() {
            self.print_line(Style::Command, &format!("{INDENT}{line}"));
        }
    }

    /// The output of a command.
    pub(crate) fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.print_line(Style::Plain, &format!("{INDENT}{}", line.trim_end()));
        }
    }

    /// The same for a long sentence, wrapped between words.
    pub(crate) fn wrapped_output(&self, text: &str) {
        self.print_paragraph(INDENT, text);
    }

    /// An empty line.
    pub(crate) fn blank_line(&self) {
        self.print_line(Style::Plain, "");
    }

    /// The result of a check: the expected text, or the actual state.
    pub(crate) fn check(&self, passed: bool, success: impl Display, failure: impl Display) {
        let (count, style, mark, text) = if passed {
            (&self.passed, Style::Success, "✓", success.to_string())
        } else {
            (&self.failed, Style::Failure, "✗", failure.to_string())
        };
        count.set(count.get() + 1);
        self.print_marked(style, mark, &text);
    }

    /// A check that is skipped.
    pub(crate) fn skip(&self, text: &str) {
        self.skipped.set(self.skipped.get() + 1);
        self.print_marked(Style::Dim, "–", text);
    }

    pub(crate) fn print(&self, text: &str) {
        self.print_line(Style::Plain, text);
    }

    pub(crate) fn heading(&self, text: &str) {
        self.print_line(Style::Plain, "");
        self.print_line(Style::Bold, text);
    }

    pub(crate) fn print_dimmed(&self, text: &str) {
        self.print_line(Style::Dim, text);
    }

    /// An error that ends the demo.
    pub(crate) fn print_error(&self, why: impl Display) {
        self.print_line(Style::Plain, "");
        let text = why.to_string();
        let mut lines = text.trim_end().lines();
        self.print_line(Style::Failure, &format!("✗ {}", lines.next().unwrap_or_default()));
        for line in lines {
            self.print_line(Style::Plain, &format!("  {line}"));
        }
    }

    /// The summary.
    pub(crate) fn print_summary(&self) {
        self.is_finished.set(true);
        self.print_line(Style::Plain, "");
        let (passed, failed, took) = (self.passed.get(), self.failed.get(), format_duration(self.started_at.elapsed()));
        let skipped = match self.skipped.get() {
            0 => String::new(),
            n => format!("; {n} skipped"),
        };
        match failed {
            0 => self.print_line(Style::Success, &format!("All {passed} checks passed in {took}{skipped}.")),
            n => self.print_line(Style::Failure, &format!("{n} of {} checks failed in {took}{skipped}.", passed + n)),
        }
    }

    pub(crate) fn failure_count(&self) -> usize {
        self.failed.get()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished.get()
    }

    fn print_marked(&self, style: Style, mark: &str, text: &str) {
        for (n, line) in wrap(text, WIDTH - INDENT.len() - 2).into_iter().enumerate() {
            let mark = if n == 0 { self.styled(style, mark) } else { " ".to_owned() };
            self.print_line(Style::Plain, &format!("{INDENT}{mark} {line}"));
        }
    }

    fn print_paragraph(&self, indent: &str, text: &str) {
        for line in wrap(text, WIDTH - indent.len()) {
            self.print_line(Style::Plain, &format!("{indent}{line}"));
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match (self.use_color, style.ansi_code()) {
            (false, _) | (true, "") => text.to_owned(),
            (true, code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn print_line(&self, style: Style, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", self.styled(style, text));
        let _ = out.flush();
    }
}

/// Wraps between words; a word that is too long gets its own line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn text_wraps_between_words_and_long_words_get_their_own_line() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("a verylongword b", 4), ["a", "verylongword", "b"]);
        assert!(wrap("", 4).is_empty());
    }
}
