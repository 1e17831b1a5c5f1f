//! The messages of conditions: one sentence says what happened, the rest who does what. Pure.

/// The limit for a message. What takes more room is in fields of the status: the list's age, retries, digests.
pub const MAX_CONDITION_MESSAGE: usize = 300;
/// The limit for the message of a Warning event.
pub const MAX_EVENT_MESSAGE: usize = 200;
/// However long the advice is, so much of what happened is kept.
const MIN_WHAT: usize = 80;
/// A shorter piece of a quotation says nothing.
const MIN_QUOTED: usize = 20;

/// A message: what happened, in one sentence, and who does what, which may be empty. What happened is cut where both
/// together are too long: it quotes Box or the API server.
pub fn compose_message(what: &str, action: &str) -> String {
    compose_within(what, action, MAX_CONDITION_MESSAGE)
}

/// The message of an event: its condition's, or as much of it as fits.
pub fn event_message(condition_message: &str) -> String {
    let (what, action) = split_message(condition_message);
    let count = |text: &str| text.chars().count();
    if count(action) + MIN_WHAT < MAX_EVENT_MESSAGE {
        compose_within(what, action, MAX_EVENT_MESSAGE)
    } else {
        cut_sentence(what, MAX_EVENT_MESSAGE)
    }
}

/// The parts of a message: what happened, and who does what.
pub fn split_message(message: &str) -> (&str, &str) {
    let mut quoted = false;
    let mut ended = false;
    for (at, c) in message.char_indices() {
        match c {
            ' ' if ended => return (&message[..at], &message[at + 1..]),
            '"' => quoted = !quoted,
            _ => {}
        }
        ended = !quoted && matches!(c, '.' | '!' | '?');
    }
    (message, "")
}

/// The words of Box or the API server with which what happened ends: `"This app is not authorized" (unauthorized_client)`.
/// A word that is quoted before the end of the sentence explains nothing by itself.
pub fn quotation(message: &str) -> Option<&str> {
    let (what, _) = split_message(message);
    let (_, quoted) = what.split_once(": \"")?;
    let start = what.len() - quoted.len() - 1;
    let words = what[start..].trim_end_matches('.');
    let (_, after) = words.rsplit_once('"')?;
    (words.len() > after.len() + 1 && (after.is_empty() || (after.starts_with(" (") && after.ends_with(')'))))
        .then_some(words)
}

fn compose_within(what: &str, action: &str, limit: usize) -> String {
    if action.is_empty() {
        return cut_sentence(what, limit);
    }
    let action = cut_sentence(action, limit - MIN_WHAT - 1);
    format!("{} {action}", cut_sentence(what, limit - action.chars().count() - 1))
}

/// The sentence, or as much of it as fits: of a quotation first, because what follows it is a code and a request id.
fn cut_sentence(text: &str, limit: usize) -> String {
    let excess = text.chars().count().saturating_sub(limit);
    if excess == 0 {
        return text.to_owned();
    }
    if let Some((before, rest)) = text.split_once('"')
        && let Some((quoted, after)) = rest.rsplit_once('"')
        && let Some(kept) = quoted.chars().count().checked_sub(excess + 1).filter(|kept| *kept >= MIN_QUOTED)
    {
        let quoted: String = quoted.chars().take(kept).collect();
        return format!("{before}\"{quoted}…\"{after}");
    }
    let kept: String = text.chars().take(limit - 3).collect();
    let open = kept.chars().filter(|c| *c == '"').count() % 2 == 1;
    format!("{}…{}.", kept.trim_end(), if open { "\"" } else { "" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_split_after_its_first_sentence() {
        for (message, what, action) in [
            ("It failed. Mend it. Then retry.", "It failed.", "Mend it. Then retry."),
            ("Box said: \"No. Never. Ever.\" (denied). Ask it.", "Box said: \"No. Never. Ever.\" (denied).", "Ask it."),
            (
                "api.box.com cannot be reached: timed out after 1.5 s.",
                "api.box.com cannot be reached: timed out after 1.5 s.",
                "",
            ),
            ("", "", ""),
        ] {
            assert_eq!(split_message(message), (what, action));
        }
    }

    #[test]
    fn the_words_with_which_a_sentence_ends_are_its_quotation() {
        for (message, words) in [
            (
                "It is denied: \"Not authorized\" (unauthorized_client, request id r1). Ask.",
                Some("\"Not authorized\" (unauthorized_client, request id r1)"),
            ),
            ("A policy denied it: \"label 'x' is missing. Set it\". Ask.", Some("\"label 'x' is missing. Set it\"")),
            ("The schedule is invalid: \"61 20 * * *\" is not a valid cron expression. Correct it.", None),
            ("The schedule is invalid: unknown time zone \"Europe/Berln\". Correct it.", None),
            ("Nothing was said. Ask \"them\".", None),
            ("It is denied: \"", None),
        ] {
            assert_eq!(quotation(message), words);
        }
    }

    #[test]
    fn of_long_words_of_box_the_code_is_kept() {
        let what = format!("Box denied it: \"{}\" (forbidden, request id r1).", "never ".repeat(100));
        let message = compose_message(&what, "Ask it.");
        assert_eq!(message.chars().count(), MAX_CONDITION_MESSAGE);
        assert!(message.ends_with("…\" (forbidden, request id r1). Ask it."), "{message}");
    }

    proptest! {
        #[test]
        fn both_parts_of_any_message_fit_and_can_be_told_apart(
            words in "[a-z \"]{0,600}",
            action in "([A-Z][a-z ]{0,100}\\.){0,4}",
        ) {
            let what = format!("Box said: \"{}\".", words.replace('"', "'"));
            let message = compose_message(&what, &action);
            prop_assert!(message.chars().count() <= MAX_CONDITION_MESSAGE);
            prop_assert!(event_message(&message).chars().count() <= MAX_EVENT_MESSAGE);
            if action.chars().count() < MAX_CONDITION_MESSAGE - MIN_WHAT {
                prop_assert_eq!(split_message(&message).1, &action);
            }
        }
    }
}
