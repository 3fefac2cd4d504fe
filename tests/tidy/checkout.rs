//! The files of the checkout that people wrote.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// A text file of the checkout.
pub(crate) struct TextFile {
    /// Path from the root, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The text of one file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file, in the order of their paths.
pub(crate) fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // A rule over no files would pass.
    assert!(
        files
            .iter()
            .any(|file| file.path == "crates/aurora/src/lib.rs"),
        "not the root of the checkout: {}",
        root().display()
    );
    files
}

/// Every Rust file, scanned.
pub(crate) fn rust_files() -> Vec<Source> {
    let mut sources: Vec<_> = text_files()
        .iter()
        .filter(|file| has_extension(&file.path, "rs"))
        .map(|file| Source::scan(&file.path, &file.text))
        .collect();
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let below = |module: &String| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if tests.iter().any(below) {
            source.is_all_tests();
        }
    }
    sources
}

/// Whether a path ends with `.` and an extension.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            // Whatever cargo builds into carries this tag, under any name.
            let built = entry.path().join("CACHEDIR.TAG").exists();
            if !built
                && !matches!(
                    name.as_str(),
                    ".git" | ".turnkeep" | ".aws-sam" | "target" | "__pycache__"
                )
            {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(TextFile { path, text });
        }
    }
}
