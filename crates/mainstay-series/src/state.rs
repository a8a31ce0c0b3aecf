//! What a store holds in memory, and how it is read back from the log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_kernel::{Histogram, Labels};
use mainstay_segment::Lsn;

use crate::append::HistogramSample;
use crate::block::Block;
use crate::head::{Frozen, HeadSamples};
use crate::index::Index;
use crate::record::{self, Deletion, Record, SampleFrame};
use crate::snapshot::Flushed;
use crate::starts::Steps;
use crate::store::Recovery;
use crate::table::TableEntry;
use crate::tombstone::Tombstones;

/// Frames of the log are watched in groups of this many for when they may be dropped.
const MARK_FRAMES: u64 = 256;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) index: Index,
    /// How many series there are by the value of this label.
    pub(crate) tenants: BTreeMap<String, usize>,
    pub(crate) tenant_label: String,
    /// By id; ids are never used twice.
    pub(crate) series: Vec<Option<Box<Series>>>,
    pub(crate) frozen: Option<Freeze>,
    /// In order of their beginnings.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// The spans whose files cannot be merged, for one is damaged.
    pub(crate) unmergeable: BTreeSet<i64>,
    /// Moves on whenever a series appears or vanishes.
    pub(crate) generation: u64,
    /// Moves on whenever samples are removed; none of a later time than this was.
    pub(crate) removals: u64,
    pub(crate) removed_before_ms: i64,
    /// By the width of their slices: up to which time tiers stand for what is finer.
    pub(crate) tiers: BTreeMap<i64, i64>,
    /// Files that tiers stand for, to be removed.
    pub(crate) superseded: Vec<PathBuf>,
    /// When maintenance last ran; until then, the newest time in the files.
    pub(crate) now_ms: i64,
    pub(crate) flushed: Flushed,
    pub(crate) holds: BTreeMap<String, Lsn>,
    /// What was deleted of block files, and whether its file says so yet.
    pub(crate) tombstones: Tombstones,
    pub(crate) tombstones_changed: bool,
    /// Deletions that the log was read back with, until they are finished.
    pub(crate) deletions: Vec<(Lsn, Deletion)>,
    /// How many steps of starts all series have.
    pub(crate) all_steps: usize,
    /// By id, how many samples in the log are of no known series, while it is read back.
    pub(crate) orphans: BTreeMap<u32, u64>,
    /// The memory in which frames of samples are made.
    pub(crate) frame: SampleFrame,
    /// For groups of frames, oldest first: the first frame and the newest sample time in the group.
    pub(crate) marks: VecDeque<(Lsn, i64)>,
}

/// Samples on their way into block files, and what is flushed once they are there.
#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub(crate) samples: Arc<Frozen>,
    pub(crate) flushed: Flushed,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Arc<Labels>,
    /// The newest start that is known.
    pub(crate) created_ms: Option<i64>,
    /// The time of the newest sample; the smallest there is without one.
    pub(crate) newest_ms: i64,
    /// Its bits; of a native histogram [`HISTOGRAM_BITS`].
    pub(crate) newest_bits: u64,
    /// The newest sample of the frame that is being made for the log; the smallest time there is without one.
    pub(crate) pending_ms: i64,
    pub(crate) head: HeadSamples,
    /// Moves on whenever samples appear or vanish elsewhere than at the end, and whenever a native histogram comes.
    pub(crate) revision: u32,
    /// From this time on it is the start of all samples, if there are no steps.
    pub(crate) created_from_ms: i64,
    /// Where the start of the samples changes, if it does.
    pub(crate) starts: Option<Box<Steps>>,
    /// When a retention pass first found it without any sample; the smallest time there is if none did.
    pub(crate) empty_since_ms: i64,
}

/// Stands for the bits of a newest sample that is a native histogram: a NaN that nobody sends.
pub(crate) const HISTOGRAM_BITS: u64 = 0x7ff0_0000_0000_0ac3;
/// Before every sample.
pub(crate) const NEVER_MS: i64 = i64::MIN;

impl State {
    pub(crate) fn get(&self, id: u32) -> Option<&Series> {
        self.series.get(id as usize)?.as_deref()
    }

