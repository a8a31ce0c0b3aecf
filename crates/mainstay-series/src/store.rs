//! The store itself: opening, series, consumers of the log, figures.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mainstay_kernel::Labels;
use mainstay_segment::{Lsn, SegmentError, Wal, WalOptions, remove_temporaries};

use crate::block::{self, Block};
use crate::error::SeriesError;
use crate::index::SeriesRef;
use crate::limits::{LimitsByTenant, SeriesLimits};
use crate::record;
use crate::snapshot::{self, Snapshot};
use crate::state::{NEVER_MS, State};
use crate::table::TableEntry;
use crate::tier::{self, DAY_MS};

/// The limits of a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// A sample may be this much older than the newest of its series.
    pub out_of_order_ms: i64,
    /// A sample may be this far ahead of the present.
    pub future_ms: i64,
    /// The span of one block file.
    pub block_ms: i64,
    /// How long samples are kept: files of older ones are removed.
    pub retention_ms: i64,
    /// How long records of 5 minutes are kept; not at all, if that is no longer than the samples.
    pub retention_5m_ms: i64,
    /// How long records of an hour are kept; not at all, if that is no longer than what is finer.
    pub retention_1h_ms: i64,
    /// The most series held at once.
    pub max_series: usize,
    /// The most series held at once that bear the same value of `tenant_label`, unless [`Store::limit_tenants`] says
    /// otherwise.
    pub max_tenant_series: usize,
    /// The label that names the tenant whom a series belongs to.
    pub tenant_label: String,
    /// The largest sum of the sizes of a series' label names and values.
    pub max_label_bytes: usize,
    /// How many bytes may say what was deleted of block files that are not written anew yet.
    pub max_tombstone_bytes: u64,
    /// How much log a consumer that lags ([`Store::hold`]) may keep from being dropped.
    pub max_held_wal_bytes: u64,
    /// The limits of the write-ahead log.
    pub wal: WalOptions,
}

impl Default for Options {
    /// 10 min late, 10 min ahead, 2 h blocks, 15 d of samples, 90 d and 396 d of records, a million series of 16 KiB
    /// labels, half a million a tenant, 64 MiB of deletions, 4 GiB of held log.
    fn default() -> Self {
        Self {
            out_of_order_ms: 10 * 60 * 1000,
            future_ms: 10 * 60 * 1000,
            block_ms: 2 * 60 * 60 * 1000,
            retention_ms: 15 * DAY_MS,
            retention_5m_ms: 90 * DAY_MS,
            retention_1h_ms: 396 * DAY_MS,
            max_series: 1_000_000,
            max_tenant_series: 500_000,
            tenant_label: "tenant".to_owned(),
            max_label_bytes: 16 << 10,
            max_tombstone_bytes: 64 << 20,
            max_held_wal_bytes: 4 << 30,
            wal: WalOptions::default(),
        }
    }
}

/// What opening a store found.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The write-ahead log's own account.
    pub wal: mainstay_segment::Recovery,
    /// Samples read back from the log into memory.
    pub replayed_samples: u64,
    /// Samples or records in the log that belong to no known series or do not decode: lost.
    pub orphan_records: u64,
    /// Files of blocks and tiers that are damaged and therefore not served; they are left where they are.
    pub corrupt_blocks: Vec<PathBuf>,
    /// The series index was damaged and was rebuilt from the block files and the log.
    pub index_rebuilt: bool,
    /// Everything that is damaged, in words: file, place, what is wrong.
    pub damage: Vec<String>,
}

