//! `docs/reading.md`: the examples in it are those of `docs/examples`, which the end-to-end tests run.

use std::fs;

use crate::generated::repository_path;

const PAGE: &str = "docs/reading.md";

/// The page, with each code block below a line `<!-- FILE -->` replaced by that file.
pub(crate) fn insert_examples() -> String {
    let read = |path: &str| fs::read_to_string(repository_path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut page = read(PAGE);
    for (file, language) in [("read.sh", "sh"), ("read.py", "python"), ("read.rs", "rust")] {
        let marker = format!("<!-- docs/examples/{file} -->\n");
        let (before, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("{PAGE} has no line {marker}"));
        let (_, after) = rest.split_once("\n```\n").unwrap_or_else(|| panic!("no code block ends after {marker}"));
        let example = read(&format!("docs/examples/{file}"));
        page = format!("{before}{marker}```{language}\n{}\n```\n{after}", example.trim_end());
    }
    page
}
