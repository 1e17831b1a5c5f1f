//! The generated files: their paths and contents.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{api_docs, chart_readme, reading_page, reason_docs, record_schemas};

/// A chart contains everything that it installs, so the CRDs exist twice.
const CRD_FOLDERS: [&str; 2] = ["crds", "charts/boxsync-operator/files/crds"];

pub(crate) fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join(path)
}

/// Path and content of each file.
fn generated_files() -> Vec<(String, String)> {
    let mut files = vec![
        ("docs/api.md".to_owned(), api_docs::render_api_docs()),
        ("docs/reasons.md".to_owned(), reason_docs::render_reason_docs()),
        ("docs/reading.md".to_owned(), reading_page::insert_examples()),
        ("charts/boxsync-operator/README.md".to_owned(), chart_readme::render_chart_readme()),
    ];
    files.extend(record_schemas::render_schemas().map(|(path, schema)| (path.to_owned(), schema)));
    for crd in boxsync::api::crds() {
        let yaml = serde_saphyr::to_string(&crd).expect("a CRD is YAML");
        let path = |folder| format!("{folder}/{}.yaml", crd.spec.names.plural);
        files.extend(CRD_FOLDERS.map(|folder| (path(folder), yaml.clone())));
    }
    files
}

/// Writes them, and returns what failed.
pub(crate) fn write_all() -> Vec<String> {
    let write = |(path, content): (String, String)| {
        let path = repository_path(&path);
        fs::write(&path, content).err().map(|e| format!("{}: {e}", path.display()))
    };
    generated_files().into_iter().filter_map(write).collect()
}

/// What is out of date, values of the chart without a description, and CRD files that no type generates.
pub(crate) fn find_outdated() -> Vec<String> {
    let files = generated_files();
    let outdated = |(path, content): &(String, String)| {
        let committed = fs::read_to_string(repository_path(path)).unwrap_or_default();
        (committed != *content).then(|| format!("{path} is out of date: run `make generate` and review the difference"))
    };
    let mut problems: Vec<String> = files.iter().filter_map(outdated).collect();
    problems.extend(chart_readme::find_undocumented());
    let known: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    for folder in CRD_FOLDERS {
        for entry in fs::read_dir(repository_path(folder)).expect("a folder of the repository") {
            let path = format!("{folder}/{}", entry.expect("readable").file_name().to_string_lossy());
            if !known.contains(path.as_str()) {
                problems.push(format!("{path} belongs to no type: delete it"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_files_are_up_to_date() {
        let problems = super::find_outdated();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
