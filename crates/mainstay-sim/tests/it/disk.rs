//! A journal in real files, whose disk loses its power.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::executor::block_on;
use mainstay_journal::{Journal as _, JournalError, Seq, SqliteJournal, sqlite};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Clock, Entropy};
use mainstay_sim::Storage;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Drives what the journal in files waits for.
pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

/// The real journal in real files. When the power goes, a write that was under way is on the disk in part: sectors of
/// before and of after, in any mixture, one of them torn. What was synced before is whole: that much a disk must hold.
///
/// Needs [`runtime`] at hand.
pub(crate) struct Disk {
    root: TempDir,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    chance: SeededEntropy,
    state: Mutex<State>,
}

struct State {
    /// Processes one after the other each find the files in a directory of their own: the last one may still hold its.
    life: u32,
    journal: Arc<SqliteJournal>,
    /// What the next process finds, if it is not what the last one left: the files, and what must be in them.
    left: Option<(DiskImage, Seq)>,
}

/// The files of a journal at one instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskImage {
    database: Vec<u8>,
    log: Vec<u8>,
}

/// What a disk writes wholly or not at all; and now and then not even that.
const SECTOR_BYTES: usize = 512;

impl Disk {
    /// An empty disk. Where a sync costs nothing, if there is such a place: a seed syncs a thousand times.
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let root = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let root = root.expect("a directory");
        let first = life(root.path(), 0);
        let journal = block_on(SqliteJournal::open(&first, clock.clone(), entropy.clone()));
        Self {
            root,
            clock,
            entropy,
            chance: SeededEntropy::new(seed ^ 0x0009_0e57),
            state: Mutex::new(State {
                life: 0,
                journal: Arc::new(journal.expect("it opens")),
                left: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of two states of the files between which the power went.
    fn between(&self, before: &DiskImage, after: &DiskImage) -> DiskImage {
        // The log is synced before anything of it is copied into the database.
        if before.database != after.database && self.chance.below(2) == 0 {
            return DiskImage {
                database: self.torn(&before.database, &after.database),
                log: after.log.clone(),
            };
        }
        DiskImage {
            database: before.database.clone(),
            log: self.torn(&before.log, &after.log),
        }
    }

    fn torn(&self, before: &[u8], after: &[u8]) -> Vec<u8> {
        let (least, most) = (before.len().min(after.len()), before.len().max(after.len()));
        let mut left = after.to_vec();
        left.resize(least + self.below(most - least + 1), 0);
        // A disk that got to nothing, to all, or to so many of a hundred sectors.
        let missed = [0, 10, 50, 90, 100][self.below(5)];
        let half = self.below(left.len() + 1);
        for (number, sector) in left.chunks_mut(SECTOR_BYTES).enumerate() {
            let at = number * SECTOR_BYTES;
            let from = match self.chance.below(100) < missed {
                true => 0,
                false if (at..at + sector.len()).contains(&half) => half - at,
                false => continue,
            };
            for (offset, byte) in sector.iter_mut().enumerate().skip(from) {
                *byte = before.get(at + offset).copied().unwrap_or(0);
            }
        }
        left
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap_or(0)
    }
}

fn life(root: &Path, number: u32) -> PathBuf {
    root.join(format!("life-{number}"))
}

fn log(directory: &Path) -> PathBuf {
    directory.join(format!("{}-wal", sqlite::DATABASE_FILE))
}

fn read(directory: &Path) -> DiskImage {
    DiskImage {
        database: fs::read(directory.join(sqlite::DATABASE_FILE)).expect("it is there"),
        log: match fs::read(log(directory)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.expect("it can be read"),
        },
    }
}

fn write(directory: &Path, image: &DiskImage) {
    fs::create_dir_all(directory).expect("a directory");
    fs::write(directory.join(sqlite::DATABASE_FILE), &image.database).expect("written");
    fs::write(log(directory), &image.log).expect("written");
}

impl Storage for Disk {
    type Journal = SqliteJournal;
    type Image = DiskImage;

    fn journal(&self) -> Arc<SqliteJournal> {
        self.state().journal.clone()
    }

    async fn reopen(&self) -> Result<(), JournalError> {
        let (last, left) = {
            let mut state = self.state();
            state.life += 1;
            (state.life - 1, state.left.take())
        };
        let (old, new) = (life(self.root.path(), last), life(self.root.path(), last + 1));
        let (files, acknowledged) = match left {
            Some(left) => left,
            None => (read(&old), self.journal().head().await?),
        };
        write(&new, &files);
        let journal = SqliteJournal::open(&new, self.clock.clone(), self.entropy.clone()).await?;
        let found = journal.head().await?;
        assert!(
            found >= acknowledged,
            "{acknowledged:?} was acknowledged, {found:?} is there"
        );
        self.state().journal = Arc::new(journal);
        fs::remove_dir_all(&old).expect("it was there");
        Ok(())
    }

    async fn cut_power<T>(&self, write: impl Future<Output = Result<T, JournalError>> + Send) {
        let directory = life(self.root.path(), self.state().life);
        let acknowledged = self.journal().head().await.expect("it lives");
        let before = read(&directory);
        // Nobody is there any more to hear how it went.
        let _ = write.await;
        let left = self.between(&before, &read(&directory));
        self.state().left = Some((left, acknowledged));
    }

    fn image(&self) -> DiskImage {
        read(&life(self.root.path(), self.state().life))
    }

    fn fall_back(&self, image: DiskImage) {
        self.state().left = Some((image, Seq(0)));
    }
}
