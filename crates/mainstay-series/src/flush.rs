//! From memory to block files, and what follows: a new series index, a shorter log, retention, backup.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_segment::{Lsn, SegmentError, backup_by_link, sync_dir};

use crate::block::{self, Block, BlockWriter};
use crate::codec::Packing;
use crate::error::SeriesError;
use crate::head::{Frozen, HeadSamples, in_order};
use crate::snapshot::{self, Flushed, Snapshot};
use crate::state::{Freeze, NEVER_MS, Series, State};
use crate::store::Store;
use crate::table::TableEntry;
use crate::tier;
use crate::tombstone;

/// What a maintenance pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Block files written.
    pub blocks_written: usize,
    /// Block files that replace several smaller ones.
    pub blocks_merged: usize,
    /// Block files removed by retention.
    pub blocks_removed: usize,
    /// Files of a tier written, each for one day of finer files.
    pub days_condensed: usize,
    /// Series removed because nothing of them is held any more.
    pub series_removed: usize,
    /// Bytes of log dropped.
    pub wal_freed_bytes: u64,
    /// What is damaged, in words: file, place, what is wrong. Files of the same span are not merged then, but all that is
    /// sound is still served.
    pub damage: Vec<String>,
    /// Consumers of the log that lagged beyond the limit for held log: their frames are no longer kept.
    pub holds_broken: Vec<String>,
}

