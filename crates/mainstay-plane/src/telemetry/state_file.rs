//! What is remembered over a restart in a file beside the samples: a sealed file whose index is JSON.

use std::io::ErrorKind;
use std::path::Path;

use mainstay_segment::{Sealed, SealedWriter, SegmentError};
use serde::de::DeserializeOwned;

use super::TelemetryError;

/// A kind of such files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) magic: [u8; 8],
    pub(super) version: u32,
    /// How large a file may be.
    pub(super) max_bytes: usize,
    /// What is said where a damaged one was put aside.
    pub(super) damaged: &'static str,
}

fn failed(path: &Path, reason: &dyn std::fmt::Display) -> TelemetryError {
    TelemetryError::File {
        file: path.to_owned(),
        reason: reason.to_string(),
    }
}

impl Format {
    /// Reads the file at `path`. One that is missing, or damaged, is as an empty one; a damaged one is put aside.
    ///
    /// # Errors
    /// If there is a file that cannot be read, or that a later version wrote: it would be lost.
    pub(super) fn read<T: DeserializeOwned + Default>(&self, path: &Path) -> Result<T, TelemetryError> {
        let damage = match Sealed::open(path, self.magic, self.version, self.max_bytes as u64) {
            Ok(sealed) => match serde_json::from_slice(sealed.index()) {
                Ok(held) => return Ok(held),
                Err(error) => error.to_string(),
            },
            Err(SegmentError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(T::default());
            }
            Err(error @ SegmentError::Corrupt { .. }) => error.to_string(),
            Err(error) => return Err(failed(path, &error)),
        };
        let aside = path.with_extension("damaged");
        std::fs::rename(path, &aside).map_err(|error| failed(path, &error))?;
        tracing::error!(damage, aside = %aside.display(), "{}", self.damaged);
        Ok(T::default())
    }

    /// Puts `json` at `path`, durable and whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, path: &Path, json: &[u8]) -> Result<(), TelemetryError> {
        SealedWriter::create(path, self.magic, self.version)
            .and_then(|writer| writer.finish(json))
            .map(drop)
            .map_err(|error| failed(path, &error))
    }
}
