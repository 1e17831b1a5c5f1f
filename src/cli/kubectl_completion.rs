//! What `kubectl boxsync <TAB>` offers: subcommands, flags, values, and the names of connections.

use std::time::Duration;

use clap::{Arg, Command, CommandFactory, FromArgMatches, ValueHint};
use kube::{Api, ResourceExt, api::ListParams};

use super::{args::Cli, global_args::GlobalArgs};
use crate::{
    api::BoxConnection,
    kube_client::{ClientRetries, ClusterAccess, ExecSettings, process_env},
    text::clean_line,
};

/// A person waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_NAMES: u32 = 1_000;
/// Cobra's directives: that of files, and that nothing else is offered.
const OFFER_FILES: &str = ":0\n";
const OFFER_NOTHING_ELSE: &str = ":4\n";

/// What can stand at the last word.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    /// Words, each with a description.
    Words(Vec<(String, String)>),
    Connections,
    Files,
}

/// The answer to kubectl, in Cobra's format: a word and its description on each line, then a directive. `words` is what
/// stands after `kubectl boxsync`; the last one is completed.
pub(super) async fn complete(words: &[String]) -> String {
    let mut root = Cli::command();
    root.build();
    let (last, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let offered = match offer(&root, before, last) {
        Offer::Words(offered) => offered,
        Offer::Files => return OFFER_FILES.to_owned(),
        Offer::Connections => {
            let names = tokio::time::timeout(TIMEOUT, list_names(words)).await.ok().flatten().unwrap_or_default();
            names.into_iter().filter(|name| name.starts_with(last)).map(|name| (name, String::new())).collect()
        }
    };
    let lines = offered.iter().map(|(word, description)| match description.is_empty() {
        true => format!("{word}\n"),
        false => format!("{word}\t{description}\n"),
    });
    lines.collect::<String>() + OFFER_NOTHING_ELSE
}

fn offer(root: &Command, before: &[String], last: &str) -> Offer {
    let mut command = root;
    let (mut positionals, mut awaits_value) = (0, None);
    for word in before {
        if awaits_value.take().is_some() {
            continue;
        }
        if let Some(flag) = word.strip_prefix('-') {
            awaits_value = find_flag(command, flag).filter(|arg| takes_separate_value(arg) && !word.contains('='));
        } else if let Some(subcommand) = command.find_subcommand(word) {
            command = subcommand;
        } else {
            positionals += 1;
        }
    }
    if let Some(arg) = awaits_value {
        return values_of(arg, "", last);
    }
    match last.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => match find_flag(command, flag.trim_start_matches('-')) {
            Some(arg) => values_of(arg, &format!("{flag}="), value),
            None => Offer::Words(Vec::new()),
        },
        _ if last.starts_with('-') => {
            let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
            let named = flags.filter_map(|arg| Some((format!("--{}", arg.get_long()?), describe(arg.get_help()))));
            matching(named, last)
        }
        _ if command.has_subcommands() => {
            let subcommands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            matching(subcommands.map(|sub| (sub.get_name().to_owned(), describe(sub.get_about()))), last)
        }
        _ => {
            // The last positional argument may be given any number of times.
            let all: Vec<&Arg> = command.get_positionals().collect();
            match all.get(positionals).or(all.last().filter(|arg| arg.get_id() == "names")) {
                Some(arg) if matches!(arg.get_id().as_str(), "name" | "names") => Offer::Connections,
                Some(arg) => values_of(arg, "", last),
                None => Offer::Words(Vec::new()),
            }
        }
    }
}

/// The flag of `-n` or `--namespace`, without its first dash.
fn find_flag<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
    command.get_arguments().find(|arg| match flag.starts_with('-') || name.chars().count() > 1 {
        true => arg.get_long() == Some(name),
        false => arg.get_short().map(String::from).as_deref() == Some(name),
    })
}

fn takes_separate_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn values_of(arg: &Arg, prefix: &str, typed: &str) -> Offer {
    let values = arg.get_possible_values();
    match arg.get_value_hint() {
        _ if !values.is_empty() => {
            let words =
                values.iter().map(|value| (format!("{prefix}{}", value.get_name()), describe(value.get_help())));
            matching(words, &format!("{prefix}{typed}"))
        }
        ValueHint::FilePath | ValueHint::AnyPath => Offer::Files,
        // The files are marked by their value name.
        _ if arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE")) => Offer::Files,
        _ => Offer::Words(Vec::new()),
    }
}

fn matching(words: impl Iterator<Item = (String, String)>, typed: &str) -> Offer {
    Offer::Words(words.filter(|(word, _)| word.starts_with(typed)).collect())
}

/// The first line of a help text.
fn describe(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The connections of the namespace that the flags select.
async fn list_names(words: &[String]) -> Option<Vec<String>> {
    let arguments = std::iter::once("kubectl-boxsync").chain(words.iter().map(String::as_str));
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    let flags = GlobalArgs::from_arg_matches(&matches).ok()?;
    let access = ClusterAccess::load(&flags.cluster_overrides(), &process_env).ok()?;
    let settings = ExecSettings { interactive: false, show_stderr: false, timeout: Some(TIMEOUT) };
    let cluster = access.connect(settings).await.ok()?;
    let client = cluster.client(concat!("kubectl-boxsync/", env!("CARGO_PKG_VERSION")), ClientRetries::None);
    let connections = Api::<BoxConnection>::namespaced(client, cluster.namespace());
    let listed = connections.list_metadata(&ListParams::default().limit(MAX_NAMES)).await.ok()?;
    Some(listed.iter().map(|one| clean_line(&one.name_any()).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer_for(line: &str) -> Offer {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().expect("a word");
        offer(&root, before, last)
    }

    fn offered_words(line: &str) -> Vec<String> {
        match offer_for(line) {
            Offer::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn subcommands_flags_and_values_are_offered() {
        assert_eq!(offered_words("st"), ["status"]);
        assert!(offered_words("").contains(&"approve".to_owned()));
        assert_eq!(offered_words("-n backup ap"), ["approve"]);
        assert_eq!(offered_words("status --all"), ["--all-namespaces", "--all"]);
        assert_eq!(offered_words("users acme --output j"), ["json", "jsonl"]);
        assert_eq!(offered_words("users acme -o y"), ["yaml"]);
        assert_eq!(offered_words("users acme --output=c"), ["--output=csv"]);
        assert_eq!(offered_words("completion ba"), ["bash"]);
        assert_eq!(offered_words("users acme --no-such=x"), Vec::<String>::new());
        assert_eq!(offered_words("sync acme --timeout "), Vec::<String>::new());
    }

    #[test]
    fn names_of_connections_and_files_are_offered_where_they_belong() {
        for line in [
            "status ",
            "users ac",
            "sync acme gl",
            "-n backup why ",
            "check --output json ac",
            "sync --wait ",
            "coverage ",
        ] {
            assert_eq!(offer_for(line), Offer::Connections, "{line}");
        }
        for line in ["check --file ", "--kubeconfig ", "status --kubeconfig x", "coverage acme --protected "] {
            assert_eq!(offer_for(line), Offer::Files, "{line}");
        }
        assert_eq!(offered_words("users acme "), Vec::<String>::new());
    }
}
