//! Shared by the tests of several modules and packages.

/// Compares a committed file with what it is generated from; `UPDATE_GENERATED=1` writes it instead.
pub(crate) fn assert_generated(path: &str, content: &str) {
    // Other packages of the workspace include this file.
    let mut folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let full = folders.find(|folder| folder.join("Cargo.lock").exists()).expect("the repository").join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(full.parent().expect("a folder")).expect("writable");
        return std::fs::write(&full, content).expect("writable");
    }
    let committed = std::fs::read_to_string(&full).unwrap_or_default();
    assert!(committed == content, "{path} is out of date: run `make generate` and review the difference");
}
