//! Copies of everything that is kept, made while it is at work.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_journal::SqliteJournal;
use mainstay_plane::Telemetry;
use mainstay_web::view::BackupMade;
use mainstay_web::{Answer, Failure};

use crate::console::Backups;

/// Copies into directories under `DATA/backups`, named by their instant.
pub(super) struct DiskBackups {
    pub(super) journal: Arc<SqliteJournal>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) directory: PathBuf,
}

impl Backups for DiskBackups {
    fn make(&self, now: Timestamp) -> Answer<'_, BackupMade> {
        Box::pin(async move {
            let failed = |error: &dyn std::fmt::Display| {
                tracing::error!(%error, "a backup could not be made");
                Failure::Unavailable {
                    message: format!("the backup could not be made: {error}"),
                }
            };
            let to = self.directory.join(now.strftime("%Y%m%dT%H%M%SZ").to_string());
            // Samples first: alerts that the journal then has more of are told again by the next evaluation.
            let (telemetry, series) = (self.telemetry.clone(), to.join("series"));
            let copied = tokio::task::spawn_blocking(move || telemetry.backup(&series)).await;
            copied
                .map_err(|error| failed(&error))?
                .map_err(|error| failed(&error))?;
            self.journal
                .backup(&to.join("journal"))
                .await
                .map_err(|error| failed(&error))?;
            Ok(BackupMade {
                directory: to.display().to_string(),
                at: now,
            })
        })
    }
}
