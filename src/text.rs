//! text — texts from outside, before they become part of a status, a message or a log line. Pure.

use std::borrow::Cow;

/// The first `max_chars` characters of a text, with `…` if there are more. What [`is_unprintable`] becomes `�`: in JSON a
/// control character would take six bytes, and a terminal would obey it.
pub(crate) fn clamp_text(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars();
    let mut clamped: String = chars.by_ref().take(max_chars).map(printable).collect();
    if chars.next().is_some() {
        clamped.push('…');
    }
    clamped
}

/// A foreign sentence as a quotation, clamped: what is quoted in it has single quotes.
pub(crate) fn quote_text(text: &str, max_chars: usize) -> String {
    format!("\"{}\"", clamp_text(text, max_chars).replace('"', "'"))
}

/// A text that stays on its line: what [`is_unprintable`], a line break too, becomes `�`.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    if text.contains(is_unprintable) { text.chars().map(printable).collect::<String>().into() } else { text.into() }
}

/// Like [`clean_line`], but `\n` stays.
pub(crate) fn clean_lines(text: &str) -> Cow<'_, str> {
    let breaks_out = |c: char| c != '\n' && is_unprintable(c);
    if !text.contains(breaks_out) {
        return text.into();
    }
    text.chars().map(|c| if c == '\n' { c } else { printable(c) }).collect::<String>().into()
}

fn printable(c: char) -> char {
    if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }
}

/// Whether a terminal would obey the character (C0, C1), or whether it is invisible, breaks the line, or changes the
/// direction of the text. Variation selectors of emoji are none of these.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_its_limit_in_characters() {
        assert_eq!(clamp_text("Grüße", 5), "Grüße");
        assert_eq!(clamp_text("Grüße", 4), "Grüß…");
        assert_eq!(clamp_text("", 0), "");
        assert_eq!(clamp_text(&"ü".repeat(1_000_000), 3), "üüü…");
    }

    #[test]
    fn control_and_invisible_characters_are_replaced() {
        assert_eq!(clamp_text("a\u{1b}[2J\r\n\0b\u{9b}\u{202e}c\u{feff}", 20), "a�[2J���b��c�");
        let hostile = "\u{1}".repeat(900_000);
        assert!(serde_json::to_string(&clamp_text(&hostile, 256)).expect("JSON").len() < 1024);
    }

    #[test]
    fn only_what_a_person_sees_stays() {
        for hostile in "\u{1b}\u{7}\u{8}\r\t\u{7f}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2066}\u{2069}\u{3164}\u{feff}\u{fff9}\u{e0041}".chars()
        {
            assert_eq!((clean_line(&format!("a{hostile}b")), clean_lines(&hostile.to_string())), ("a�b".into(), "�".into()), "{hostile:?}");
        }
        let harmless = "Zoë Ōno, 日本, محمد, ❤\u{fe0f}, \u{a0}«»";
        assert_eq!((clean_line(harmless), clean_lines("a\n\nb")), (harmless.into(), "a\n\nb".into()));
        assert_eq!(clean_line("a\nOperator: fine"), "a�Operator: fine");
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_and_printable(text in any::<String>(), max in 0_usize..100) {
            let clamped = clamp_text(&text, max);
            prop_assert!(clamped.chars().count() <= max + 1);
            prop_assert!(!clamped.contains(is_unprintable));
            prop_assert!(!clean_line(&text).contains(is_unprintable));
            prop_assert_eq!(clean_lines(&text), text.split('\n').map(clean_line).collect::<Vec<_>>().join("\n"));
        }
    }
}
