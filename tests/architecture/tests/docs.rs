//! Links, commands, search words and the table of contents of the docs.

use architecture::{find_files, read_file, relative, root};

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
                violations.push(format!("{}: {link}", relative(&path)));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn tests_named_in_the_architecture_page_exist() {
    let page = read_file(&root().join("docs/architecture.md"));
    let quoted = text_outside_code_blocks(&page).flat_map(|line| line.split('`').skip(1).step_by(2));
    let names: Vec<&str> = quoted.filter(|word| word.matches('_').count() > 2 && !word.contains(' ')).collect();
    assert!(names.len() > 20, "{names:?}");
    let tests: Vec<String> = find_files(&root().join("tests"), "rs").iter().map(|path| read_file(path)).collect();
    for name in names {
        let definitions = [format!("fn {name}("), format!("    {name}: ")];
        assert!(tests.iter().any(|test| definitions.iter().any(|t| test.contains(t))), "there is no test {name}");
    }
}

/// The pages that people read: `docs/` and the README.
fn pages() -> Vec<(String, String)> {
    let mut files: Vec<_> = find_files(&root().join("docs"), "md");
    files.push(root().join("README.md"));
    files.iter().map(|path| (relative(path), read_file(path))).collect()
}

/// Every command of the docs is run by a test, or says why it is not.
#[test]
fn every_command_block_is_run_or_says_why_not() {
    let tests: String = find_files(&root().join("tests"), "rs").iter().map(|path| read_file(path)).collect();
    let mut violations = Vec::new();
    let mut run = 0;
    for (path, page) in pages() {
        let lines: Vec<&str> = page.lines().map(str::trim).collect();
        for (number, _) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("```console")) {
            let marker = lines[..number].last().and_then(|line| line.strip_prefix("<!-- ")?.strip_suffix(" -->"));
            let problem = match marker.map(|marker| marker.split_once(": ").unwrap_or((marker, ""))) {
                Some(("run", "")) => {
                    run += 1;
                    None
                }
                Some(("tested", test)) if tests.contains(&format!("fn {test}(")) => None,
                Some(("tested", test)) => Some(format!("there is no test {test}")),
                Some(("not run", reason)) if !reason.is_empty() => None,
                _ => {
                    Some("no line <!-- run -->, <!-- tested: NAME --> or <!-- not run: REASON --> above it".to_owned())
                }
            };
            violations.extend(problem.map(|problem| format!("{path}:{}: {problem}", number + 1)));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(run >= 10, "tests/e2e/docs.rs runs {run} blocks");
}

#[test]
fn every_page_has_one_place_in_the_table_of_contents() {
    let contents = read_file(&root().join("docs/SUMMARY.md"));
    let mut listed: Vec<&str> = contents.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    listed.sort_unstable();
    let mut pages: Vec<String> = find_files(&root().join("docs"), "md")
        .iter()
        .map(|path| relative(path).trim_start_matches("docs/").to_owned())
        .filter(|path| path != "SUMMARY.md")
        .collect();
    pages.sort_unstable();
    assert_eq!(listed, pages);
}

/// What people type into a search box.
const SEARCH_WORDS: &[&str] = &[
    "429",
    "backup",
    "certificate",
    "coverage",
    "dashboard",
    "debug",
    "delete",
    "department",
    "disaster",
    "downgrade",
    "dry run",
    "e-mail change",
    "encrypt",
    "erase",
    "exit code",
    "expired",
    "failover",
    "faq",
    "firewall",
    "gdpr",
    "guest",
    "invitation",
    "leak",
    "licence",
    "log level",
    "migrate",
    "move",
    "offboard",
    "oomkilled",
    "pause",
    "proxy",
    "quota",
    "rate limit",
    "rbac",
    "rename",
    "restore",
    "revoke",
    "rollback",
    "rotate",
    "schedule",
    "stale",
    "suspend",
    "throttling",
    "tracking code",
    "uninstall",
    "unprotected",
    "upgrade",
    "webhook",
];

#[test]
fn search_words_are_in_a_heading_or_in_the_index() {
    let index = read_file(&root().join("docs/README.md")).to_lowercase();
    let (_, index) = index.split_once("## by a word").expect("an index");
    let rows: Vec<&str> = index.lines().filter(|line| line.starts_with("| ") && line.contains("](")).collect();
    let pages = pages();
    let headings: Vec<String> = pages
        .iter()
        .flat_map(|(_, page)| text_outside_code_blocks(page))
        .filter(|line| line.starts_with('#'))
        .map(str::to_lowercase)
        .collect();
    let in_index = |word: &str| rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(word)));
    let lost: Vec<&&str> = SEARCH_WORDS
        .iter()
        .filter(|word| !in_index(word) && !headings.iter().any(|heading| heading.contains(**word)))
        .collect();
    assert!(lost.is_empty(), "{lost:?} lead nowhere");
}
