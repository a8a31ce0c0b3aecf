//! Replacing a file so that a reader, or a restart, sees the old content or the new and nothing between.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{At, SegmentError};

const TEMPORARY: &str = "tmp";

/// Writes `bytes` to `path`: temporary file beside it, fsync, rename, fsync of the directory.
///
/// # Errors
/// If any step fails; the old content of `path` then still stands.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), SegmentError> {
    let mut file = Replacement::begin(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A file on its way to `path`: written beside it, and put there only once it is whole and durable.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once it is in place.
    file: Option<BufWriter<File>>,
}

impl Replacement {
    pub(crate) fn begin(path: &Path) -> Result<Self, SegmentError> {
        let temporary = temporary_of(path);
        let file = File::create(&temporary).at(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            file: Some(BufWriter::with_capacity(64 << 10, file)),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).at(&self.path),
            None => Ok(()),
        }
    }

    /// Puts it in place: fsync, rename, fsync of the directory.
    pub(crate) fn finish(mut self) -> Result<(), SegmentError> {
        if let Some(mut file) = self.file.take() {
            let durable = file.flush().and_then(|()| file.get_ref().sync_all());
            if let Err(source) = durable.and_then(|()| fs::rename(&self.temporary, &self.path)) {
                self.file = Some(file);
                return Err(SegmentError::from_io(&self.path, source));
            }
        }
        sync_dir(parent_of(&self.path))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Best effort: what stays behind is removed by `remove_temporaries` at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes creations, renames and removals in `dir` durable.
///
/// # Errors
/// If the directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> Result<(), SegmentError> {
    File::open(dir).and_then(|dir| dir.sync_all()).at(dir)
}

/// Removes what interrupted atomic writes left in `dir` and says how many files that were.
///
/// # Errors
/// If the directory cannot be read or a file cannot be removed.
pub fn remove_temporaries(dir: &Path) -> Result<usize, SegmentError> {
    let mut removed = 0;
    for path in files_in(dir)? {
        if path.extension().is_some_and(|extension| extension == TEMPORARY) {
            fs::remove_file(&path).at(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Gives every file of `from` that `is_immutable` accepts a second name in `to` (which is created), without copying
/// its bytes; across file systems it is copied. Such a backup is complete only if the chosen files never change
/// again.
///
/// # Errors
/// If a directory cannot be read or created, or a file can be neither linked nor copied.
pub fn backup_by_link(
    from: &Path,
    to: &Path,
    is_immutable: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, SegmentError> {
    fs::create_dir_all(to).at(to)?;
    let mut made = Vec::new();
    for path in files_in(from)? {
        let Some(name) = path.file_name().filter(|_| is_immutable(&path)) else {
            continue;
        };
        let target = to.join(name);
        match fs::hard_link(&path, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(&path, &target).at(&target)?;
                File::open(&target).and_then(|file| file.sync_all()).at(&target)?;
            }
            Err(error) => return Err(SegmentError::from_io(&target, error)),
        }
        made.push(target);
    }
    sync_dir(to)?;
    Ok(made)
}

/// The plain files of `dir`, in order of name.
pub(crate) fn files_in(dir: &Path) -> Result<Vec<PathBuf>, SegmentError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).at(dir)? {
        let entry = entry.at(dir)?;
        if entry.file_type().at(&entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(TEMPORARY);
    path.with_file_name(name)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
