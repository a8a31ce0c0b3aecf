//! The files of `file_sd_configs`.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_ingest::config::{TargetGroup, target_groups};

/// Target files larger than this are refused.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The target files that are there now, or are named; relative paths count from `base`.
pub(super) fn files(patterns: &[PathBuf], base: &Path) -> Vec<PathBuf> {
    patterns
        .iter()
        .flat_map(|pattern| matching(&base.join(pattern)))
        .collect()
}

/// Reads one target file. A file that is named must be there and be right, else the caller keeps the targets it has of
/// it, as Prometheus does.
pub(super) fn read(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let file = path.display().to_string();
    let mut groups = target_groups(&file, &text(path)?).map_err(|error| error.to_string())?;
    for group in &mut groups {
        group.labels.set("__meta_filepath", &file);
    }
    Ok(groups)
}

/// The text of a file that the configuration names.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let file = path.display().to_string();
    let failed = |error: std::io::Error| format!("{file}: {error}");
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{file}: {size} bytes, allowed are {MAX_FILE_BYTES}"));
    }
    fs::read_to_string(path).map_err(failed)
}

/// The files that a path with at most one `*` in its last part means, sorted.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return vec![pattern.to_path_buf()];
    };
    let fits = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| {
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            })
    };
    // A directory that is not there yet holds no targets yet.
    let entries = pattern
        .parent()
        .and_then(|dir| fs::read_dir(dir).ok())
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(fits).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_means_what_is_there_and_a_name_must_be_there() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("sd")).expect("made");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        write("sd/b.json", r#"[{"targets": ["b:1"], "labels": {"x": "1"}}]"#);
        write("sd/a.json", r#"[{"targets": ["a:1", "a:2"]}]"#);
        write("sd/c.yml", "[]");
        write("other.json", "[]");
        let patterns = [PathBuf::from("sd/*.json"), PathBuf::from("other.json")];
        let found = |patterns: &[PathBuf]| -> Vec<String> {
            let groups = files(patterns, dir.path());
            let groups = groups.iter().flat_map(|path| read(path).expect("read"));
            groups.flat_map(|group| group.targets).collect()
        };
        assert_eq!(found(&patterns), ["a:1", "a:2", "b:1"]);
        fs::remove_file(dir.path().join("other.json")).expect("removed");
        let named = files(&patterns, dir.path());
        assert_eq!(named.len(), 3, "what is named is missed");
        read(&named[2]).expect_err("a file that is named must be there");
        assert!(files(&[], Path::new("/nowhere")).is_empty());
    }
}
