//! What the watchdog knows, in one file, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::State;

/// The form of the file that this program writes.
const VERSION: u32 = 1;
/// The largest file that is read.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Why it cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path} is in use by another watchdog")]
    InUse { path: String },
    #[error("{path} cannot be understood ({reason}): move it away, and the watchdog begins anew")]
    Strange { path: String, reason: String },
    #[error("{path} is of version {found}; this program reads {VERSION}")]
    Version { path: String, found: u32 },
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    state: State,
}

/// The file, and the lock of its directory.
pub(super) struct Kept {
    path: PathBuf,
    _lock: File,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.display().to_string();
    move |source| FileError::Io { path, source }
}

impl Kept {
    /// Takes the directory, and reads what it holds.
    pub(super) fn open(dir: &Path) -> Result<(Self, State), FileError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(failed(dir))?;
        let lock_path = dir.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(&lock_path).map_err(failed(&lock_path))?;
        lock.try_lock().map_err(|_| FileError::InUse {
            path: dir.display().to_string(),
        })?;
        let kept = Self {
            path: dir.join("watchdog.json"),
            _lock: lock,
        };
        let state = kept.read()?;
        Ok((kept, state))
    }

    fn read(&self) -> Result<State, FileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed(&self.path))?;
        let path = || self.path.display().to_string();
        let strange = |error: serde_json::Error| FileError::Strange {
            path: path(),
            reason: error.to_string(),
        };
        // A later version may have other keys: its number is asked for first.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(strange)?;
        let found = value["version"]
            .as_u64()
            .and_then(|found| u32::try_from(found).ok());
        match found {
            Some(VERSION) | None => {}
            Some(found) => return Err(FileError::Version { path: path(), found }),
        }
        let written: Written = serde_json::from_value(value).map_err(strange)?;
        Ok(written.state)
    }

    /// Writes it; when this returns, it is on the disk.
    pub(super) fn write(&self, state: &State) -> Result<(), FileError> {
        let temporary = self.path.with_extension("tmp");
        let bytes = serde_json::to_vec(&Written {
            version: VERSION,
            state: state.clone(),
        });
        let bytes = bytes.map_err(|error| failed(&self.path)(error.into()))?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let write = || {
            let mut file = options.open(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            match self.path.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(failed(&self.path))
    }
}
