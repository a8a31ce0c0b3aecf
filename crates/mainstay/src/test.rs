//! `mainstay test`: unit tests of rules as promtool runs them, and scripts of queries as Prometheus' own tests are
//! written.

use std::path::{Path, PathBuf};

use mainstay_promql::promqltest;
use mainstay_rules::unit_test::{Files, fits_pattern, test_rules};

use crate::check::counted;
use crate::exit::Exit;

/// The most files that one pattern may name.
const MATCHES_MAX: usize = 1_000;
/// The largest script, in bytes.
const SCRIPT_MAX_BYTES: u64 = 16 << 20;

/// What is tested.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Options {
    /// Unit tests of rules, in the format of `promtool test rules`.
    Rules {
        /// Test files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Scripts of samples and queries, in the format of Prometheus' `promqltest`.
    Promql {
        /// Scripts.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(options: &Options) -> Exit {
    match options {
        Options::Rules { files } => rules(files),
        Options::Promql { files } => promql(files),
    }
}

fn rules(files: &[PathBuf]) -> Exit {
    let paths: Vec<String> = files
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let report = test_rules(&paths, &Disk);
    report
        .failures
        .iter()
        .for_each(|failure| anstream::println!("{failure}"));
    told(report.passed, report.failures.len())
}

fn promql(files: &[PathBuf]) -> Exit {
    let (mut passed, mut failed) = (0, 0);
    for path in files {
        let name = path.display();
        let text = match read(path) {
            Ok(text) => text,
            Err(reason) => {
                anstream::println!("{name}: {reason}");
                failed += 1;
                continue;
            }
        };
        match promqltest::run(&text) {
            Ok(report) => {
                report.failed.iter().for_each(|finding| {
                    let (line, column) = (finding.line, finding.column);
                    anstream::println!(
                        "{name}:{line}:{column}: query {}: {}",
                        finding.query,
                        finding.message
                    );
                });
                passed += report.passed;
                failed += report.failed.len();
            }
            Err(error) => {
                anstream::println!("{name}:{error}");
                failed += 1;
            }
        }
    }
    told(passed, failed)
}

fn told(passed: usize, failed: usize) -> Exit {
    anstream::eprintln!("{} held, {failed} failed", counted(passed, "expectation"));
    match (failed, passed) {
        (0, 0) => {
            anstream::eprintln!("mainstay test: nothing was tested");
            Exit::Failure
        }
        (0, _) => Exit::Ok,
        _ => Exit::Problems,
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > SCRIPT_MAX_BYTES {
        return Err(format!("larger than {SCRIPT_MAX_BYTES} bytes: split it"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Files on disk, patterns of `*` and `?` in any part of a path.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        read(Path::new(path))
    }

    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = vec![PathBuf::new()];
        for part in Path::new(pattern).components() {
            let name = part.as_os_str().to_string_lossy();
            if name.contains(['*', '?']) {
                let inside = found.iter().flat_map(|folder| listed(folder, &name));
                found = inside.collect();
            } else {
                found.iter_mut().for_each(|path| path.push(part));
                found.retain(|path| path.exists());
            }
            if found.len() > MATCHES_MAX {
                return Err(format!("{pattern} names more than {MATCHES_MAX} files"));
            }
        }
        found.sort();
        Ok(found
            .into_iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect())
    }
}

/// What a folder holds under names that fit a pattern; nothing if it is no folder.
fn listed(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let place = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let fits = |name: &String| !name.starts_with('.') && fits_pattern(pattern, name);
    names.filter(fits).map(|name| folder.join(name)).collect()
}
