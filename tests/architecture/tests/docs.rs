//! Links and names of tests in the docs.

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
