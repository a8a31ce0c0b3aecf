//! What is in a backup: every file with its length and its SHA-256, in a file that is written last. A directory without
//! it is no backup.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_kernel::{Digest, Digesting};
use serde::{Deserialize, Serialize};

/// Its name, in the backup's directory.
pub(crate) const MANIFEST_FILE: &str = "backup.json";
/// The form of a backup that this program writes, and the newest that it restores.
const FORMAT: u32 = 1;
/// The largest manifest that is read.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;
const PIECE_BYTES: usize = 1 << 20;

/// The contents of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The form of the backup.
    pub(crate) format: u32,
    /// The release that made it.
    pub(crate) version: String,
    /// The instant whose state it has.
    pub(crate) at: Timestamp,
    /// Every file but this one, in order of path.
    pub(crate) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Below the backup's directory, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

/// Why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{0} is no backup, or one that was not finished: it has no {MANIFEST_FILE}")]
    None(String),
    #[error("{path} cannot be understood: {reason}")]
    Strange { path: String, reason: String },
    #[error(
        "{path} is a backup of form {found}, made by mainstay {version}; this program restores up to form {FORMAT}: use that release or a later one"
    )]
    Newer {
        path: String,
        found: u64,
        version: String,
    },
    #[error("{path} is not as it was when the backup was made: {reason}")]
    Damaged { path: String, reason: String },
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ManifestError + use<> {
    let path = path.display().to_string();
    move |source| ManifestError::Io { path, source }
}

/// Reads all of `from`, with its length and digest; writes it to `to` on the way, if that is wanted.
fn read_through(from: &mut impl Read, mut to: Option<&mut File>) -> std::io::Result<(u64, Digest)> {
    let (mut digesting, mut total) = (Digesting::default(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Ok((total, digesting.finish()));
        }
        digesting.update(&piece[..count]);
        total += count as u64;
        if let Some(to) = &mut to {
            to.write_all(&piece[..count])?;
        }
    }
}

/// Every plain file below `dir`, as paths relative to it.
fn files_below(dir: &Path, within: &str, found: &mut Vec<String>) -> Result<(), ManifestError> {
    let here = dir.join(within);
    for entry in std::fs::read_dir(&here).map_err(failed(&here))? {
        let entry = entry.map_err(failed(&here))?;
        let kind = entry.file_type().map_err(failed(&entry.path()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match within {
            "" => name,
            within => format!("{within}/{name}"),
        };
        if kind.is_dir() {
            files_below(dir, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

impl Manifest {
    /// Reads every file of a finished copy in `dir`, and writes down what they are.
    pub(crate) fn make(dir: &Path, at: Timestamp) -> Result<Self, ManifestError> {
        let mut paths = Vec::new();
        files_below(dir, "", &mut paths)?;
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let whole = dir.join(&path);
            let mut file = File::open(&whole).map_err(failed(&whole))?;
            let (bytes, sha256) = read_through(&mut file, None).map_err(failed(&whole))?;
            files.push(Entry { path, bytes, sha256 });
        }
        let manifest = Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at,
            files,
        };
        let path = dir.join(MANIFEST_FILE);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(&path)(error.into()))?;
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&text)?;
            file.sync_all()?;
            File::open(dir)?.sync_all()
        };
        write().map_err(failed(&path))?;
        Ok(manifest)
    }

    /// Reads what a backup is said to hold.
    pub(crate) fn read(dir: &Path) -> Result<Self, ManifestError> {
        let path = dir.join(MANIFEST_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ManifestError::None(dir.display().to_string()));
            }
            Err(error) => return Err(failed(&path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed(&path))?;
        let strange = |reason: String| ManifestError::Strange {
            path: path.display().to_string(),
            reason,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| strange(error.to_string()))?;
        // A later form may have other keys: its number is asked for first.
        if let Some(found) = value["format"]
            .as_u64()
            .filter(|found| *found > u64::from(FORMAT))
        {
            return Err(ManifestError::Newer {
                path: dir.display().to_string(),
                found,
                version: value["version"]
                    .as_str()
                    .unwrap_or("of another release")
                    .to_owned(),
            });
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| strange(error.to_string()))?;
        for entry in &manifest.files {
            let mut parts = entry.path.split('/');
            if parts.any(|part| part.is_empty() || part == "." || part == "..") || entry.path.contains('\\') {
                return Err(strange(format!("it names {:?}", entry.path)));
            }
        }
        Ok(manifest)
    }
}

impl Entry {
    /// Where it is below `dir`.
    pub(crate) fn below(&self, dir: &Path) -> PathBuf {
        dir.join(&self.path)
    }

    /// Reads it in `from`, and writes it to `to` if that is wanted, durable, for its owner alone.
    ///
    /// # Errors
    /// If it is not what the manifest says.
    pub(crate) fn check(&self, from: &Path, to: Option<&Path>) -> Result<(), ManifestError> {
        let source = self.below(from);
        let damaged = |reason: String| ManifestError::Damaged {
            path: source.display().to_string(),
            reason,
        };
        let mut file = match File::open(&source) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("it is missing".to_owned()));
            }
            Err(error) => return Err(failed(&source)(error)),
        };
        let mut copy = match to {
            Some(to) => {
                let target = self.below(to);
                if let Some(parent) = target.parent() {
                    std::fs::create_dir_all(parent).map_err(failed(parent))?;
                }
                let mut options = OpenOptions::new();
                let options = options.write(true).create_new(true).mode(0o600);
                Some(options.open(&target).map_err(failed(&target))?)
            }
            None => None,
        };
        let (bytes, sha256) = read_through(&mut file, copy.as_mut()).map_err(failed(&source))?;
        if bytes != self.bytes {
            return Err(damaged(format!("it has {bytes} bytes instead of {}", self.bytes)));
        }
        if sha256 != self.sha256 {
            return Err(damaged("its SHA-256 is another".to_owned()));
        }
        if let Some(copy) = copy {
            copy.sync_all().map_err(failed(&source))?;
        }
        Ok(())
    }
}
