//! screen — how the story looks. Knows nothing of what it tells.
//!
//! Sentences are wrapped for 80 columns; what a command printed is shown as it is, indented. Colours are for
//! a terminal only and never with `NO_COLOR`. A reader that goes away (`| head`) is no error.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use crate::time;

const WIDTH: usize = 80;
const INDENT: &str = "   ";

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Command,
    Good,
    Bad,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Command => "36",
            Self::Good => "32",
            Self::Bad => "1;31",
        }
    }
}

pub(crate) struct Screen {
    coloured: bool,
    begun: Instant,
    steps: Cell<usize>,
    passed: Cell<usize>,
    failed: Cell<usize>,
    skipped: Cell<usize>,
    concluded: Cell<bool>,
}

impl Default for Screen {
    fn default() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            coloured: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
            begun: Instant::now(),
            steps: Cell::new(0),
            passed: Cell::new(0),
            failed: Cell::new(0),
            skipped: Cell::new(0),
            concluded: Cell::new(false),
        }
    }
}

impl Screen {
    pub(crate) fn title(&self, title: &str, about: &str) {
        self.line(Ink::Bold, title);
        self.line(Ink::Plain, "");
        self.paragraph("", about);
    }

    /// The next step of the story.
    pub(crate) fn step(&self, title: &str) {
        self.steps.set(self.steps.get() + 1);
        self.line(Ink::Plain, "");
        self.line(Ink::Bold, &format!("{}. {title}", self.steps.get()));
    }

    /// Why the next command comes, in a sentence or three.
    pub(crate) fn why(&self, text: &str) {
        self.line(Ink::Plain, "");
        self.paragraph(INDENT, text);
    }

    pub(crate) fn command(&self, line: &str) {
        self.line(Ink::Plain, "");
        for line in line.lines() {
            self.line(Ink::Command, &format!("{INDENT}{line}"));
        }
    }

    /// What the command printed.
    pub(crate) fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(Ink::Plain, &format!("{INDENT}{}", line.trim_end()));
        }
    }

    /// The same for a long sentence, which a terminal would break anywhere.
    pub(crate) fn wrapped_output(&self, text: &str) {
        self.paragraph(INDENT, text);
    }

    /// The space between what was printed and what follows from it.
    pub(crate) fn gap(&self) {
        self.line(Ink::Plain, "");
    }

    /// Something that was measured or compared: as it should be, or what was seen instead.
    pub(crate) fn check(&self, well: bool, good: impl Display, bad: impl Display) {
        let (count, ink, mark, text) = if well {
            (&self.passed, Ink::Good, "✓", good.to_string())
        } else {
            (&self.failed, Ink::Bad, "✗", bad.to_string())
        };
        count.set(count.get() + 1);
        self.marked(ink, mark, &text);
    }

    /// Something that cannot be looked at here.
    pub(crate) fn skip(&self, text: &str) {
        self.skipped.set(self.skipped.get() + 1);
        self.marked(Ink::Dim, "–", text);
    }

    pub(crate) fn say(&self, text: &str) {
        self.line(Ink::Plain, text);
    }

    pub(crate) fn heading(&self, text: &str) {
        self.line(Ink::Plain, "");
        self.line(Ink::Bold, text);
    }

    pub(crate) fn note(&self, text: &str) {
        self.line(Ink::Dim, text);
    }

    /// The story cannot go on.
    pub(crate) fn stopped(&self, why: impl Display) {
        self.line(Ink::Plain, "");
        let text = why.to_string();
        let mut lines = text.trim_end().lines();
        self.line(Ink::Bad, &format!("✗ {}", lines.next().unwrap_or_default()));
        for line in lines {
            self.line(Ink::Plain, &format!("  {line}"));
        }
    }

    /// How it all went.
    pub(crate) fn conclude(&self) {
        self.concluded.set(true);
        self.line(Ink::Plain, "");
        let (passed, failed, took) = (self.passed.get(), self.failed.get(), time(self.begun.elapsed()));
        let skipped = match self.skipped.get() {
            0 => String::new(),
            n => format!("; {n} skipped"),
        };
        match failed {
            0 => self.line(Ink::Good, &format!("All {passed} checks passed in {took}{skipped}.")),
            n => self.line(Ink::Bad, &format!("{n} of {} checks failed in {took}{skipped}.", passed + n)),
        }
    }

    pub(crate) fn failures(&self) -> usize {
        self.failed.get()
    }

    pub(crate) fn concluded(&self) -> bool {
        self.concluded.get()
    }

    fn marked(&self, ink: Ink, mark: &str, text: &str) {
        for (n, line) in wrap(text, WIDTH - INDENT.len() - 2).into_iter().enumerate() {
            let mark = if n == 0 { self.inked(ink, mark) } else { " ".to_owned() };
            self.line(Ink::Plain, &format!("{INDENT}{mark} {line}"));
        }
    }

    fn paragraph(&self, indent: &str, text: &str) {
        for line in wrap(text, WIDTH - indent.len()) {
            self.line(Ink::Plain, &format!("{indent}{line}"));
        }
    }

    fn inked(&self, ink: Ink, text: &str) -> String {
        match (self.coloured, ink.code()) {
            (false, _) | (true, "") => text.to_owned(),
            (true, code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn line(&self, ink: Ink, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", self.inked(ink, text));
        let _ = out.flush();
    }
}

/// Breaks between words; a word that is too long stands alone.
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
    fn sentences_break_between_words_and_long_words_stand_alone() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("a verylongword b", 4), ["a", "verylongword", "b"]);
        assert!(wrap("", 4).is_empty());
    }
}
