//! `tombstones`: what was deleted of block files that were not written anew since.
//!
//! ```text
//! passed uint       deletions in the log up to this position are in here
//! floor uint        no new block file may have a number up to this
//! count | per file: number uint | count | per series: id difference | ranges count | (min int | max int)…
//! ```
//! A deletion is a record in the log first ([`crate::record::Deletion`]): that makes it durable, and what it takes from
//! memory is taken again when the log is read back. This file keeps the part about block files once the log forgets it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mainstay_segment::{Lsn, Sealed, SealedWriter};

use crate::codec::{Reader, put_int, put_uint};
use crate::error::SeriesError;

const MAGIC: [u8; 8] = *b"MSTYTOMB";
const VERSION: u32 = 1;
const MAX_INDEX_BYTES: u64 = 1 << 30;
/// The file's name.
pub(crate) const FILE: &str = "tombstones";

/// Closed ranges of time, in rising order, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(i64, i64)>);

/// What was deleted of a file, by id. Everything of a series is deleted if its range is [`Ranges::all`].
pub(crate) type Mask = BTreeMap<u32, Ranges>;

impl Ranges {
    pub(crate) fn all() -> Self {
        Self(vec![(i64::MIN, i64::MAX)])
    }

    pub(crate) fn are_all(&self) -> bool {
        self.0.first() == Some(&(i64::MIN, i64::MAX))
    }

    /// Adds a range; those that it meets become one with it.
    pub(crate) fn add(&mut self, min_ms: i64, max_ms: i64) {
        let from = self.0.partition_point(|held| held.1.saturating_add(1) < min_ms);
        let to = self.0.partition_point(|held| held.0 <= max_ms.saturating_add(1));
        let met = self.0.get(from..to).unwrap_or_default();
        let min_ms = met.first().map_or(min_ms, |first| first.0.min(min_ms));
        let max_ms = met.last().map_or(max_ms, |last| last.1.max(max_ms));
        self.0.splice(from..to.max(from), [(min_ms, max_ms)]);
    }

    /// Whether any moment from `min_ms` to `max_ms` is in them.
    pub(crate) fn touch(&self, min_ms: i64, max_ms: i64) -> bool {
        let at = self.0.partition_point(|held| held.1 < min_ms);
        self.0.get(at).is_some_and(|held| held.0 <= max_ms)
    }

    /// Whether every moment from `min_ms` to `max_ms` is in them.
    pub(crate) fn cover(&self, min_ms: i64, max_ms: i64) -> bool {
        let at = self.0.partition_point(|held| held.1 < max_ms);
        self.0.get(at).is_some_and(|held| held.0 <= min_ms)
    }
}

/// About what a mask takes in memory and on the disk, in bytes.
pub(crate) fn bytes(mask: &Mask) -> u64 {
    mask.values().map(|ranges| 48 + 16 * ranges.0.len() as u64).sum()
}

/// The file's content.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tombstones {
    /// Deletions up to this position of the log are in `files`, as far as they are about files.
    pub(crate) passed: Lsn,
    /// The largest number that a block file had at any deletion: none may be used twice.
    pub(crate) floor: u64,
    /// By the numbers of block files.
    pub(crate) files: BTreeMap<u64, Arc<Mask>>,
}

impl Tombstones {
    /// Puts it in the place of the one before, at once or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), SeriesError> {
        let mut out = Vec::new();
        put_uint(&mut out, self.passed.get());
        put_uint(&mut out, self.floor);
        put_uint(&mut out, self.files.len() as u64);
        for (number, mask) in &self.files {
            put_uint(&mut out, *number);
            put_uint(&mut out, mask.len() as u64);
            let mut before = 0;
            for (id, Ranges(ranges)) in &**mask {
                put_uint(&mut out, u64::from(id.wrapping_sub(before)));
                before = *id;
                put_uint(&mut out, ranges.len() as u64);
                for (min_ms, max_ms) in ranges {
                    put_int(&mut out, *min_ms);
                    put_int(&mut out, *max_ms);
                }
            }
        }
        SealedWriter::create(path, MAGIC, VERSION)?.finish(&out)?;
        Ok(())
    }

    pub(crate) fn read(path: &Path) -> Result<Self, SeriesError> {
        let file = Sealed::open(path, MAGIC, VERSION, MAX_INDEX_BYTES)?;
        let mut reader = Reader::new(file.index(), "list of deletions");
        let mut tombstones = Self {
            passed: Lsn::new(reader.uint()?),
            floor: reader.uint()?,
            files: BTreeMap::new(),
        };
        for _ in 0..reader.count()? {
            let number = reader.uint()?;
            let mut mask = Mask::new();
            let mut id = 0u32;
            for _ in 0..reader.count()? {
                id = id.wrapping_add(reader.u32()?);
                let mut ranges = Ranges::default();
                for _ in 0..reader.count()? {
                    ranges.add(reader.int()?, reader.int()?);
                }
                mask.insert(id, ranges);
            }
            tombstones.files.insert(number, Arc::new(mask));
        }
        Ok(tombstones)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_the_moments_that_were_added(added in prop::collection::vec((0i64..40, 0i64..9), 0..12), min_ms in 0i64..50, span_ms in 0i64..9) {
            let mut ranges = Ranges::default();
            let mut moments = BTreeSet::new();
            for (min_ms, span_ms) in added {
                ranges.add(min_ms, min_ms + span_ms);
                moments.extend(min_ms..=min_ms + span_ms);
            }
            let mut asked = min_ms..=min_ms + span_ms;
            prop_assert_eq!(ranges.touch(min_ms, min_ms + span_ms), asked.clone().any(|t_ms| moments.contains(&t_ms)));
            prop_assert_eq!(ranges.cover(min_ms, min_ms + span_ms), asked.all(|t_ms| moments.contains(&t_ms)));
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{ranges:?} is in as few parts as can be");
            let dir = tempfile::tempdir().expect("a directory");
            let written = Tombstones {
                passed: Lsn::new(7),
                floor: 9,
                files: BTreeMap::from([(3, Arc::new(Mask::from([(5, ranges), (70, Ranges::all())])))]),
            };
            written.write(&dir.path().join(FILE)).expect("written");
            prop_assert_eq!(Tombstones::read(&dir.path().join(FILE)).expect("reads"), written);
        }
    }
}
