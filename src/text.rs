//! text — texts from outside, before they become part of a status, a message or a log line. Pure.

/// The first `max_chars` characters of a text, with `…` if there are more. Control characters become `�`: in JSON each
/// would take six bytes, and a terminal would obey it. So do characters that are invisible or change the direction of
/// the text.
pub(crate) fn clamp_text(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars();
    let printable = |c: char| if c.is_control() || is_invisible(c) { char::REPLACEMENT_CHARACTER } else { c };
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

/// Whether the character changes the direction of the text or is invisible.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
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

    proptest! {
        #[test]
        fn any_text_is_bounded_and_printable(text in any::<String>(), max in 0_usize..100) {
            let clamped = clamp_text(&text, max);
            prop_assert!(clamped.chars().count() <= max + 1);
            prop_assert!(!clamped.chars().any(|c| c.is_control() || is_invisible(c)));
        }
    }
}
