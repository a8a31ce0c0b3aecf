//! The published test data.

use std::path::PathBuf;

/// The folder of published test data; `None`, with a line on stderr, when it is not there and not required.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the published data is"
)]
pub(crate) fn published(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("MAINSTAY_CONFORMANCE_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "no conformance data at {}", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

/// Every query of the published scripts, as it stands behind its `eval`.
pub(crate) fn published_queries() -> Option<Vec<String>> {
    let folder = published("promql")?;
    let mut queries = Vec::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    for path in names
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "test"))
    {
        let text = std::fs::read_to_string(path).expect("a script");
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let skipped = match (words.next(), words.next()) {
                (Some("eval"), Some("instant")) => 4,
                (Some("eval"), Some("range")) => 8,
                _ => continue,
            };
            queries.push(
                line.split_whitespace()
                    .skip(skipped)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
    }
    Some(queries)
}