    /// The id of the series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        self.index.get(labels, |id| {
            self.get(id).is_some_and(|series| *series.labels == *labels)
        })
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Series> {
        self.series.get_mut(id as usize)?.as_deref_mut()
    }

    pub(crate) fn insert(&mut self, entry: TableEntry, newest: Option<(i64, u64)>) {
        let at = entry.id as usize;
        if self.series.len() <= at {
            self.series.resize_with(at + 1, || None);
        }
        if let Some(held) = &mut self.series[at] {
            held.created_ms = entry.created_ms.or(held.created_ms);
            if let Some((newest_ms, newest_bits)) = newest.filter(|newest| newest.0 > held.newest_ms) {
                (held.newest_ms, held.newest_bits) = (newest_ms, newest_bits);
            }
            return;
        }
        self.generation += 1;
        self.index.insert(entry.id, &entry.labels);
        let tenant = entry.labels.get(&self.tenant_label).unwrap_or_default();
        match self.tenants.get_mut(tenant) {
            Some(series) => *series += 1,
            None => {
                self.tenants.insert(tenant.to_owned(), 1);
            }
        }
        self.series[at] = Some(Box::new(Series {
            labels: entry.labels,
            created_ms: entry.created_ms,
            newest_ms: newest.map_or(NEVER_MS, |newest| newest.0),
            newest_bits: newest.map_or(0, |newest| newest.1),
            pending_ms: NEVER_MS,
            head: HeadSamples::default(),
            revision: 0,
            created_from_ms: NEVER_MS,
            starts: None,
            empty_since_ms: NEVER_MS,
        }));
    }

    /// Takes a series out.
    pub(crate) fn remove(&mut self, id: u32) {
        let Some(series) = self.series.get_mut(id as usize).and_then(Option::take) else {
            return;
        };
        self.generation += 1;
        self.all_steps -= series
            .starts
            .as_ref()
            .map_or(0, |steps| steps.len())
            .min(self.all_steps);
        self.index.remove(id, &series.labels);
        let tenant = series.labels.get(&self.tenant_label).unwrap_or_default();
        if let Some(count) = self.tenants.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.tenants.remove(tenant);
            }
        }
    }

    /// Notes that the frame holds samples up to `max_ms`.
    pub(crate) fn mark(&mut self, lsn: Lsn, max_ms: i64) {
        match self.marks.back_mut() {
            Some((first, newest)) if lsn.get() < first.get() + MARK_FRAMES => *newest = max_ms.max(*newest),
            _ => self.marks.push_back((lsn, max_ms)),
        }
    }

    pub(crate) fn replay(&mut self, lsn: Lsn, frame: &[u8], recovery: &mut Recovery) {
        let mut max_ms = i64::MIN;
        // Where the series index was lost, the log has samples too that are records by now: they would count twice.
        let (flushed, records_until_ms) = (self.flushed, self.superseded_ms(0));
        let in_files = |t_ms: i64| t_ms < records_until_ms || flushed.covers(lsn, t_ms);
        match record::read(frame) {
            // An id far beyond those known cannot be ours, and must not ask for memory.
            Ok(Record::Series { id, .. }) if id as usize > self.series.len() + (1 << 20) => {
                recovery.orphan_records += 1;
            }
            Ok(Record::Series {
                id,
                labels,
                created_ms,
            }) => {
                let entry = TableEntry {
                    id,
                    labels: Arc::new(labels),
                    created_ms,
                };
                self.insert(entry, None);
            }
            Ok(Record::Created { id, created_ms }) => match self.get_mut(id) {
                Some(series) => series.created_ms = Some(created_ms),
                None => self.orphan(id),
            },
            Ok(Record::Samples(samples)) => {
                for sample in samples {
                    max_ms = max_ms.max(sample.t_ms);
                    let Some(series) = self.get_mut(sample.series.0) else {
                        self.orphan(sample.series.0);
                        continue;
                    };
                    if in_files(sample.t_ms) {
                        continue;
                    }
                    series.store(sample.t_ms, sample.value);
                    recovery.replayed_samples += 1;
                }
            }
            Ok(Record::Histograms(samples)) => {
                for HistogramSample { series, t_ms, value } in samples {
                    max_ms = max_ms.max(t_ms);
                    let Some(series) = self.get_mut(series.0) else {
                        self.orphan(series.0);
                        continue;
                    };
                    if !in_files(t_ms) {
                        series.store_histogram(t_ms, value);
                        recovery.replayed_samples += 1;
                    }
                }
            }
            Ok(Record::Start(start)) => {
                if self.get(start.id).is_none() {
                    self.orphan(start.id);
                }
                self.set_start(&start);
            }
            Ok(Record::Deletion(deletion)) => {
                for id in &deletion.ids {
                    // Of a series that is wholly gone, nothing that the log still holds is missed.
                    self.orphans.remove(id);
                    if self.erase(*id, deletion.min_ms, deletion.max_ms).is_err() {
                        recovery.orphan_records += 1;
                    }
                }
                self.deletions.push((lsn, deletion));
            }
            Err(_) => recovery.orphan_records += 1,
        }
        self.mark(lsn, max_ms);
    }

    fn orphan(&mut self, id: u32) {
        *self.orphans.entry(id).or_default() += 1;
    }
}

impl Series {
    /// Takes an accepted sample into the head.
    pub(crate) fn store(&mut self, t_ms: i64, value: f64) {
        if t_ms > self.newest_ms {
            (self.newest_ms, self.newest_bits) = (t_ms, value.to_bits());
        } else {
            self.revision = self.revision.wrapping_add(1);
        }
        self.head.push(t_ms, value);
        self.empty_since_ms = NEVER_MS;
    }

    /// Takes an accepted native histogram into the head.
    pub(crate) fn store_histogram(&mut self, t_ms: i64, value: Arc<Histogram>) {
        if t_ms > self.newest_ms {
            (self.newest_ms, self.newest_bits) = (t_ms, HISTOGRAM_BITS);
        }
        self.revision = self.revision.wrapping_add(1);
        self.head.push_histogram(t_ms, value);
        self.empty_since_ms = NEVER_MS;
    }

    /// Time and bits of the newest sample.
    pub(crate) fn newest(&self) -> Option<(i64, u64)> {
        (self.newest_ms != NEVER_MS).then_some((self.newest_ms, self.newest_bits))
    }
}
