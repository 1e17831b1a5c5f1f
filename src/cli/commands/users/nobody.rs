//! What to say where no user matches: which of the filters excludes everybody, and what there is instead. Pure.

use std::collections::BTreeMap;

use super::{args::UsersArgs, filter::UserFilter, output::OutputUser};
use crate::cli::{
    commands::similar_logins::similar_logins,
    output::format::{format_number, pluralize},
};

/// More different words than these are not listed: Box decides on them.
const MAX_WORDS: usize = 10;

/// One sentence for each filter that excludes everybody by itself. `users`: those that were filtered.
pub(super) fn explain_nobody<U: OutputUser>(users: &[U], args: &UsersArgs, namespace: &str) -> String {
    let name = &args.name;
    let whom = match (args.removed, args.held) {
        (true, _) => format!("removed user of {name}"),
        (false, true) => format!("held user of {name}"),
        (false, false) => format!("user in the list of {name}"),
    };
    if users.is_empty() {
        return match (args.removed, args.held) {
            (true, _) => format!(
                "Nobody was removed from the list of {name} within its retention (spec.historyRetention of the connection)."
            ),
            (false, true) => format!("No removals are held for {name}."),
            (false, false) => format!("The list of {name} is empty: Box listed no user."),
        };
    }
    let total = pluralize(i64::try_from(users.len()).unwrap_or(i64::MAX), "user");
    let filters = UserFilter::from_args(&args.filter).split();
    let mut sentences = Vec::new();
    for filter in filters.iter().filter(|filter| !users.iter().any(|user| user.matches(filter))) {
        sentences.push(match filter {
            UserFilter { search: Some(text), .. } => {
                let similar = similar_logins(text, users.iter().map(OutputUser::login)).join(", ");
                let similar = if similar.is_empty() { String::new() } else { format!(" Similar logins: {similar}.") };
                format!(
                    "No {whom} has {text:?} in login, name or id.{similar} Why somebody is missing: kubectl boxsync why {name} LOGIN -n {namespace}."
                )
            }
            UserFilter { status, .. } if !status.is_empty() => format!(
                "No {whom} has the status {}: {}.",
                status.join(" or "),
                count_words(users.iter().map(|user| Some(user.status())))
            ),
            UserFilter { role, .. } if !role.is_empty() => format!(
                "No {whom} has the role {}: {}.",
                role.join(" or "),
                count_words(users.iter().map(OutputUser::role))
            ),
            UserFilter { tracking_codes, .. } if !tracking_codes.is_empty() => tracking_codes
                .iter()
                .map(|(name, values)| {
                    let have = count_words(users.iter().map(|user| user.tracking_code(name)));
                    let have = if have.is_empty() { "nobody has one".to_owned() } else { have };
                    let without = |value: &String| if value.is_empty() { "no value" } else { value }.to_owned();
                    let values: Vec<String> = values.iter().map(without).collect();
                    format!("No {whom} has the tracking code {name} with {}: {have}.", values.join(" or "))
                })
                .collect(),
            UserFilter { app: Some(true), .. } => format!("No {whom} is an app user, of {total}."),
            _ => format!("Every {whom} is an app user, of {total}."),
        });
    }
    if sentences.is_empty() {
        let counts = filters.iter().map(|filter| {
            let matching = users.iter().map(|user| i64::from(user.matches(filter))).sum();
            format!("{filter} {}", format_number(matching))
        });
        let counts: Vec<String> = counts.collect();
        return format!("No {whom} matches all filters together, of {total}. Each alone: {}.", counts.join(", "));
    }
    sentences.join(" ")
}

/// `900 active, 12 inactive`, the most frequent word first.
pub(super) fn count_words<'a>(words: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for word in words.flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<(&str, i64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = counts.len().saturating_sub(MAX_WORDS);
    let shown = counts.iter().take(MAX_WORDS).map(|(word, count)| format!("{} {word}", format_number(*count)));
    let mut shown: Vec<String> = shown.collect();
    if more > 0 {
        shown.push(format!("{more} others"));
    }
    shown.join(", ")
}
