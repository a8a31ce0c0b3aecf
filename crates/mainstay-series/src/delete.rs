//! Deleting: what some selectors name, between two times, as it is now. What comes later stays, at whatever time it is.
//!
//! A record of a tier goes whole if any of its samples may be meant: what of it is meant cannot be told from the rest.
//! What is made of samples or records that are hidden, in a coarser tier, is made without them.
//!
//! Memory lets the samples go at once. Of block files, which never change, a mask hides them ([`crate::tombstone`]) until
//! the file is written anew, by compaction or by [`Store::clean_tombstones`]. A record in the log makes both durable: a
//! deletion takes effect whole or not at all, and reading the log back deletes at the same place among the samples.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Matcher;
use mainstay_segment::{Lsn, SegmentError};

use crate::block::Block;
use crate::error::SeriesError;
use crate::record::{self, Deletion};
use crate::state::{NEVER_MS, State};
use crate::store::Store;
use crate::tier;
use crate::tombstone::{self, Mask, Ranges, Tombstones};

/// The most series in one record of the log.
const RECORD_SERIES: usize = 64 << 10;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Series of which at least one sample went.
    pub series: u64,
    /// Their samples that went; of records of tiers, the records.
    pub samples: u64,
}

/// What cleaning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Block files that were written anew, or went as nothing in them was left.
    pub files: usize,
}

/// What a deletion does to block files.
#[derive(Debug, Default)]
struct Plan {
    /// The masks of files that hold some of it, by number.
    masks: BTreeMap<u64, Mask>,
    /// Samples that go, by series.
    samples: BTreeMap<u32, u64>,
    /// Of every series, the newest sample that stays.
    newest: BTreeMap<u32, Option<(i64, u64)>>,
}

