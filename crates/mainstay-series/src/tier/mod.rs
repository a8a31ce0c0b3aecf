//! Tiers: what is kept of samples for longer than the samples themselves.
//!
//! When a day leaves a tier's retention, the next coarser tier gets a file with one [`Record`] per series and slice of
//! time. From the moment that file is in place the finer files of the day are of no account, whether they are still
//! there or not: a crash at any point loses nothing and counts nothing twice. A file of a tier is laid out like a block
//! file ([`crate::block`]); its name says the width of its slices and its day.

mod codec;
mod condense;
mod record;

use std::path::Path;

pub(crate) use codec::{decode, encode};
pub(crate) use record::{Record, kept_histograms, of_records, of_samples};

use crate::state::{NEVER_MS, State};
use crate::store::{Options, Store};

const MINUTE_MS: i64 = 60 * 1000;
/// Files hold whole days.
pub(crate) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How the names of the files of tiers end.
pub(crate) const EXTENSION: &str = "tier";
/// The directory of the files of tiers.
pub(crate) const DIRECTORY: &str = "tiers";

/// The widths of slices, from the finest, and what they are called. Each is a multiple of the one before, and a day is
/// one of each.
const WIDTHS: [(i64, &str); 2] = [(5 * MINUTE_MS, "5m"), (60 * MINUTE_MS, "1h")];

/// What is known of a range of time in less than full detail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The records that the range reaches, the oldest first: up to which time, in milliseconds since 1970 and exclusive,
    /// samples are known by slices of which width in milliseconds.
    pub records: Vec<(i64, i64)>,
    /// How long anything is kept, in milliseconds, if the range begins before.
    pub kept_ms: Option<i64>,
}

/// The width and the day that a file's name tells.
pub(crate) fn of_name(path: &Path) -> Option<(i64, i64)> {
    let (tier, day) = path.file_stem()?.to_str()?.split_once('-')?;
    let width = WIDTHS.iter().find(|(_, name)| *name == tier)?;
    Some((width.0, day.parse().ok()?))
}

/// The numbers of the files of tiers are above those of all block files.
const NUMBERS: u64 = 1 << 63;

/// The number of the file of this name: no two files of a store have the same.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let (width_ms, day) = of_name(path)?;
    let tier = WIDTHS.iter().position(|(width, _)| *width == width_ms)?;
    let day = u64::from(i32::try_from(day).ok()?.cast_unsigned());
    Some(NUMBERS | (tier as u64) << 32 | day)
}

/// The name of the file with this number, if it is of a tier.
pub(crate) fn name_of(number: u64) -> Option<String> {
    let tier = usize::try_from((number & !NUMBERS) >> 32).ok()?;
    let (width_ms, _) = WIDTHS.get(tier).filter(|_| number >= NUMBERS)?;
    let day = u32::try_from(number & 0xffff_ffff).ok()?.cast_signed();
    Some(file_name(*width_ms, i64::from(day)))
}

fn file_name(width_ms: i64, day: i64) -> String {
    let name = WIDTHS.iter().find(|(width, _)| *width == width_ms);
    format!("{}-{day}.{EXTENSION}", name.map_or("", |(_, name)| name))
}

impl Options {
    /// The tiers that are kept, from the finest: width and retention. One that is kept no longer than a finer one is not
    /// kept at all.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let mut longest_ms = self.retention_ms;
        let retentions = [self.retention_5m_ms, self.retention_1h_ms];
        WIDTHS
            .into_iter()
            .zip(retentions)
            .filter_map(move |((width_ms, _), retention_ms)| {
                let kept = retention_ms > longest_ms;
                longest_ms = longest_ms.max(retention_ms);
                kept.then_some((width_ms, retention_ms))
            })
    }

    /// How long files of slices of this width are kept, those of samples having none; and whether a coarser tier takes
    /// them up.
    fn kept(&self, width_ms: i64) -> (i64, bool) {
        let finer = self.tiers().take_while(|tier| tier.0 <= width_ms).last();
        let coarser = self.tiers().any(|tier| tier.0 > width_ms);
        (finer.map_or(self.retention_ms, |tier| tier.1), coarser)
    }

    /// How long anything is kept.
    pub(crate) fn longest_retention_ms(&self) -> i64 {
        self.tiers().last().map_or(self.retention_ms, |tier| tier.1)
    }
}

impl State {
    /// Notes that there is a file of a tier, sound or not.
    pub(crate) fn condensed(&mut self, width_ms: i64, day: i64) {
        let until_ms = day.saturating_add(1).saturating_mul(DAY_MS);
        let held = self.tiers.entry(width_ms).or_insert(NEVER_MS);
        *held = until_ms.max(*held);
    }

    /// Up to which time coarser tiers stand for files of slices of this width, those of samples having none.
    pub(crate) fn superseded_ms(&self, width_ms: i64) -> i64 {
        let coarser = self.tiers.range(width_ms + 1..);
        coarser.map(|(_, until_ms)| *until_ms).max().unwrap_or(NEVER_MS)
    }

    /// Lets go of the files that coarser tiers stand for; they are then to be removed.
    fn supersede(&mut self) {
        let blocks = std::mem::take(&mut self.blocks);
        let (gone, kept): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| block.max_ms < self.superseded_ms(block.width_ms));
        self.blocks = kept;
        for block in gone {
            self.removals += 1;
            self.removed_before_ms = self.removed_before_ms.max(block.max_ms);
            self.superseded.push(block.path().to_path_buf());
        }
    }
}

impl Store {
    /// In what detail the samples after `min_ms_exclusive` and up to `max_ms_inclusive` are known.
    #[must_use]
    pub fn resolution(&self, min_ms_exclusive: i64, max_ms_inclusive: i64) -> Resolution {
        let state = self.read();
        let mut records = Vec::new();
        let mut reached_ms = min_ms_exclusive.saturating_add(1);
        // The coarsest are the oldest.
        for (width_ms, until_ms) in state.tiers.iter().rev() {
            if reached_ms < *until_ms && reached_ms <= max_ms_inclusive {
                records.push((*until_ms, *width_ms));
                reached_ms = *until_ms;
            }
        }
        let kept_ms = self.options.longest_retention_ms();
        let begins_before =
            state.now_ms != NEVER_MS && min_ms_exclusive < state.now_ms.saturating_sub(kept_ms);
        Resolution {
            records,
            kept_ms: begins_before.then_some(kept_ms),
        }
    }
}