impl Store {
    /// Flushes whole spans that are old enough, applies retention and shortens the log. To be called about once a
    /// minute; does nothing when there is nothing to do. Appends and queries go on meanwhile.
    ///
    /// # Errors
    /// If files cannot be written or removed. No sample is lost: the pass is repeated by the next call.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained, SeriesError> {
        // Late samples should still find their span in memory: half a span, as Prometheus, or the window.
        let grace_ms = self.options.out_of_order_ms.max(self.options.block_ms / 2);
        let boundary_ms = self.span_start(now_ms.saturating_sub(grace_ms));
        let mut done = Maintained::default();
        let _one_at_a_time = self.maintaining();
        self.flush_locked(boundary_ms, &mut done)?;
        self.condense_locked(now_ms, boundary_ms, &mut done)?;
        self.retain_locked(now_ms, &mut done)?;
        self.compact_locked(boundary_ms, &mut done)?;
        self.keep_tombstones()?;
        Ok(done)
    }

    /// Flushes every sample older than `boundary_ms` to block files.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub fn flush(&self, boundary_ms: i64) -> Result<Maintained, SeriesError> {
        let mut done = Maintained::default();
        let _one_at_a_time = self.maintaining();
        self.flush_locked(boundary_ms, &mut done)?;
        Ok(done)
    }

    /// A consistent copy of the store as of now in `to`, which must not hold one: immutable files by hard link.
    ///
    /// # Errors
    /// If a file cannot be linked or written.
    pub fn backup(&self, to: &Path) -> Result<(), SeriesError> {
        self.copy(to, true)
    }

    /// A copy as [`Store::backup`] makes one, in the store's own directory `snapshots/NAME`; without the samples that are
    /// not in block files yet, if the head is to be skipped. Gives its path.
    ///
    /// # Errors
    /// If a file cannot be linked or written.
    pub fn snapshot(&self, name: &str, skip_head: bool) -> Result<PathBuf, SeriesError> {
        let to = self.dir.join("snapshots").join(name);
        self.copy(&to, !skip_head)?;
        Ok(to)
    }

    fn copy(&self, to: &Path, with_log: bool) -> Result<(), SeriesError> {
        let _one_at_a_time = self.maintaining();
        self.write_snapshot()?;
        self.keep_tombstones()?;
        fs::create_dir_all(to).map_err(|error| SegmentError::from_io(to, error))?;
        backup_by_link(&self.dir.join("blocks"), &to.join("blocks"), |path| {
            path.extension()
                .is_some_and(|extension| extension == block::EXTENSION)
        })?;
        let tiers = tier::DIRECTORY;
        backup_by_link(&self.dir.join(tiers), &to.join(tiers), |path| {
            path.extension()
                .is_some_and(|extension| extension == tier::EXTENSION)
        })?;
        backup_by_link(&self.dir, to, |path| {
            path.ends_with(snapshot::FILE) || path.ends_with(tombstone::FILE)
        })?;
        if with_log {
            self.wal.backup(&to.join("wal"))?;
        }
        sync_dir(to)?;
        Ok(())
    }

    pub(crate) fn span_start(&self, t_ms: i64) -> i64 {
        t_ms - t_ms.rem_euclid(self.options.block_ms.max(1))
    }

    fn flush_locked(&self, boundary_ms: i64, done: &mut Maintained) -> Result<(), SeriesError> {
        // What an earlier pass could not write comes first.
        let retry = self.read().frozen.is_some();
        if retry {
            self.write_frozen(done)?;
        }
        if self.freeze(boundary_ms) {
            self.write_frozen(done)?;
        }
        Ok(())
    }

    /// Takes what is older than the boundary out of the head. Says whether there was anything.
    fn freeze(&self, boundary_ms: i64) -> bool {
        let mut state = self.write();
        let mut frozen = Frozen::new();
        for (id, series) in (0..).zip(&mut state.series) {
            let Some(series) = series else { continue };
            if series.head.min_ms().is_some_and(|min_ms| min_ms < boundary_ms) {
                frozen.insert(id, series.head.take_before(boundary_ms));
            }
        }
        if frozen.is_empty() {
            return false;
        }
        let flushed = Flushed {
            before_ms: boundary_ms,
            lsn: self.wal.last_lsn(),
        };
        state.frozen = Some(Freeze {
            samples: Arc::new(frozen),
            flushed,
        });
        true
    }

    fn write_frozen(&self, done: &mut Maintained) -> Result<(), SeriesError> {
        let (freeze, mut number) = {
            let state = self.read();
            let Some(freeze) = state.frozen.clone() else {
                return Ok(());
            };
            (freeze, self.next_block_number(&state))
        };
        // One file per span, so that retention can drop whole files.
        let mut writers: BTreeMap<i64, BlockWriter> = BTreeMap::new();
        for (id, held) in freeze.samples.iter() {
            let (mut samples, mut histograms) = (Vec::with_capacity(held.len()), Vec::new());
            held.view(i64::MIN, i64::MAX)
                .decode(&mut samples, &mut histograms)?;
            in_order(&mut samples);
            in_order(&mut histograms);
            let Some(entry) = self.read().get(*id).map(|series| series.entry(*id)) else {
                continue;
            };
            let (mut samples, mut histograms) = (&samples[..], &histograms[..]);
            while let Some(first_ms) = samples
                .iter()
                .map(|held| held.0)
                .chain(histograms.first().map(|held| held.0))
                .min()
            {
                let span = self.span_start(first_ms);
                // Nor does a file lie in two days, which tiers take up one by one.
                let end = span.saturating_add(self.options.block_ms.max(1));
                let day_ms = first_ms - first_ms.rem_euclid(tier::DAY_MS);
                let span = span.max(day_ms);
                let end = end.min(day_ms.saturating_add(tier::DAY_MS));
                let inside = |t_ms: i64| t_ms < end || end == i64::MAX;
                let (inside, also, after, later) = {
                    let (floats, after) =
                        samples.split_at(samples.partition_point(|sample| inside(sample.0)));
                    let (also, later) =
                        histograms.split_at(histograms.partition_point(|sample| inside(sample.0)));
                    (floats, also, after, later)
                };
                let writer = match writers.entry(span) {
                    Entry::Occupied(held) => held.into_mut(),
                    Entry::Vacant(free) => {
                        let path = self.block_path(number);
                        number += 1;
                        free.insert(BlockWriter::create(path, Packing::Fast)?)
                    }
                };
                writer.push(entry.clone(), inside, also)?;
                (samples, histograms) = (after, later);
            }
        }
        let mut blocks = Vec::new();
        for writer in writers.into_values() {
            if let Some(block) = writer.finish()? {
                blocks.push(Arc::new(block));
                done.blocks_written += 1;
            }
        }
        {
            let mut state = self.write();
            state.blocks.extend(blocks);
            state.blocks.sort_by_key(|block| block.min_ms);
            state.flushed = freeze.flushed;
            state.frozen = None;
        }
        self.write_snapshot()?;
        // The log may forget the deletions that these say.
        self.keep_tombstones()?;
        done.wal_freed_bytes += self.shorten_log(freeze.flushed, &mut done.holds_broken)?;
        Ok(())
    }

    pub(crate) fn block_path(&self, number: u64) -> PathBuf {
        let name = format!("{number:020}.{}", block::EXTENSION);
        self.dir.join("blocks").join(name)
    }

    pub(crate) fn next_block_number(&self, state: &State) -> u64 {
        // The directory is asked too: a damaged file that is not served keeps its name.
        let on_disk = fs::read_dir(self.dir.join("blocks"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| block::number_of(&entry.path()));
        let served = state.blocks.iter().filter(|block| block.width_ms == 0);
        let served = served.filter_map(|block| block.number());
        let used = on_disk.chain(served).chain([state.tombstones.floor]);
        used.max().unwrap_or_default() + 1
    }

    pub(crate) fn write_snapshot(&self) -> Result<(), SeriesError> {
        let snapshot = {
            let state = self.read();
            let held = (0..)
                .zip(&state.series)
                .filter_map(|(id, series)| series.as_ref().map(|series| (id, series)));
            let (series, newest) = held
                .map(|(id, series)| (series.entry(id), series.newest()))
                .unzip();
            let starts = (0..).zip(&state.series).filter_map(|(id, series)| {
                let known = series.as_ref()?.known_starts();
                // One start of all samples is said with the labels.
                let news = known
                    .first()
                    .is_some_and(|first| first.0 != NEVER_MS || known.len() > 1);
                news.then_some((id, known))
            });
            Snapshot {
                starts: starts.collect(),
                next_id: u32::try_from(state.series.len()).unwrap_or(u32::MAX),
                flushed: state.flushed,
                holds: state.holds.clone(),
                series,
                newest,
            }
        };
        // The snapshot must not know of a newest sample that a crash could still take from the log.
        self.wal.sync()?;
        snapshot.write(&self.dir.join(snapshot::FILE))
    }

    /// Drops the frames whose samples are all in block files and which no consumer waits for.
    fn shorten_log(&self, flushed: Flushed, broken: &mut Vec<String>) -> Result<u64, SeriesError> {
        let keep_from = {
            let mut state = self.write();
            while state
                .marks
                .front()
                .is_some_and(|(first, newest)| *newest < flushed.before_ms && *first <= flushed.lsn)
                && state
                    .marks
                    .get(1)
                    .is_some_and(|(next, _)| next.get() <= flushed.lsn.get() + 1)
            {
                state.marks.pop_front();
            }
            let unflushed = match state.marks.front() {
                Some((first, newest)) if *newest >= flushed.before_ms || state.marks.len() > 1 => *first,
                Some((first, _)) if *first > flushed.lsn => *first,
                _ => Lsn::new(flushed.lsn.get() + 1),
            };
            if self.wal.bytes() > self.options.max_held_wal_bytes {
                let lagging = state.holds.iter().filter(|(_, passed)| **passed < unflushed);
                broken.extend(lagging.map(|(consumer, _)| consumer.clone()));
                for consumer in broken.iter() {
                    state.holds.remove(consumer);
                }
            }
            let held = state
                .holds
                .values()
                .map(|passed| Lsn::new(passed.get() + 1))
                .min();
            held.map_or(unflushed, |held| held.min(unflushed))
        };
        Ok(self.wal.truncate_before(keep_from)?)
    }

    fn retain_locked(&self, now_ms: i64, done: &mut Maintained) -> Result<(), SeriesError> {
        let oldest_ms = self.forgotten_ms(now_ms);
        let expired: Vec<PathBuf> = {
            let mut state = self.write();
            let (kept, expired) = std::mem::take(&mut state.blocks)
                .into_iter()
                .partition(|block| !self.is_expired(block, now_ms));
            state.blocks = kept;
            for block in &expired {
                let block: &Arc<Block> = block;
                state.removals += 1;
                state.removed_before_ms = state.removed_before_ms.max(block.max_ms);
            }
            expired
                .iter()
                .map(|block: &Arc<Block>| block.path().to_path_buf())
                .collect()
        };
        done.series_removed += self.remove_empty_series(now_ms, oldest_ms);
        for path in &expired {
            fs::remove_file(path).map_err(|error| SegmentError::from_io(path, error))?;
            done.blocks_removed += 1;
        }
        if !expired.is_empty() {
            sync_dir(&self.dir.join("blocks"))?;
            sync_dir(&self.dir.join(tier::DIRECTORY))?;
        }
        Ok(())
    }
}