impl Store {
    /// Deletes the samples from `min_ms` to `max_ms`, both included, of the series that pass every matcher of at least one
    /// selector, and returns when that is durable. Waits for a maintenance pass that is under way.
    ///
    /// # Cost
    /// O(series selected × block files + chunks at the edges of the range), outside of the writers' way; in their way
    /// O(samples of these series in memory).
    ///
    /// # Errors
    /// If a block file cannot be read, the log or the list of deletions cannot be written, or deletions that are not
    /// cleaned up take too many bytes.
    pub fn delete(
        &self,
        selectors: &[Vec<Matcher>],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Deleted, SeriesError> {
        let _one_at_a_time = self.maintaining();
        let plan = self.plan(selectors, min_ms, max_ms)?;
        let (deleted, lsn) = self.commit(plan, min_ms, max_ms)?;
        self.wait_durable(lsn)?;
        self.keep_tombstones()?;
        Ok(deleted)
    }

    /// What [`Store::delete`] would delete.
    ///
    /// # Errors
    /// If a block file cannot be read.
    pub fn would_delete(
        &self,
        selectors: &[Vec<Matcher>],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Deleted, SeriesError> {
        let _one_at_a_time = self.maintaining();
        let plan = self.plan(selectors, min_ms, max_ms)?;
        let state = self.read();
        let mut deleted = Deleted::default();
        for id in plan.newest.keys() {
            let mut samples = plan.samples.get(id).copied().unwrap_or_default();
            for held in state.memory(*id).into_iter().flatten() {
                samples += held.count(min_ms, max_ms)?;
            }
            deleted.count(samples);
        }
        Ok(deleted)
    }

    /// Writes every block file anew of which something was deleted, and the series index, so that no byte of what was
    /// deleted is in them. What the log holds of it goes with the log's own end: once what else is in the same segments
    /// is in block files and no consumer waits for it.
    ///
    /// # Errors
    /// If files cannot be read or written; what was done until then stays.
    pub fn clean_tombstones(&self) -> Result<Cleaned, SeriesError> {
        let _one_at_a_time = self.maintaining();
        // Nobody masks those that coarser tiers stand for: they must not outlive what stands for them.
        self.remove_superseded()?;
        let masked: Vec<Arc<Block>> = {
            let state = self.read();
            let masked = state.blocks.iter().filter(|block| !block.mask().is_empty());
            masked.cloned().collect()
        };
        let mut cleaned = Cleaned::default();
        for block in masked {
            match block.width_ms {
                0 => self.merge(&[block])?,
                _ => self.condense_anew(&block)?,
            }
            cleaned.files += 1;
        }
        self.write_snapshot()?;
        self.keep_tombstones()?;
        Ok(cleaned)
    }

    /// Writes the list of deletions, if it changed or names files that are gone.
    pub(crate) fn keep_tombstones(&self) -> Result<(), SeriesError> {
        let tombstones = {
            let mut state = self.write();
            let before = state.tombstones.files.len();
            let path = |number: u64| match tier::name_of(number) {
                Some(name) => self.dir.join(tier::DIRECTORY).join(name),
                None => self.block_path(number),
            };
            let exists = |number: &u64, _: &mut Arc<Mask>| path(*number).exists();
            state.tombstones.files.retain(exists);
            if state.tombstones.files.len() == before && !state.tombstones_changed {
                return Ok(());
            }
            state.tombstones_changed = true;
            state.tombstones.clone()
        };
        tombstones.write(&self.dir.join(tombstone::FILE))?;
        self.write().tombstones_changed = false;
        Ok(())
    }

    /// Looks at what block files hold. They do not change meanwhile: the caller holds up maintenance.
    fn plan(&self, selectors: &[Vec<Matcher>], min_ms: i64, max_ms: i64) -> Result<Plan, SeriesError> {
        let (candidates, mut blocks, tiers_until_ms) = {
            let state = self.read();
            let ids = selectors.iter().flat_map(|matchers| state.index.select(matchers));
            let ids: BTreeSet<u32> = ids.collect();
            let newest = |id| Some((id, state.get(id)?.newest()));
            let candidates: Vec<_> = ids.into_iter().filter_map(newest).collect();
            (candidates, state.blocks.clone(), state.superseded_ms(0))
        };
        blocks.sort_by_key(|block| std::cmp::Reverse(block.max_ms));
        let mut plan = Plan::default();
        for block in &blocks {
            if block.min_ms > max_ms || block.max_ms < min_ms {
                continue;
            }
            let mut mask = (*block.mask()).clone();
            let mut cursor = block.cursor();
            let mut changed = false;
            for (id, _) in &candidates {
                let parted = cursor.parted(*id, min_ms, max_ms)?;
                if parted.inside > 0 {
                    hide(&mut mask, *id, min_ms, max_ms, parted.outside == 0);
                    *plan.samples.entry(*id).or_default() += parted.inside;
                    changed = true;
                }
            }
            if changed && let Some(number) = block.number() {
                plan.masks.insert(number, mask);
            }
        }
        let mut cursors: Vec<_> = blocks
            .iter()
            .map(|block| (block.max_ms, block.cursor()))
            .collect();
        for (id, mut newest) in candidates {
            // The newest goes if it is meant, and may go with its record if it is behind what is meant.
            let may_go =
                |newest_ms: i64| newest_ms >= min_ms && (newest_ms <= max_ms || newest_ms < tiers_until_ms);
            if newest.is_some_and(|newest| may_go(newest.0)) {
                newest = None;
                for (block_max_ms, cursor) in &mut cursors {
                    if newest.is_some_and(|newest| newest.0 >= *block_max_ms) {
                        break;
                    }
                    newest = newest.max(cursor.newest_without(id, min_ms, max_ms)?);
                }
            }
            plan.newest.insert(id, newest);
        }
        Ok(plan)
    }

    /// Writes the deletion into the log and carries it out; durable once the log is, up to the position given.
    fn commit(&self, plan: Plan, min_ms: i64, max_ms: i64) -> Result<(Deleted, Lsn), SeriesError> {
        let mut state = self.write();
        let before_ms = min_ms.saturating_sub(1);
        let in_memory = |id: &u32| {
            let held = state.memory(*id).into_iter().flatten();
            held.into_iter().any(|held| held.overlaps(before_ms, max_ms))
        };
        let ids: Vec<u32> = plan
            .newest
            .keys()
            .filter(|id| plan.samples.contains_key(id) || in_memory(id))
            .copied()
            .collect();
        let masks = plan.masks;
        let held = state.tombstones.files.iter();
        let kept = held.filter(|(number, _)| !masks.contains_key(number));
        let bytes = kept
            .map(|(_, mask)| &**mask)
            .chain(masks.values())
            .map(tombstone::bytes);
        let (bytes, limit_bytes) = (bytes.sum(), self.options.max_tombstone_bytes);
        if bytes > limit_bytes && !masks.is_empty() {
            return Err(SeriesError::TooManyDeletions { bytes, limit_bytes });
        }
        let last_file = self.next_block_number(&state) - 1;
        let mut lsn = self.wal.last_lsn();
        for ids in ids.chunks(RECORD_SERIES) {
            let deletion = Deletion {
                ids: ids.to_vec(),
                min_ms,
                max_ms,
                last_file,
            };
            lsn = self.wal.append(&record::deletion(&deletion))?;
            state.mark(lsn, NEVER_MS);
        }
        if !ids.is_empty() {
            state.tombstones.passed = lsn;
            state.tombstones.floor = state.tombstones.floor.max(last_file);
            state.tombstones_changed = true;
        }
        for (number, mask) in masks {
            state.mask(number, mask);
        }
        let mut deleted = Deleted::default();
        for id in ids {
            let samples = state.erase(id, min_ms, max_ms)?;
            deleted.count(samples + plan.samples.get(&id).copied().unwrap_or_default());
            state.settle(id, plan.newest.get(&id).copied().flatten())?;
        }
        Ok((deleted, lsn))
    }
}

/// Adds a range of a series, or all of it, to what is hidden.
fn hide(mask: &mut Mask, id: u32, min_ms: i64, max_ms: i64, whole: bool) {
    if whole {
        mask.insert(id, Ranges::all());
    } else {
        mask.entry(id).or_default().add(min_ms, max_ms);
    }
}

impl Deleted {
    fn count(&mut self, samples: u64) {
        self.series += u64::from(samples > 0);
        self.samples += samples;
    }
}

impl State {
    /// Takes samples out of memory, and says how many.
    pub(crate) fn erase(&mut self, id: u32, min_ms: i64, max_ms: i64) -> Result<u64, SeriesError> {
        let mut samples = 0;
        let before_ms = min_ms.saturating_sub(1);
        if let Some(freeze) = &mut self.frozen {
            let held = freeze.samples.get(&id);
            if held.is_some_and(|held| held.overlaps(before_ms, max_ms))
                && let Some(held) = Arc::make_mut(&mut freeze.samples).get_mut(&id)
            {
                samples += held.erase(min_ms, max_ms)?;
            }
        }
        if let Some(series) = self.get_mut(id) {
            samples += series.head.erase(min_ms, max_ms)?;
            // Windows over it begin anew.
            series.revision = series.revision.wrapping_add(1);
        }
        Ok(samples)
    }

    /// Works out what the newest sample of a series is after a deletion; `in_files` is the newest in block files. A series
    /// of which nothing is left goes.
    fn settle(&mut self, id: u32, in_files: Option<(i64, u64)>) -> Result<(), SeriesError> {
        let mut newest = in_files;
        for held in self.memory(id).into_iter().flatten() {
            newest = newest.max(held.newest()?);
        }
        let Some(series) = self.get_mut(id) else {
            return Ok(());
        };
        match newest {
            Some(newest) => (series.newest_ms, series.newest_bits) = newest,
            None => self.remove(id),
        }
        Ok(())
    }

    /// Hides of the block files what the list of deletions says.
    pub(crate) fn read_tombstones(&mut self, dir: &Path) -> Result<(), SeriesError> {
        let path = dir.join(tombstone::FILE);
        if !path.exists() {
            return Ok(());
        }
        self.tombstones = match Tombstones::read(&path) {
            Err(SeriesError::Segment(SegmentError::Corrupt { .. }) | SeriesError::Corrupt { .. }) => {
                return Err(SeriesError::Deletions { path });
            }
            outcome => outcome?,
        };
        for block in &self.blocks {
            let mask = block
                .number()
                .and_then(|number| self.tombstones.files.get(&number));
            if let Some(mask) = mask {
                block.set_mask(Arc::clone(mask));
            }
        }
        Ok(())
    }

    fn mask(&mut self, number: u64, mask: Mask) {
        let mask = Arc::new(mask);
        if let Some(block) = self.blocks.iter().find(|block| block.number() == Some(number)) {
            block.set_mask(Arc::clone(&mask));
        }
        self.tombstones.files.insert(number, mask);
    }

    /// After the log was read back: does to block files what its deletions say that the list of deletions does not know
    /// of, and settles the series that they were about; of a lost series index, those too that the list names.
    pub(crate) fn finish_deletions(&mut self, index_rebuilt: bool) {
        let mut touched = BTreeSet::new();
        for (lsn, deletion) in std::mem::take(&mut self.deletions) {
            if lsn > self.tombstones.passed {
                self.mask_files(&deletion);
                self.tombstones.passed = lsn;
                self.tombstones.floor = self.tombstones.floor.max(deletion.last_file);
                self.tombstones_changed = true;
            }
            touched.extend(deletion.ids);
        }
        if index_rebuilt {
            touched.extend(self.tombstones.files.values().flat_map(|mask| mask.keys()));
        }
        let mut blocks = self.blocks.clone();
        blocks.sort_by_key(|block| std::cmp::Reverse(block.max_ms));
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        for id in touched {
            let mut newest = None;
            for cursor in &mut cursors {
                // No time lies in a range that ends before it begins.
                match cursor.newest_without(id, i64::MAX, i64::MIN) {
                    Ok(found) => newest = newest.max(found),
                    // Something is there: what cannot be read is not taken for nothing.
                    Err(_) => newest = newest.max(self.get(id).and_then(|series| series.newest())),
                }
            }
            // Chunks in memory were written by this process: they decode.
            let _ = self.settle(id, newest);
        }
    }

    fn mask_files(&mut self, deletion: &Deletion) {
        let (min_ms, max_ms) = (deletion.min_ms, deletion.max_ms);
        let mut masks = Vec::new();
        for block in &self.blocks {
            // The names of files of tiers tell no age. One made since was made without what was deleted: little is left to
            // hide in it.
            let there = |number: &u64| block.width_ms != 0 || *number <= deletion.last_file;
            let number = block.number().filter(there);
            let Some(number) = number.filter(|_| block.min_ms <= max_ms && block.max_ms >= min_ms) else {
                continue;
            };
            let mut mask = (*block.mask()).clone();
            let mut cursor = block.cursor();
            for id in &deletion.ids {
                // What cannot be read is hidden.
                let parted = cursor.parted(*id, min_ms, max_ms);
                if parted.as_ref().map_or(true, |parted| parted.inside > 0) {
                    let whole = parted.is_ok_and(|parted| parted.outside == 0);
                    hide(&mut mask, *id, min_ms, max_ms, whole);
                }
            }
            masks.push((number, mask));
        }
        for (number, mask) in masks {
            if !mask.is_empty() {
                self.mask(number, mask);
            }
        }
    }
}
