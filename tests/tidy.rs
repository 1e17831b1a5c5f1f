//! Is the house in order? Rooms know only what they may, pure files stay pure, none grows too long.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rooms, and the other rooms that each may know.
const ROOMS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("boxapi", &[]),
    ("cluster.rs", &[]),
    ("roster", &["api", "cluster"]),
    ("sync.rs", &["api", "boxapi", "roster"]),
    ("signin", &["api", "boxapi"]),
    ("metrics", &["api", "boxapi"]),
    ("controller", &["api", "boxapi", "cluster", "metrics", "roster", "signin", "sync", "runtime"]),
    ("health.rs", &["controller", "runtime"]),
    ("runtime", &[]),
    ("cli", &["api", "boxapi", "cluster", "roster", "runtime", "signin"]),
];

/// Files that decide on values alone.
const PURE: &[&str] = &[
    "controller/plan.rs",
    "health.rs",
    "metrics/book.rs",
    "metrics/connections.rs",
    "metrics/label.rs",
    "controller/schedule.rs",
    "controller/timetable.rs",
    "controller/rhythm.rs",
    "controller/failure.rs",
    "signin/cadence.rs",
    "signin/failure.rs",
    "signin/names.rs",
    "signin/secret.rs",
    "controller/message.rs",
    "controller/conditions.rs",
    "controller/report.rs",
    "controller/answer.rs",
    "controller/authorization.rs",
    "controller/requester.rs",
    "controller/kept.rs",
    "controller/merged.rs",
    "api/reason_page.rs",
    "roster/list.rs",
    "runtime/lease/decide.rs",
    "cli/connect/keeper.rs",
    "cli/exit.rs",
    "cli/filter.rs",
    "cli/finding.rs",
    "cli/letter.rs",
    "cli/seen.rs",
    "cli/listing.rs",
    "cli/overview.rs",
    "cli/progress.rs",
    "cli/record.rs",
    "cli/standing.rs",
    "cli/table.rs",
    "cli/trouble.rs",
    "cli/words.rs",
    "roster/line.rs",
    "roster/cut.rs",
    "roster/compare.rs",
    "roster/guard.rs",
    "roster/resolve.rs",
    "roster/revision.rs",
];

/// A file that is longer probably holds two ideas.
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

/// The code of a file, without comments and without its tests.
fn code(path: &Path) -> String {
    let whole = text(path);
    let ends = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\n#[path"].iter().filter_map(|s| whole.find(s)).min();
    let lines = whole[..ends.unwrap_or(whole.len())].lines();
    lines.filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_know_only_what_they_may() {
    let mut wrong = Vec::new();
    for (room, may) in ROOMS {
        let own = room.trim_end_matches(".rs");
        for path in sources(&root().join("src").join(room)) {
            let code = code(&path);
            for (other, _) in ROOMS {
                let other = other.trim_end_matches(".rs");
                let spoken = [format!("crate::{other}::"), format!("    {other}::{{"), format!("    {other}::")];
                let knows = code.contains(&spoken[0])
                    || (code.contains("use crate::{") && spoken[1..].iter().any(|s| imported(&code).contains(s)));
                if knows && other != own && !may.contains(&other) {
                    wrong.push(format!("{} knows {other}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of `use crate::{ … };`.
fn imported(code: &str) -> String {
    code.split("use crate::{").skip(1).filter_map(|rest| rest.split("\n};").next()).collect()
}

#[test]
fn what_decides_does_no_io_and_looks_at_no_clock() {
    for file in PURE {
        let code = code(&root().join("src").join(file));
        for word in ["async ", ".await", "kube::Client", "now()", "Instant", "std::env", "std::fs"] {
            assert!(!code.contains(word), "{file} holds {word:?}");
        }
    }
}

#[test]
fn every_file_says_first_what_it_holds_and_none_is_too_long() {
    let mut wrong = Vec::new();
    for path in ["src", "tests"].iter().flat_map(|folder| sources(&root().join(folder))) {
        if !text(&path).starts_with("//!") {
            wrong.push(format!("{} does not begin with //!", path.display()));
        }
        let lines = text(&path).lines().count();
        if lines > LONGEST {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
