//! `mainstay restore`: everything is checked beside its place, and put there at once.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_change::ChangeCommand;
use mainstay_journal::verify::{Chain, verify};
use mainstay_journal::{JournalError, Partition, PostgresJournal, SqliteJournal};
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{Actor, Clock as _, EventId, Scope};
use mainstay_plane::{Command, PlaneError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::manifest::{Entry, Manifest, ManifestError};
use crate::clock::{SystemClock, SystemEntropy};
use crate::database::DatabaseUrl;
use crate::exit::Exit;
use crate::output::{self, Form};

/// Says in a restored directory what it was restored from, until the next start has written it into the journal.
const NOTE_FILE: &str = "restored.json";

/// Options of `mainstay restore`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The backup: the directory that `mainstay backup` printed, or a copy of it.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The data directory to be: empty, or not there yet.
    #[arg(
        long,
        env = "MAINSTAY_DATA",
        default_value = "mainstay-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// Put the journal into this empty database instead: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[arg(
        long,
        env = "MAINSTAY_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<DatabaseUrl>,
    /// Check the backup, and put nothing in place.
    #[arg(long)]
    dry_run: bool,
    /// How to print what was restored.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("the journal of the backup is damaged: {0}")]
    Chain(JournalError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("a server runs on {0}: a restore goes into an empty directory")]
    Live(String),
    #[error("{0} is not empty: a restore goes into an empty directory, and overwrites nothing")]
    NotEmpty(String),
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
}

impl RestoreError {
    /// Whether the backup itself is to blame.
    fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Chain(_) | Self::Manifest(ManifestError::Damaged { .. } | ManifestError::Strange { .. })
        )
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> RestoreError + use<> {
    let path = path.display().to_string();
    move |source| RestoreError::Io { path, source }
}

/// What was restored, until it is in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    backup_at: Timestamp,
    restored_at: Timestamp,
    version: String,
}

/// A directory in which a backup is looked at, which goes unless it becomes the place.
struct Staging(Option<PathBuf>);

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            // Best effort: what stays is named after what it is.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

impl Staging {
    fn beside(place: &Path) -> Result<Self, RestoreError> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        Self::make(place.with_file_name(format!(".{name}.restoring-{}", std::process::id())))
    }

    /// Where nothing is put in place: the place may be in use, and the backup where nothing can be written.
    fn elsewhere() -> Result<Self, RestoreError> {
        let name = format!(
            "mainstay-restoring-{}",
            EventId::generate(SystemClock.now(), &SystemEntropy)
        );
        Self::make(std::env::temp_dir().join(name))
    }

    fn make(dir: PathBuf) -> Result<Self, RestoreError> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            std::fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(failed(&dir))?;
        Ok(Self(Some(dir)))
    }

    fn dir(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// It becomes the place, at once.
    fn put(mut self, place: &Path) -> Result<(), RestoreError> {
        let dir = self.dir().to_owned();
        // Over an empty directory this is one step, too.
        std::fs::rename(&dir, place).map_err(failed(place))?;
        self.0 = None;
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(failed(parent))
    }
}

/// Refuses a place where anything is.
fn check_place(place: &Path) -> Result<(), RestoreError> {
    let shown = || place.display().to_string();
    match std::fs::read_dir(place) {
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(place)(error)),
    }
    let locks = [
        place.join("journal").join(mainstay_journal::sqlite::LOCK_FILE),
        place.join("replica"),
    ];
    let held = |lock: &PathBuf| File::open(lock).is_ok_and(|file| file.try_lock().is_err());
    match locks.iter().any(held) {
        true => Err(RestoreError::Live(shown())),
        false => Err(RestoreError::NotEmpty(shown())),
    }
}

struct Restored {
    manifest: Manifest,
    chains: BTreeMap<Partition, Chain>,
    doubted: u64,
}

/// Restores, and says of which instant.
pub(crate) fn run(options: &Options) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("mainstay restore: {error}");
            return Exit::Failure;
        }
    };
    match runtime.block_on(restore(options)) {
        Ok(restored) => {
            tell(options, &restored);
            Exit::Ok
        }
        Err(error) => {
            anstream::eprintln!("mainstay restore: {error}");
            anstream::eprintln!("Nothing was put in place.");
            match error.is_damage() {
                true => Exit::Problems,
                false => Exit::Failure,
            }
        }
    }
}

