//! Cells of CSV that a spreadsheet shows as text: nothing in them is a formula or a control character. Pure.

use std::borrow::Cow;

use crate::text::{clean_line, is_unprintable};

/// A cell whose content comes from Box, where users choose their own names. A spreadsheet takes what begins like a formula
/// for one, also behind blanks and quotes, and where it separates columns by semicolons also behind one: an apostrophe in
/// front says that it is text.
pub(crate) fn spreadsheet_cell(text: &str) -> Cow<'_, str> {
    let cleaned = clean_line(text);
    if !text.split(';').any(begins_like_formula) {
        return cleaned;
    }
    let guarded = |part: &str| format!("{}{}", if begins_like_formula(part) { "'" } else { "" }, clean_line(part));
    text.split(';').map(guarded).collect::<Vec<_>>().join(";").into()
}

/// Whether the first character that is no blank, quote or unprintable character begins a formula, in ASCII or full width;
/// or whether the first of all is a tab or a line break.
fn begins_like_formula(part: &str) -> bool {
    let skipped = |c: char| c.is_whitespace() || is_unprintable(c) || matches!(c, '"' | '\'' | '“' | '”' | '‘' | '’');
    let begins = |c: char| {
        matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '﹦' | '﹢' | '﹣' | '﹫' | '−' | '|' | '%')
    };
    part.starts_with(['\t', '\r', '\n']) || part.trim_start_matches(skipped).starts_with(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_marked_as_text() {
        for text in [
            "=1+1", "+49 30 1", "-", "-1", "@SUM(A1)", " =1", "\u{a0}=1", "\"=1", "'=1", "＝1", "＋1", "－1", "＠x",
            "|cmd", "%x",
        ] {
            assert_eq!(spreadsheet_cell(text), format!("'{text}"));
        }
        assert_eq!(spreadsheet_cell("\t=1"), "'\u{fffd}=1");
        assert_eq!(spreadsheet_cell("\rx"), "'\u{fffd}x");
        assert_eq!(spreadsheet_cell("\u{200b}=1"), "'\u{fffd}=1");
        assert_eq!(spreadsheet_cell("Ann;=1"), "Ann;'=1");
        assert_eq!(spreadsheet_cell("=1; \"+1;x"), "'=1;' \"+1;x");
    }

    #[test]
    fn other_cells_are_only_cleaned() {
        for text in ["", "Ann", "Ann-Marie =", "a@b.example", "O'Neil", "\"Ann\"", "1-2", "x; y", "日本"] {
            assert_eq!(spreadsheet_cell(text), text);
        }
        assert_eq!(spreadsheet_cell("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
