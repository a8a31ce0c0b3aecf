//! Making the files of tiers, and removing what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_segment::{SegmentError, sync_dir};

use super::{DAY_MS, DIRECTORY, Record, file_name, kept_histograms, of_records, of_samples};
use crate::block::{Block, BlockWriter, Cursor};
use crate::chunk::HistogramPoint;
use crate::error::SeriesError;
use crate::flush::Maintained;
use crate::head::in_order;
use crate::state::NEVER_MS;
use crate::store::Store;

/// What a day holds of one series.
#[derive(Debug, Default)]
struct Day {
    samples: Vec<(i64, f64)>,
    records: Vec<Record>,
    histograms: Vec<HistogramPoint>,
}

impl Store {
    /// Gives each tier the days that have left the retention of what is finer. Samples from `boundary_ms` on may still be
    /// in memory.
    ///
    /// Cost: reading these days once, one series in memory at a time.
    pub(crate) fn condense_locked(
        &self,
        now_ms: i64,
        boundary_ms: i64,
        done: &mut Maintained,
    ) -> Result<(), SeriesError> {
        self.write().now_ms = now_ms;
        self.remove_superseded()?;
        for (width_ms, _) in self.options.tiers() {
            let (retention_ms, _) = self.options.kept(width_ms - 1);
            // Nothing of these days is accepted any more, not even by a clock that is a little behind.
            let until_ms = now_ms
                .saturating_sub(retention_ms)
                .saturating_sub(self.options.out_of_order_ms)
                .min(boundary_ms);
            for (day, blocks) in self.days(width_ms, until_ms) {
                self.condense(width_ms, day, &blocks, done)?;
                self.remove_superseded()?;
            }
        }
        Ok(())
    }

    /// The files of finer slices than `width_ms`, by day, of the days that are over by `until_ms`.
    fn days(&self, width_ms: i64, until_ms: i64) -> BTreeMap<i64, Vec<Arc<Block>>> {
        let state = self.read();
        let finer = || state.blocks.iter().filter(|block| block.width_ms < width_ms);
        let day = |t_ms: i64| t_ms.div_euclid(DAY_MS);
        // A file that lies in two days keeps the first of them from being over.
        let across = finer().find(|block| day(block.min_ms) != day(block.max_ms));
        let end = across
            .map_or(i64::MAX, |block| day(block.min_ms))
            .min(day(until_ms));
        let mut days: BTreeMap<i64, Vec<Arc<Block>>> = BTreeMap::new();
        for block in finer().filter(|block| day(block.min_ms) < end) {
            days.entry(day(block.min_ms)).or_default().push(Arc::clone(block));
        }
        days
    }

    fn condense(
        &self,
        width_ms: i64,
        day: i64,
        blocks: &[Arc<Block>],
        done: &mut Maintained,
    ) -> Result<(), SeriesError> {
        let mut damaged = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for block in blocks {
            match block.ids() {
                Ok(found) => ids.extend(found),
                Err(error) => note(error, block, &mut damaged)?,
            }
        }
        let path = self.dir.join(DIRECTORY).join(file_name(width_ms, day));
        let mut writer = BlockWriter::create_tier(path, width_ms)?;
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        for id in ids {
            let mut found = Day::default();
            for (block, cursor) in blocks.iter().zip(&mut cursors) {
                // What cannot be read is lost with the file; the rest of the day need not be.
                match Day::read(cursor, id) {
                    Ok(Some(read)) => found.join(read),
                    Ok(None) => {}
                    Err(error) => note(error, block, &mut damaged)?,
                }
            }
            let entry = self.read().get(id).map(|series| series.entry(id));
            if let Some(entry) = entry {
                let (records, histograms) = found.condensed(width_ms);
                writer.push_records(entry, &records, &histograms)?;
            }
        }
        let condensed = writer.finish()?;
        done.damage.extend(damaged.into_values());
        done.days_condensed += usize::from(condensed.is_some());
        let mut state = self.write();
        state.blocks.extend(condensed.map(Arc::new));
        state.blocks.sort_by_key(|block| block.min_ms);
        state.condensed(width_ms, day);
        // Nobody may see both.
        state.supersede();
        Ok(())
    }