impl Recovery {
    /// Damage of this file is told and becomes `None`; every other failure stays one.
    fn contain<T>(&mut self, path: &Path, outcome: Result<T, SeriesError>) -> Result<Option<T>, SeriesError> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damage() => {
                self.damage.push(error.in_file(path));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Figures about a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series held.
    pub series: usize,
    /// Samples in memory.
    pub head_samples: u64,
    /// What they take in memory, in bytes.
    pub head_bytes: u64,
    /// Files of blocks and tiers.
    pub blocks: usize,
    /// Samples and records in them.
    pub block_samples: u64,
    /// Their size in bytes.
    pub block_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Fsyncs of the log since the store was opened.
    pub wal_fsyncs: u64,
}

/// An embedded series store. Shared by `Arc` among any number of threads.
#[derive(Debug)]
pub struct Store {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) wal: Wal,
    state: RwLock<State>,
    limits: RwLock<Arc<LimitsByTenant>>,
    /// One flush, retention pass or backup at a time.
    maintenance: Mutex<()>,
    /// Held for as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, created if need be.
    ///
    /// # Errors
    /// If another store has the directory open, files cannot be read or written, or one is of a newer format. Damage
    /// is no error: it is contained and reported.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), SeriesError> {
        let blocks_dir = dir.join("blocks");
        fs::create_dir_all(&blocks_dir).map_err(|error| SegmentError::from_io(&blocks_dir, error))?;
        let lock = lock(&dir.join("LOCK"))?;
        remove_temporaries(dir)?;
        remove_temporaries(&blocks_dir)?;
        let tiers_dir = dir.join(tier::DIRECTORY);
        fs::create_dir_all(&tiers_dir).map_err(|error| SegmentError::from_io(&tiers_dir, error))?;
        remove_temporaries(&tiers_dir)?;
        let mut recovery = Recovery::default();
        let mut state = State {
            tenant_label: options.tenant_label.clone(),
            now_ms: NEVER_MS,
            ..State::default()
        };
        let snapshot = match Snapshot::read(&dir.join(snapshot::FILE)) {
            Err(SeriesError::Segment(SegmentError::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Snapshot::default()
            }
            outcome => match recovery.contain(&dir.join(snapshot::FILE), outcome)? {
                Some(snapshot) => snapshot,
                None => {
                    recovery.index_rebuilt = true;
                    Snapshot::default()
                }
            },
        };
        state.flushed = snapshot.flushed;
        state.holds = snapshot.holds;
        state.series.resize_with(snapshot.next_id as usize, || None);
        for (entry, newest) in snapshot.series.into_iter().zip(snapshot.newest) {
            state.insert(entry, newest);
        }
        for (id, steps) in snapshot.starts {
            state.all_steps += steps.len();
            if let Some(series) = state.get_mut(id) {
                series.know_starts(steps);
            }
        }
        let tier_files = files(&tiers_dir, tier::EXTENSION)?;
        for path in &tier_files {
            if let Some((width_ms, day)) = tier::of_name(path) {
                state.condensed(width_ms, day);
            }
        }
        for path in tier_files
            .into_iter()
            .chain(files(&blocks_dir, block::EXTENSION)?)
        {
            let opened = Block::open(&path).and_then(|block| {
                let series = if recovery.index_rebuilt {
                    block.series()?
                } else {
                    Vec::new()
                };
                Ok((block, series))
            });
            match recovery.contain(&path, opened)? {
                Some((block, series)) => {
                    for entry in series {
                        state.insert(entry, Some((block.max_ms, 0)));
                    }
                    state.now_ms = state.now_ms.max(block.max_ms);
                    if block.max_ms < state.superseded_ms(block.width_ms) {
                        state.superseded.push(path);
                    } else {
                        state.blocks.push(Arc::new(block));
                    }
                }
                None => recovery.corrupt_blocks.push(path),
            }
        }
        state.blocks.sort_by_key(|block| block.min_ms);
        state.read_tombstones(dir)?;
        let (wal, wal_recovery) = Wal::open(&dir.join("wal"), options.wal.clone(), |lsn, frame| {
            state.replay(lsn, frame, &mut recovery);
        })?;
        let lost = wal_recovery.corrupt_segments.iter().map(ToString::to_string);
        recovery.damage.extend(lost);
        recovery.wal = wal_recovery;
        recovery.orphan_records += std::mem::take(&mut state.orphans).values().sum::<u64>();
        state.finish_deletions(recovery.index_rebuilt);
        // Where the log lost its end, frames to come must not bear numbers that a consumer has passed, or that are
        // known as flushed.
        let known = state.holds.values().copied().chain([state.flushed.lsn]).max();
        wal.skip_to(known.unwrap_or_default())?;
        let store = Self {
            limits: RwLock::new(Arc::new(LimitsByTenant::of(&options))),
            dir: dir.to_path_buf(),
            options,
            wal,
            state: RwLock::new(state),
            maintenance: Mutex::new(()),
            _lock: lock,
        };
        store.keep_tombstones()?;
        Ok((store, recovery))
    }

