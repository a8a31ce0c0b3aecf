//! Fewer, larger block files: those of one day become one, and so do those of one span, which late samples make.
//!
//! The new file is in place before the old ones go. A crash between the two leaves samples twice, which reading takes
//! for one, and the next pass merges them again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use mainstay_segment::{SegmentError, sync_dir};

use crate::block::{Block, BlockWriter};
use crate::codec::Packing;
use crate::error::SeriesError;
use crate::flush::Maintained;
use crate::head::in_order;
use crate::store::Store;
use crate::tier::DAY_MS;

impl Store {
    /// Merges the files of spans that hold several. What is newer than `boundary_ms` is still in memory: the day that it
    /// is in is not whole yet.
    ///
    /// Cost: reading and writing every sample of these files, one series in memory at a time.
    pub(crate) fn compact_locked(&self, boundary_ms: i64, done: &mut Maintained) -> Result<(), SeriesError> {
        let mut groups: BTreeMap<i64, Vec<Arc<Block>>> = BTreeMap::new();
        for block in self.read().blocks.iter().filter(|block| block.width_ms == 0) {
            groups
                .entry(self.group(block, boundary_ms))
                .or_default()
                .push(Arc::clone(block));
        }
        groups.retain(|group, blocks| blocks.len() > 1 && !self.read().unmergeable.contains(group));
        for (group, blocks) in groups {
            match self.merge(&blocks) {
                Ok(()) => done.blocks_merged += 1,
                // It must not keep other days from being merged, nor be read again every minute.
                Err(error) if error.is_damage() => {
                    self.write().unmergeable.insert(group);
                    done.damage.push(error.in_file(&self.dir.join("blocks")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the block is merged with: whatever begins in the same day, or in the same span of a day that is not over.
    fn group(&self, block: &Block, boundary_ms: i64) -> i64 {
        let day_ms = block.min_ms - block.min_ms.rem_euclid(DAY_MS);
        if day_ms.saturating_add(DAY_MS) <= boundary_ms && self.options.block_ms < DAY_MS {
            day_ms
        } else {
            self.span_start(block.min_ms)
        }
    }

    pub(crate) fn merge(&self, blocks: &[Arc<Block>]) -> Result<(), SeriesError> {
        let mut ids = BTreeSet::new();
        for block in blocks {
            ids.extend(block.ids()?);
        }
        let number = self.next_block_number(&self.read());
        let mut writer = BlockWriter::create(self.block_path(number), Packing::Tight)?;
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        for id in ids {
            samples.clear();
            histograms.clear();
            for cursor in &mut cursors {
                cursor.read(id, i64::MIN, i64::MAX, &mut samples, &mut histograms)?;
            }
            in_order(&mut samples);
            in_order(&mut histograms);
            // A series is known for as long as a block holds samples of it.
            let entry = self.read().get(id).map(|series| series.entry(id));
            if let Some(entry) = entry {
                writer.push(entry, &samples, &histograms)?;
            }
        }
        let merged = writer.finish()?;
        {
            let mut state = self.write();
            state
                .blocks
                .retain(|block| !blocks.iter().any(|old| Arc::ptr_eq(old, block)));
            state.blocks.extend(merged.map(Arc::new));
            state.blocks.sort_by_key(|block| block.min_ms);
        }
        for block in blocks {
            let path = block.path();
            fs::remove_file(path).map_err(|error| SegmentError::from_io(path, error))?;
        }
        Ok(sync_dir(&self.dir.join("blocks"))?)
    }
}
