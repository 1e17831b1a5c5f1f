//! Is the house in order? Rooms know only what they may, pure files stay pure, none grows too long, and no page points to
//! what is not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rooms, and the other rooms that each may know.
const LAYERS: &[(&str, &[&str])] = &[
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
const PURE_FILES: &[&str] = &[
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
const MAX_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    find_files(folder, "rs")
}

fn find_files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            found.extend(find_files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

fn read_file(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

/// The code of a file, without comments and without its tests.
fn code_without_tests(path: &Path) -> String {
    let whole = read_file(path);
    let ends = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\n#[path"].iter().filter_map(|s| whole.find(s)).min();
    let lines = whole[..ends.unwrap_or(whole.len())].lines();
    lines.filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn layers_import_only_allowed_layers() {
    let mut violations = Vec::new();
    for (room, may) in LAYERS {
        let own = room.trim_end_matches(".rs");
        for path in rust_files(&root().join("src").join(room)) {
            let code = code_without_tests(&path);
            for (other, _) in LAYERS {
                let other = other.trim_end_matches(".rs");
                let import_patterns =
                    [format!("crate::{other}::"), format!("    {other}::{{"), format!("    {other}::")];
                let imports = code.contains(&import_patterns[0])
                    || (code.contains("use crate::{")
                        && import_patterns[1..].iter().any(|s| crate_imports(&code).contains(s)));
                if imports && other != own && !may.contains(&other) {
                    violations.push(format!("{} knows {other}", path.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The text of `use crate::{ … };`.
fn crate_imports(code: &str) -> String {
    code.split("use crate::{").skip(1).filter_map(|rest| rest.split("\n};").next()).collect()
}

#[test]
fn pure_files_do_no_io_and_read_no_clock() {
    for file in PURE_FILES {
        let code = code_without_tests(&root().join("src").join(file));
        for word in ["async ", ".await", "kube::Client", "now()", "Instant", "std::env", "std::fs"] {
            assert!(!code.contains(word), "{file} holds {word:?}");
        }
    }
}

#[test]
fn every_file_starts_with_a_description_and_is_short_enough() {
    let mut violations = Vec::new();
    for path in ["src", "tests"].iter().flat_map(|folder| rust_files(&root().join(folder))) {
        if !read_file(&path).starts_with("//!") {
            violations.push(format!("{} does not begin with //!", path.display()));
        }
        let lines = read_file(&path).lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// What a page says outside of its code blocks.
fn text_outside_code_blocks(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The headings of a page as addresses name them.
fn heading_anchors(page: &str) -> Vec<String> {
    let headings = text_outside_code_blocks(page)
        .filter_map(|line| line.strip_prefix('#'))
        .map(|rest| rest.trim_start_matches('#').trim());
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings {
        let slug = heading.to_lowercase().replace(|c: char| !(c.is_alphanumeric() || "-_ ".contains(c)), "");
        let anchor = slug.replace(' ', "-");
        let before = anchors.iter().filter(|a| **a == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

#[test]
fn every_link_points_to_an_existing_file_and_heading() {
    let mut violations = Vec::new();
    for path in find_files(root(), "md") {
        let page = read_file(&path);
        let links = text_outside_code_blocks(&page)
            .flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        for link in links.filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let there = target.exists()
                && (anchor.is_empty() || heading_anchors(&read_file(&target)).iter().any(|a| a == anchor));
            if !there {
                violations.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn tests_named_in_the_architecture_page_exist() {
    let page = read_file(&root().join("docs/architecture.md"));
    let words = text_outside_code_blocks(&page).flat_map(|line| line.split('`').skip(1).step_by(2));
    let names: Vec<&str> = words.filter(|word| word.matches('_').count() > 2 && !word.contains(' ')).collect();
    assert!(names.len() > 20, "{names:?}");
    let tests: Vec<String> = find_files(&root().join("tests"), "rs").iter().map(|path| read_file(path)).collect();
    for name in names {
        let definitions = [format!("fn {name}("), format!("    {name}: ")];
        assert!(tests.iter().any(|test| definitions.iter().any(|t| test.contains(t))), "there is no test {name}");
    }
}
