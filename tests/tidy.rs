//! Is the house in order? Rooms know only what they may, pure files stay pure, none grows too long, and no page points to
//! what is not there.

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
    files(folder, "rs")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
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

/// What a page says outside of its code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The headings of a page as addresses name them.
fn anchors(page: &str) -> Vec<String> {
    let headings =
        prose(page).filter_map(|line| line.strip_prefix('#')).map(|rest| rest.trim_start_matches('#').trim());
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings {
        let kept = heading.to_lowercase().replace(|c: char| !(c.is_alphanumeric() || "-_ ".contains(c)), "");
        let anchor = kept.replace(' ', "-");
        let before = anchors.iter().filter(|a| **a == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut wrong = Vec::new();
    for path in files(root(), "md") {
        let page = text(&path);
        let links = prose(&page).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        for link in links.filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let aim = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let there = aim.exists() && (anchor.is_empty() || anchors(&text(&aim)).iter().any(|a| a == anchor));
            if !there {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tests_that_prove_the_invariants_are_there() {
    let page = text(&root().join("docs/architecture.md"));
    let words = prose(&page).flat_map(|line| line.split('`').skip(1).step_by(2));
    let names: Vec<&str> = words.filter(|word| word.matches('_').count() > 2 && !word.contains(' ')).collect();
    assert!(names.len() > 20, "{names:?}");
    let tests: Vec<String> = files(&root().join("tests"), "rs").iter().map(|path| text(path)).collect();
    for name in names {
        let told = [format!("fn {name}("), format!("    {name}: ")];
        assert!(tests.iter().any(|test| told.iter().any(|t| test.contains(t))), "there is no test {name}");
    }
}
