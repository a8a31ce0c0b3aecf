//! Files on disk, and the published test data.

use std::path::{Path, PathBuf};

use mainstay_rules::unit_test::{Files, fits_pattern};

/// Reads from disk.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
    }

    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let path = Path::new(pattern);
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Ok(files_in(folder)
            .into_iter()
            .filter(|file| {
                file.file_name()
                    .is_some_and(|found| fits_pattern(&name, &found.to_string_lossy()))
            })
            .map(|file| file.to_string_lossy().into_owned())
            .collect())
    }
}

/// The files of a folder, by name.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// A variable of the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment what to run"
)]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The folder of published test data; `None`, with a line on stderr, when it is not there and not required.
pub(crate) fn published(folder: &str) -> Option<PathBuf> {
    let root =
        environment("MAINSTAY_CONFORMANCE").map_or_else(|| workspace("../shared/conformance"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = environment("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
    assert!(!required, "no conformance data at {}", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

/// A path from the root of the workspace.
pub(crate) fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
