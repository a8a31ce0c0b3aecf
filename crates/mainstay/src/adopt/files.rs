//! Files that are made, never replaced.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Why files are not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// One is there already.
    #[error("{0} is there already: nothing was written; move it away or name another directory")]
    There(PathBuf),
    /// It cannot be written.
    #[error("{path}: {source}")]
    Unwritable {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes files below a directory, the directory too. If one of them is there, none is made.
///
/// # Errors
/// If one is there, or one cannot be written.
pub(crate) fn make(directory: &Path, files: &[(String, String)]) -> Result<(), FilesError> {
    if let Some(there) = files
        .iter()
        .map(|(name, _)| directory.join(name))
        .find(|path| path.exists())
    {
        return Err(FilesError::There(there));
    }
    for (name, text) in files {
        let path = directory.join(name);
        let write = || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|source| FilesError::Unwritable {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}
