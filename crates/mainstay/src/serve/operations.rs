//! What is done to the program itself while it is at work: backups, and putting another catalog in force.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_alert::shadow::{CutOf, without_route};
use mainstay_catalog::Catalog;
use mainstay_catalog::plan::plan;
use mainstay_change::ChangeCommand;
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_journal::StoredJournal;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{Actor, Scope};
use mainstay_plane::signing::KEY_FILE;
use mainstay_plane::{ApplyError, Command, Telemetry};
use mainstay_web::view::{Applied, BackupMade};
use mainstay_web::{Answer, Failure};

use super::configured::load_catalog;
use super::{Judging, LiveChannels, LivePlane, channel_options, environment};
use crate::adopt::alertmanager::settings;
use crate::backup::manifest::Manifest;
use crate::check::counted;
use crate::console::Operations;

/// Operations on one data directory and one catalog directory.
pub(super) struct DiskOperations {
    pub(super) plane: Arc<LivePlane>,
    pub(super) journal: Arc<StoredJournal>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) channels: Arc<LiveChannels>,
    /// The data directory.
    pub(super) data: PathBuf,
    /// `DATA/backups`: copies go into directories there, named by their instant.
    pub(super) backups: PathBuf,
    pub(super) catalog: PathBuf,
    pub(super) judging: Judging,
}

fn failed(what: &str, error: &dyn Display) -> Failure {
    tracing::error!(%error, "{what}");
    Failure::Unavailable {
        message: format!("{what}: {error}"),
    }
}

fn invalid(message: String) -> Failure {
    Failure::Invalid {
        message,
        help: "Run `mainstay check` on the server's catalog directory; the one in force stays.".to_owned(),
    }
}

