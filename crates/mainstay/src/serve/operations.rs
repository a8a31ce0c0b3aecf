//! What is done to the program itself while it is at work: backups, and putting another catalog in force.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_catalog::plan::plan;
use mainstay_change::ChangeCommand;
use mainstay_journal::StoredJournal;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{Actor, Scope};
use mainstay_plane::{Command, Telemetry};
use mainstay_web::view::{Applied, BackupMade};
use mainstay_web::{Answer, Failure};

use super::{LivePlane, environment, load_catalog};
use crate::adopt::alertmanager::settings;
use crate::check::counted;
use crate::console::Operations;

/// Operations on one data directory and one catalog directory.
pub(super) struct DiskOperations {
    pub(super) plane: Arc<LivePlane>,
    pub(super) journal: Arc<StoredJournal>,
    pub(super) telemetry: Arc<Telemetry>,
    /// `DATA/backups`: copies go into directories there, named by their instant.
    pub(super) backups: PathBuf,
    pub(super) catalog: PathBuf,
}

fn failed(what: &str, error: &dyn Display) -> Failure {
    tracing::error!(%error, "{what}");
    Failure::Unavailable {
        message: format!("{what}: {error}"),
    }
}

impl Operations for DiskOperations {
    fn back_up(&self) -> Answer<'_, BackupMade> {
        Box::pin(async move {
            let failed = |error: &dyn Display| failed("the backup could not be made", error);
            let at = self.plane.clock().now();
            let to = self.backups.join(at.strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
            // Samples first: alerts that the journal then has more of are told again by the next evaluation.
            let (telemetry, series) = (self.telemetry.clone(), to.join("series"));
            let copied = tokio::task::spawn_blocking(move || telemetry.backup(&series)).await;
            copied
                .map_err(|error| failed(&error))?
                .map_err(|error| failed(&error))?;
            let copied = self.journal.backup(&to.join("journal")).await;
            copied.map_err(|error| failed(&error))?;
            Ok(BackupMade {
                directory: to.display().to_string(),
                at,
            })
        })
    }

    fn apply_catalog<'a>(&'a self, who: &'a Actor) -> Answer<'a, Applied> {
        Box::pin(async move {
            let invalid = |message: String| Failure::Invalid {
                message,
                help: "Run `mainstay check` on the server's catalog directory; the one in force stays."
                    .to_owned(),
            };
            let directory = self.catalog.clone();
            let loaded = tokio::task::spawn_blocking(move || load_catalog(&directory)).await;
            let (new, judged) = loaded
                .map_err(|error| failed("the catalog could not be read", &error))?
                .map_err(|error| invalid(error.to_string()))?;
            let old = self.plane.look(|states| states.catalog.clone()).await;
            let digest = new.digest.to_string();
            // Secrets and template files are no part of the digest.
            if old.digest == new.digest && old.response.alertmanager == new.response.alertmanager {
                return Ok(Applied {
                    digest,
                    changes: Vec::new(),
                });
            }
            if old.response.channels.smtp != new.response.channels.smtp {
                return Err(Failure::Refused {
                    message: "the new catalog names another mail server".to_owned(),
                    help: "That is read at the start only: restart serve.".to_owned(),
                });
            }
            let climbing = self.plane.look(|states| {
                let policies = states.oncall.climbing().map(|page| page.policy.clone());
                policies.collect::<Vec<_>>()
            });
            let gone = |policy: &String| !new.response.policies.contains_key(policy);
            if let Some(policy) = climbing.await.into_iter().find(gone) {
                return Err(Failure::Refused {
                    message: format!(
                        "a page climbs by the escalation policy {policy:?}, which the new catalog lacks"
                    ),
                    help: "Acknowledge it first, or keep the policy.".to_owned(),
                });
            }
            let changes: Vec<String> = plan(&old, &new).iter().map(ToString::to_string).collect();
            let now = self.plane.clock().now();
            let record = ChangeRecorded {
                id: format!("{}@{now}", new.digest.short()),
                source: "/mainstay/catalog".to_owned(),
                kind: ChangeKind::Configuration,
                scope: Scope::platform(),
                from_version: Some(old.digest.short()),
                to_version: Some(new.digest.short()),
                summary: format!("catalog put in force: {}", counted(changes.len(), "change")),
                at: now,
                cause: None,
            };
            let read = new.clone();
            let lookup = settings(&read, &self.catalog, environment);
            let applied = self.plane.apply_catalog(new, lookup).await;
            applied.map_err(|error| invalid(error.to_string()))?;
            let ended = self.telemetry.reconfigure(judged, now);
            self.plane.exclude().await;
            let told = self.plane.observe(&Actor::machine("telemetry"), ended).await;
            told.map_err(|error| failed("alerts of the old catalog could not be ended", &error))?;
            let command = Command::Change(ChangeCommand::Record(record));
            let recorded = self.plane.submit(who.clone(), command).await;
            recorded.map_err(|error| failed("that the catalog changed could not be recorded", &error))?;
            tracing::info!(digest, by = %who, "a catalog was put in force");
            Ok(Applied { digest, changes })
        })
    }
}
