//! Reads the repository for the tests of its structure.

mod crate_graph;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use crate_graph::{CrateGraph, Reference};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository")
}

pub fn crate_graph() -> CrateGraph {
    CrateGraph::read(&root().join("src"))
}

pub fn lines(violations: impl IntoIterator<Item = String>) -> String {
    violations.into_iter().collect::<Vec<_>>().join("\n")
}

pub fn find_files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    if folder.is_file() {
        return Vec::from_iter(folder.extension().is_some_and(|e| e == extension).then(|| folder.to_owned()));
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

/// A path as it is shown.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

pub fn read_file(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}