/// How far receivers of samples and engines of others were, each in a small file that is replaced as a whole.
fn copy_places(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "place")
            && let Some(name) = path.file_name()
        {
            copy_for_owner(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// The key that signs: without it nobody could verify what comes after a restore by the key that they have.
fn copy_secret(from: &Path, to: &Path) -> std::io::Result<()> {
    copy_for_owner(&from.join(KEY_FILE), &to.join(KEY_FILE))
}

fn copy_for_owner(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut file)?;
    file.sync_all()
}

impl DiskOperations {
    /// All of it is in force, or nothing is.
    async fn put_in_force(
        &self,
        catalog: Arc<Catalog>,
        lookup: impl Fn(&str) -> Option<String>,
        mail: Option<SmtpOptions>,
    ) -> Result<(), Failure> {
        let channels = &self.channels.inner;
        let mail = channels
            .prepare_mail(mail)
            .map_err(|error| invalid(error.to_string()))?;
        let applied = self.plane.apply_catalog(catalog, lookup).await;
        applied.map_err(|error| match error {
            ApplyError::PolicyInUse(_) => Failure::Refused {
                message: error.to_string(),
                help: "Acknowledge it first, or keep the policy.".to_owned(),
            },
            error => invalid(error.to_string()),
        })?;
        channels.set_mail(mail);
        Ok(())
    }
}

impl Operations for DiskOperations {
    fn back_up(&self) -> Answer<'_, BackupMade> {
        Box::pin(async move {
            let failed = |error: &dyn Display| failed("the backup could not be made", error);
            let at = self.plane.clock().now();
            let name = at.strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
            let (to, done) = (
                self.backups.join(format!("{name}.partial")),
                self.backups.join(name),
            );
            let blocking = async |work: Box<dyn FnOnce() -> Result<(), String> + Send>| {
                let worked = tokio::task::spawn_blocking(work).await;
                worked
                    .map_err(|error| failed(&error))?
                    .map_err(|error| failed(&error))
            };
            // Samples first: alerts that the journal then has more of are told again by the next evaluation.
            let (telemetry, series, data) = (self.telemetry.clone(), to.join("series"), self.data.clone());
            blocking(Box::new(move || {
                // Nobody but the owner: keys are in it.
                let mut directory = std::fs::DirBuilder::new();
                let made = directory.recursive(true).mode(0o700).create(&series);
                made.map_err(|error| error.to_string())?;
                // Where others are, before the log that they are in: what is sent or read twice is known already.
                copy_places(&data.join("series"), &series).map_err(|error| error.to_string())?;
                telemetry.backup(&series).map_err(|error| error.to_string())
            }))
            .await?;
            let copied = self.journal.backup(&to.join("journal")).await;
            copied.map_err(|error| failed(&error))?;
            let (data, directory) = (self.data.clone(), done.clone());
            blocking(Box::new(move || {
                copy_secret(&data, &to).map_err(|error| error.to_string())?;
                Manifest::make(&to, at).map_err(|error| error.to_string())?;
                std::fs::rename(&to, &done).map_err(|error| error.to_string())?;
                let parent = done.parent().unwrap_or(&done);
                std::fs::File::open(parent)
                    .and_then(|parent| parent.sync_all())
                    .map_err(|error| error.to_string())
            }))
            .await?;
            Ok(BackupMade {
                directory: directory.display().to_string(),
                at,
            })
        })
    }

    fn apply_catalog<'a>(&'a self, who: &'a Actor) -> Answer<'a, Applied> {
        Box::pin(async move {
            // One after the other, and not in the middle of a judgement.
            let _turn = self.judging.lock().await;
            let directory = self.catalog.clone();
            let loaded = tokio::task::spawn_blocking(move || load_catalog(&directory)).await;
            let (new, judged) = loaded
                .map_err(|error| failed("the catalog could not be read", &error))?
                .map_err(|error| invalid(error.to_string()))?;
            let old = self.plane.look(|states| states.catalog.clone()).await;
            let digest = new.digest.to_string();
            if old.response.channels.telephone != new.response.channels.telephone {
                return Err(Failure::Refused {
                    message: "the new catalog names another telephone provider".to_owned(),
                    help: "That is read at the start only: restart serve.".to_owned(),
                });
            }
            let read = new.clone();
            let lookup = settings(&read, &self.catalog, environment);
            let mail = channel_options(&new.response.channels, &lookup)
                .map_err(invalid)?
                .smtp;
            let same = old.digest == new.digest;
            // Secrets and template files are no part of the digest, and files that hold secrets no part of the catalog.
            if same && old.response.alertmanager == new.response.alertmanager {
                self.put_in_force(new, &lookup, mail).await?;
                return Ok(Applied {
                    digest,
                    changes: Vec::new(),
                });
            }
            let mut changes: Vec<String> = plan(&old, &new).iter().map(ToString::to_string).collect();
            if changes.is_empty() {
                changes.push(
                    "read anew: secrets or template files of an Alertmanager's configuration".to_owned(),
                );
            }
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
            self.put_in_force(new, &lookup, mail).await?;
            let ended = self.telemetry.reconfigure(judged, now);
            self.plane.exclude().await;
            let told = self.plane.observe(&Actor::machine("telemetry"), ended).await;
            told.map_err(|error| failed("alerts of the old catalog could not be ended", &error))?;
            let command = Command::Change(ChangeCommand::Record(record));
            let recorded = self.plane.submit(who.clone(), command).await;
            recorded.map_err(|error| failed("that the catalog changed could not be recorded", &error))?;
            let lost = self.plane.look(|states| {
                let cuts = without_route(states.alerts, &states.catalog.response.routing);
                cuts.into_iter().map(|cut| cut.of.clone()).collect::<Vec<_>>()
            });
            changes.extend(lost.await.into_iter().map(|of| {
                let what = match of {
                    CutOf::Route(name) => format!("no route is called {name} now"),
                    CutOf::Receiver(name) => format!("no route tells the receiver {name} now"),
                };
                format!("{what}: that it was cut over or back has no effect, see `mainstay route list`")
            }));
            tracing::info!(digest, by = %who, "a catalog was put in force");
            Ok(Applied { digest, changes })
        })
    }
}
