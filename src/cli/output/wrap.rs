//! Wraps lines between words at the width of the terminal. Pure.

use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width if it is not known: a pipe, a file.
pub(crate) const DEFAULT_WIDTH: usize = 80;
/// A narrower terminal gets lines that it wraps itself.
const MIN_WIDTH: usize = 40;
/// A label is at the start of a line: `  LIST   952 users`, `✓ token       Box issues a token.`
const MAX_LABEL_WIDTH: usize = 24;

/// Where a line is broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LineBreaks {
    /// The indentation of the following lines.
    pub(super) indent: usize,
    /// The offsets of the blanks that become line breaks.
    pub(super) blanks: Vec<usize>,
}

/// Where a line is broken so that it fits. A word that is longer than the width is not, nor a command that fits into a line:
/// it is to be copied.
pub(super) fn line_breaks(line: &str, width: usize) -> LineBreaks {
    let width = width.max(MIN_WIDTH);
    let (indent, text_start) = hanging_indent(line);
    let mut breaks = LineBreaks { indent, blanks: Vec::new() };
    let commands = command_ranges(line).filter(|range| line[range.clone()].width() <= width.saturating_sub(indent));
    let mut commands = commands.peekable();
    let mut column = 0;
    // The last blank at which the line can be broken, and the column behind it.
    let mut candidate = None;
    for (at, c) in line.char_indices() {
        column += c.width().unwrap_or(0);
        while commands.next_if(|command| command.end <= at).is_some() {}
        let in_command = commands.peek().is_some_and(|command| command.contains(&at));
        if c == ' ' && at > text_start && !in_command {
            candidate = Some((at, column));
        } else if column > width
            && let Some((blank, behind)) = candidate.take()
        {
            breaks.blanks.push(blank);
            column = indent + column - behind;
        }
    }
    breaks
}

/// The commands in a line, each to the end of its clause.
fn command_ranges(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("kubectl ").map(|(start, _)| {
        let rest = &line[start..];
        let ends = [". ", ", ", ") ", "; ", ": ", " ("].into_iter().filter_map(|end| rest.find(end));
        start..start + ends.min().unwrap_or(rest.len())
    })
}

/// The lines of a text, each broken where it is too long.
pub(super) fn wrap_lines(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let LineBreaks { indent, blanks } = line_breaks(line.trim_end_matches('\n'), width);
        let mut start = 0;
        for blank in blanks {
            wrapped.push_str(&line[start..blank]);
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            start = blank + 1;
        }
        wrapped.push_str(&line[start..]);
    }
    wrapped
}

/// The column of the text behind a label, and its offset; without a label that of the line's first word.
fn hanging_indent(line: &str) -> (usize, usize) {
    let first = line.find(|c: char| c != ' ').unwrap_or(0);
    let label_end = line[first..].find("  ").map(|end| first + end);
    let text = label_end.and_then(|end| Some(end + line[end..].find(|c: char| c != ' ')?));
    let columns = |end: usize| line[..end].chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    match text {
        Some(text) if columns(text) <= MAX_LABEL_WIDTH => (columns(text), text),
        // An item of a list: `– clock: Not checked.`
        _ if line[first..].starts_with("\u{2013} ") => (first + 2, first + 4),
        _ => (first.min(MAX_LABEL_WIDTH), first),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn the_text_behind_a_label_stays_below_itself() {
        let line = "  DO     Box admin of enterprise 1001: authorize the app with the client id client-acme\n";
        let wrapped =
            "  DO     Box admin of enterprise 1001: authorize\n         the app with the client id client-acme\n";
        assert_eq!(wrap_lines(line, 50), wrapped);
        let item = "– clock, token: Not checked: Box cannot be reached from here.";
        assert_eq!(wrap_lines(item, 50), "– clock, token: Not checked: Box cannot be reached\n  from here.");
        let check = "✓ token       Box issues a token to the app with client id client-acme-and-more.";
        assert_eq!(
            wrap_lines(check, 50),
            "✓ token       Box issues a token to the app with\n              client id client-acme-and-more."
        );
    }

    #[test]
    fn a_command_that_fits_into_a_line_is_kept_whole() {
        let line = "error: it is 3h old, the limit is 90m. Fetch a new one with kubectl boxsync sync acme -n b --wait.";
        assert_eq!(
            wrap_lines(line, 45),
            "error: it is 3h old, the limit is 90m. Fetch\na new one with\nkubectl boxsync sync acme -n b --wait."
        );
        // One that does not fit is broken like any text.
        let wrapped = wrap_lines(&line.replace("-n b", "-n backup-of-acme"), 45);
        assert!(wrapped.lines().all(|line| line.len() <= 45), "{wrapped}");
    }

    #[test]
    fn what_fits_and_what_has_no_blank_stays_as_it_is() {
        for line in ["", "\n", "short\n", &"x".repeat(200), "    indented\nand not\n"] {
            assert_eq!(wrap_lines(line, 80), line);
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(
            words in prop::collection::vec("[a-zé漢]{1,15}", 0..60),
            label in "( {0,4}[A-Z]{2,6} {2,4})?",
            width in 40_usize..120,
        ) {
            let line = format!("{label}{}", words.join(" "));
            let wrapped = wrap_lines(&line, width);
            for part in wrapped.lines() {
                prop_assert!(part.width() <= width, "{part:?}");
            }
            prop_assert_eq!(
                wrapped.split_whitespace().collect::<Vec<_>>(),
                line.split_whitespace().collect::<Vec<_>>()
            );
        }
    }
}