fn tell(options: &Options, restored: &Restored) {
    let Restored {
        manifest,
        chains,
        doubted,
    } = restored;
    let events: u64 = chains.values().map(|chain| chain.events).sum();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    if options.output == Form::Json {
        output::json(&json!({
            "at": manifest.at,
            "made_by": manifest.version,
            "directory": options.data.display().to_string(),
            "dry_run": options.dry_run,
            "files": manifest.files.len(),
            "bytes": bytes,
            "chains": chains.len(),
            "events": events,
            "waiting_effects": doubted,
        }));
        return;
    }
    let (files, chains) = (manifest.files.len(), chains.len());
    anstream::println!(
        "The backup has the state of {}: {files} files and {chains} chains of {events} events are whole.",
        manifest.at
    );
    if options.dry_run {
        anstream::eprintln!("Nothing was put in place.");
        return;
    }
    anstream::println!(
        "It is in {}. What came after that instant is gone.",
        options.data.display()
    );
    if *doubted > 0 {
        anstream::println!(
            "{doubted} messages were on their way: they are sent again, and say that they may be duplicates."
        );
    }
}

async fn restore(options: &Options) -> Result<Restored, RestoreError> {
    let manifest = Manifest::read(&options.backup)?;
    let staging = match options.dry_run {
        true => Staging::elsewhere()?,
        false => {
            check_place(&options.data)?;
            Staging::beside(&options.data)?
        }
    };
    let is_journal = |entry: &&Entry| entry.path.starts_with("journal/");
    for entry in &manifest.files {
        // To look at the journal it has to be opened, and a backup may be where nothing can be written.
        let to = (!options.dry_run || is_journal(&entry)).then_some(staging.dir());
        entry.check(&options.backup, to)?;
    }
    let journal_dir = staging.dir().join("journal");
    let database = journal_dir.join(mainstay_journal::sqlite::DATABASE_FILE);
    if !database.is_file() {
        return Err(ManifestError::Strange {
            path: options.backup.display().to_string(),
            reason: "it has no journal".to_owned(),
        }
        .into());
    }
    let journal = SqliteJournal::open(&journal_dir, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    let chains = verify(&journal).await.map_err(RestoreError::Chain)?;
    let doubted = journal.doubt_waiting().await?;
    let restored = Restored {
        manifest,
        chains,
        doubted,
    };
    if options.dry_run {
        journal.close().await;
        return Ok(restored);
    }
    if let Some(url) = &options.database_url {
        let target =
            PostgresJournal::open(url.secret(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
        target.copy_from(&journal).await?;
        target.close().await;
    }
    journal.close().await;
    if options.database_url.is_some() {
        std::fs::remove_dir_all(&journal_dir).map_err(failed(&journal_dir))?;
    }
    let note = Note {
        backup_at: restored.manifest.at,
        restored_at: SystemClock.now(),
        version: restored.manifest.version.clone(),
    };
    let path = staging.dir().join(NOTE_FILE);
    let text = serde_json::to_vec(&note).map_err(|error| failed(&path)(error.into()))?;
    let mut open = OpenOptions::new();
    let mut write = || {
        let mut file = open.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(failed(&path))?;
    sync_below(staging.dir()).map_err(failed(staging.dir()))?;
    staging.put(&options.data)?;
    Ok(restored)
}

/// Makes the names in every directory durable.
fn sync_below(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        }
    }
    File::open(dir)?.sync_all()
}

/// The first start after a restore writes into the journal what was restored, once.
///
/// # Errors
/// If the journal fails.
pub(crate) async fn take_note(
    data: &Path,
    submit: impl AsyncFnOnce(Actor, Command) -> Result<(), PlaneError>,
) -> Result<(), PlaneError> {
    let path = data.join(NOTE_FILE);
    let Ok(bytes) = std::fs::read(&path) else {
        return Ok(());
    };
    let note: Note = match serde_json::from_slice(&bytes) {
        Ok(note) => note,
        Err(error) => {
            tracing::error!(%error, file = %path.display(), "what was restored is not understood");
            return Ok(());
        }
    };
    let Note {
        backup_at,
        restored_at,
        version,
    } = note;
    let record = ChangeRecorded {
        id: format!("restore@{restored_at}"),
        source: "/mainstay/restore".to_owned(),
        kind: ChangeKind::Configuration,
        scope: Scope::platform(),
        from_version: None,
        to_version: Some(version),
        summary: format!(
            "Mainstay was restored from its backup of {backup_at}: what it was told and did between then and {restored_at} is gone"
        ),
        at: restored_at,
        cause: None,
    };
    match submit(
        Actor::machine("restore"),
        Command::Change(ChangeCommand::Record(record)),
    )
    .await
    {
        // It was written before a crash kept the note from being removed.
        Ok(()) | Err(PlaneError::Refused(_)) => {}
        Err(fatal) => return Err(fatal),
    }
    tracing::warn!(%backup_at, %restored_at, "restored from a backup");
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::error!(%error, "the note of the restore could not be removed");
    }
    Ok(())
}