    /// The reference of the series with these labels, which is created if there is none. A creation becomes durable
    /// with the next append.
    ///
    /// # Errors
    /// If a limit is reached, there are no labels, or the log cannot be written.
    pub fn series_ref(&self, labels: &Labels) -> Result<SeriesRef, SeriesError> {
        if let Some(id) = self.read().find(labels) {
            return Ok(SeriesRef(id));
        }
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > self.options.max_label_bytes {
            return Err(SeriesError::LabelsTooLarge {
                bytes,
                limit_bytes: self.options.max_label_bytes,
            });
        }
        if labels.is_empty() {
            return Err(SeriesError::NoLabels);
        }
        let tenant = labels.get(&self.options.tenant_label).unwrap_or_default();
        let limits = self.limits().of_tenant(tenant);
        limits.check(tenant, labels)?;
        let mut state = self.write();
        if let Some(id) = state.find(labels) {
            return Ok(SeriesRef(id));
        }
        let limit = self.options.max_series;
        if state.index.len() >= limit {
            return Err(SeriesError::SeriesLimit { limit });
        }
        let tenant_limit = limits.max_series;
        if state.tenants.get(tenant).copied().unwrap_or_default() >= tenant_limit {
            return Err(SeriesError::TenantSeriesLimit {
                tenant: tenant.to_owned(),
                limit: tenant_limit,
            });
        }
        let id = u32::try_from(state.series.len()).map_err(|_| SeriesError::SeriesLimit { limit })?;
        let lsn = self.wal.append(&record::series(id, labels, None))?;
        state.mark(lsn, i64::MIN);
        let entry = TableEntry {
            id,
            labels: Arc::new(labels.clone()),
            created_ms: None,
        };
        state.insert(entry, None);
        Ok(SeriesRef(id))
    }

    /// Puts other limits on what series tenants may make, by the value of the tenant label. Series that are there stay.
    pub fn limit_tenants(&self, default: SeriesLimits, tenants: BTreeMap<String, SeriesLimits>) {
        let limits = Arc::new(LimitsByTenant::new(default, tenants));
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn limits(&self) -> Arc<LimitsByTenant> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The labels of a series.
    #[must_use]
    pub fn labels(&self, series: SeriesRef) -> Option<Arc<Labels>> {
        self.read().get(series.0).map(|series| Arc::clone(&series.labels))
    }

    /// Registers a consumer of the log, or says how far it has come: frames after `passed` are kept for it, across
    /// restarts, up to the limit for held log. Call it with [`Lsn::ZERO`] before the first append to miss nothing.
    ///
    /// # Errors
    /// If `passed` is ahead of the log (whose end was lost) and the log cannot be moved on.
    pub fn hold(&self, consumer: &str, passed: Lsn) -> Result<(), SeriesError> {
        self.wal.skip_to(passed)?;
        self.write().holds.insert(consumer.to_owned(), passed);
        Ok(())
    }

    /// Forgets a consumer of the log.
    pub fn release(&self, consumer: &str) {
        self.write().holds.remove(consumer);
    }

    /// How far the registered consumers of the log have come.
    #[must_use]
    pub fn holds(&self) -> BTreeMap<String, Lsn> {
        self.read().holds.clone()
    }

    /// The limits it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The position of the last frame in the log.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.wal.last_lsn()
    }

    /// How many series each tenant has, by its name; "" of those that name none.
    #[must_use]
    pub fn tenants(&self) -> BTreeMap<String, usize> {
        self.read().tenants.clone()
    }

    /// Figures about the store. O(series).
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.read();
        let mut stats = Stats {
            series: state.index.len(),
            blocks: state.blocks.len(),
            wal_bytes: self.wal.bytes(),
            wal_fsyncs: self.wal.fsyncs(),
            ..Stats::default()
        };
        let frozen = state.frozen.iter().flat_map(|freeze| freeze.samples.values());
        for samples in state
            .series
            .iter()
            .flatten()
            .map(|series| &series.head)
            .chain(frozen)
        {
            stats.head_samples += samples.len() as u64;
            stats.head_bytes += samples.bytes() as u64;
        }
        for block in &state.blocks {
            stats.block_samples += block.samples;
            stats.block_bytes += block.file_bytes;
        }
        stats
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn maintaining(&self) -> MutexGuard<'_, ()> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(path: &Path) -> Result<File, SeriesError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| SegmentError::from_io(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SeriesError::Locked {
            path: path.to_path_buf(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(SegmentError::from_io(path, error).into()),
    }
}

fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, SeriesError> {
    let at = |error| SegmentError::from_io(dir, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