impl Series {
    pub(crate) fn entry(&self, id: u32) -> TableEntry {
        TableEntry {
            id,
            labels: Arc::clone(&self.labels),
            created_ms: self.created_ms,
        }
    }
}

impl Store {
    /// Removes the series of which nothing is held: the newest sample is older than `oldest_ms`, or none came since a pass
    /// as long ago as samples may be late: who asked for a reference has that long to use it. Files are asked outside of
    /// the writers' way; maintenance, which alone changes them, is held up by the caller.
    fn remove_empty_series(&self, now_ms: i64, oldest_ms: i64) -> usize {
        let idle_ms = now_ms.saturating_sub(self.options.out_of_order_ms);
        let (mut empty, blocks) = {
            let mut state = self.write();
            for series in state.series.iter_mut().flatten() {
                if series.newest_ms == NEVER_MS && series.empty_since_ms == NEVER_MS {
                    series.empty_since_ms = now_ms;
                }
            }
            let ids = 0..u32::try_from(state.series.len()).unwrap_or(u32::MAX);
            let empty: Vec<u32> = ids.filter(|id| state.is_empty(*id, oldest_ms, idle_ms)).collect();
            (empty, state.blocks.clone())
        };
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        // What cannot be asked is taken to hold it.
        empty.retain(|id| !cursors.iter_mut().any(|cursor| cursor.holds(*id).unwrap_or(true)));
        if empty.is_empty() {
            return 0;
        }
        let mut state = self.write();
        empty.retain(|id| state.is_empty(*id, oldest_ms, idle_ms));
        empty.iter().for_each(|id| state.remove(*id));
        empty.len()
    }
}

impl State {
    /// Whether memory holds nothing of a series, and nothing came for long.
    fn is_empty(&self, id: u32, oldest_ms: i64, idle_ms: i64) -> bool {
        self.get(id).is_some_and(|series| {
            let gone = match series.newest() {
                Some((newest_ms, _)) => newest_ms < oldest_ms,
                None => series.empty_since_ms <= idle_ms,
            };
            gone && self.memory(id).into_iter().flatten().all(HeadSamples::is_empty)
        })
    }
}