    /// Writes a file of a tier anew, without what was deleted of it.
    pub(crate) fn condense_anew(&self, block: &Arc<Block>) -> Result<(), SeriesError> {
        let path = block.path().to_path_buf();
        let mut writer = BlockWriter::create_tier(path.clone(), block.width_ms)?;
        let mut cursor = block.cursor();
        for id in block.ids()? {
            let entry = self.read().get(id).map(|series| series.entry(id));
            if let (Some(entry), Some(day)) = (entry, Day::read(&mut cursor, id)?) {
                writer.push_records(entry, &day.records, &day.histograms)?;
            }
        }
        let written = writer.finish()?;
        if written.is_none() {
            fs::remove_file(&path).map_err(|source| SegmentError::from_io(&path, source))?;
            sync_dir(&self.dir.join(DIRECTORY))?;
        }
        let mut state = self.write();
        state.blocks.retain(|held| !Arc::ptr_eq(held, block));
        state.blocks.extend(written.map(Arc::new));
        state.blocks.sort_by_key(|block| block.min_ms);
        if let Some(number) = block.number() {
            state.tombstones.files.remove(&number);
            state.tombstones_changed = true;
        }
        Ok(())
    }

    /// Removes the files that coarser tiers stand for.
    pub(crate) fn remove_superseded(&self) -> Result<(), SeriesError> {
        let paths: Vec<PathBuf> = std::mem::take(&mut self.write().superseded);
        for (at, path) in paths.iter().enumerate() {
            if let Err(source) = fs::remove_file(path) {
                self.write().superseded.extend_from_slice(&paths[at..]);
                return Err(SegmentError::from_io(path, source).into());
            }
        }
        if !paths.is_empty() {
            sync_dir(&self.dir.join("blocks"))?;
            sync_dir(&self.dir.join(DIRECTORY))?;
        }
        Ok(())
    }

    /// Whether the retention of a file is over, given that nothing coarser stands for it.
    pub(crate) fn is_expired(&self, block: &Block, now_ms: i64) -> bool {
        let (retention_ms, coarser) = self.options.kept(block.width_ms);
        !coarser && block.max_ms < now_ms.saturating_sub(retention_ms)
    }

    /// The newest time that a series may have and yet be of no account.
    pub(crate) fn forgotten_ms(&self, now_ms: i64) -> i64 {
        now_ms
            .saturating_sub(self.options.longest_retention_ms())
            .max(NEVER_MS + 1)
    }
}

/// Damage is contained and noted; every other failure stays one.
fn note(
    error: SeriesError,
    block: &Block,
    damaged: &mut BTreeMap<PathBuf, String>,
) -> Result<(), SeriesError> {
    if !error.is_damage() {
        return Err(error);
    }
    let path = block.path();
    damaged
        .entry(path.to_path_buf())
        .or_insert_with(|| format!("{}, lost as its day becomes records", error.in_file(path)));
    Ok(())
}

impl Day {
    fn read(cursor: &mut Cursor<'_>, id: u32) -> Result<Option<Self>, SeriesError> {
        let Some(section) = cursor.section(id, |_, _, _| true)? else {
            return Ok(None);
        };
        let mut day = Self::default();
        for placed in &section.chunks {
            let chunk = cursor.load(placed)?;
            let records = chunk.records()?;
            if records.is_empty() {
                chunk.decode(&mut day.samples)?;
            }
            day.records.extend(records);
            chunk.decode_histograms(&mut day.histograms)?;
        }
        Ok(Some(day))
    }

    fn join(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.records.extend(other.records);
        self.histograms.extend(other.histograms);
    }

    fn condensed(mut self, width_ms: i64) -> (Vec<Record>, Vec<HistogramPoint>) {
        in_order(&mut self.samples);
        in_order(&mut self.histograms);
        // A day is of samples or of records; were it of both, samples would be the newer ones.
        let mut records = of_records(&self.records, width_ms);
        let newest_ms = records.last().map_or(NEVER_MS, Record::end_ms);
        self.samples.retain(|sample| sample.0 > newest_ms);
        records.extend(of_samples(&self.samples, width_ms));
        (records, kept_histograms(&self.histograms, width_ms))
    }
}
