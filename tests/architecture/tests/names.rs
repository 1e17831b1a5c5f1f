//! One name for one thing, in the words of the field.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use architecture::{crate_graph, find_files, lines, read_file, relative, root};

/// Types whose name two modules use: every module of errors has one `Error`.
const TYPE_NAMES_DEFINED_TWICE: &[&str] = &["Error"];

/// A function name that more modules use says too little.
const MAX_MODULES_WITH_ONE_NAME: usize = 3;

/// Names that Rust's conventions give one meaning everywhere.
const COMMON_FUNCTION_NAMES: &[&str] = &["as_str", "from_str", "main", "new", "parse", "run"];

/// Names of before that the field has other words for, whole or as a part of an identifier.
const RETIRED_WORDS: &[&str] = &[
    "barred",
    "boxapi",
    "crowd",
    "desk",
    "errand",
    "errands",
    "keeper",
    "lent",
    "nonsense",
    "plea",
    "rhythm",
    "settle",
    "settled",
    "settles",
    "shelter",
    "sheltered",
    "signin",
    "stumbled",
    "stumbles",
    "timetable",
    "unkept",
    "untold",
    "vault",
];

/// Each name with the files that define it.
fn by_name<'a>(definitions: impl Iterator<Item = (&'a str, &'a Path)>) -> BTreeMap<&'a str, Vec<&'a Path>> {
    let mut files: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for (name, file) in definitions {
        files.entry(name).or_default().push(file);
    }
    files
}

/// The words of a text in lower case; `TokenStore`, `token_store` and `token store` have the same.
fn words(text: &str) -> BTreeSet<String> {
    let mut separated = String::with_capacity(text.len());
    let mut after_lower = false;
    for c in text.chars() {
        if after_lower && c.is_uppercase() {
            separated.push(' ');
        }
        after_lower = c.is_lowercase();
        separated.push(if c.is_alphabetic() { c.to_ascii_lowercase() } else { ' ' });
    }
    separated.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn retired_words_do_not_come_back() {
    let own = root().join("tests/architecture");
    let mut violations = Vec::new();
    for folder in ["src", "tests", "docs", "charts", "README.md"] {
        for extension in ["rs", "md", "yaml", "tpl", "txt", "py", "sh"] {
            for path in find_files(&root().join(folder), extension).iter().filter(|path| !path.starts_with(&own)) {
                for (number, line) in read_file(path).lines().enumerate() {
                    let words = words(line);
                    for word in RETIRED_WORDS.iter().filter(|word| words.contains(**word)) {
                        violations.push(format!("{}:{}: {word}", relative(path), number + 1));
                    }
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", lines(violations));
}

#[test]
fn every_type_has_a_name_of_its_own() {
    let graph = crate_graph();
    assert!(graph.types().count() > 100, "the sources were not read");
    let violations = by_name(graph.types())
        .into_iter()
        .filter(|(name, files)| files.len() > 1 && !TYPE_NAMES_DEFINED_TWICE.contains(name))
        .map(|(name, files)| format!("{name}: {files:?}"));
    let violations: Vec<String> = violations.collect();
    assert!(violations.is_empty(), "{}", lines(violations));
}

#[test]
fn no_function_name_is_used_in_many_modules() {
    let graph = crate_graph();
    let violations = by_name(graph.functions())
        .into_iter()
        .map(|(name, files)| (name, files.into_iter().collect::<BTreeSet<_>>()))
        .filter(|(name, files)| files.len() > MAX_MODULES_WITH_ONE_NAME && !COMMON_FUNCTION_NAMES.contains(name))
        .map(|(name, files)| format!("{name}: {files:?}"));
    let violations: Vec<String> = violations.collect();
    assert!(violations.is_empty(), "{}", lines(violations));
}
