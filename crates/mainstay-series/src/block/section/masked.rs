//! Series of a block file of which something was deleted.

use super::{Cursor, Place, Placed, Section};
use crate::error::SeriesError;
use crate::known::Known;

/// What a file holds of a series, in a range of time and out of it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Parted {
    pub(crate) inside: u64,
    pub(crate) outside: u64,
}

impl Cursor<'_> {
    /// The series without what was deleted; `None` if nothing is left. Costs the reading of the chunks that lie at the
    /// edge of a deleted range; what is known of the others still holds.
    pub(super) fn left_of(&self, id: u32, section: Section) -> Result<Option<Section>, SeriesError> {
        let Some(deleted) = self.mask.get(&id) else {
            return Ok(Some(section));
        };
        let mut chunks = Vec::with_capacity(section.chunks.len());
        for placed in section.chunks {
            if !deleted.touch(placed.min_ms, placed.max_ms) {
                chunks.push(placed);
            } else if !deleted.cover(placed.min_ms, placed.max_ms) {
                let rest = self.chunk_without(&placed, |from_ms, to_ms| deleted.touch(from_ms, to_ms))?;
                chunks.extend(rest);
            }
        }
        let times = chunks.iter().map(|placed| (placed.min_ms, placed.max_ms));
        let span = times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        Ok(span.map(|(min_ms, max_ms)| Section {
            min_ms,
            max_ms,
            // The chunks know.
            known: Known::Unread,
            chunks,
        }))
    }

    fn chunk_without(
        &self,
        placed: &Placed,
        gone: impl Fn(i64, i64) -> bool,
    ) -> Result<Option<Placed>, SeriesError> {
        let left = self.load(placed)?.without(gone)?;
        Ok(left.map(|(chunk, known)| Placed {
            kind: chunk.kind,
            min_ms: chunk.min_ms,
            max_ms: chunk.max_ms,
            known,
            count: chunk.count,
            place: Place::Here(chunk),
        }))
    }

    /// How many samples the series has from `min_ms` to `max_ms`, both included, and how many elsewhere.
    pub(crate) fn parted(&mut self, id: u32, min_ms: i64, max_ms: i64) -> Result<Parted, SeriesError> {
        let mut parted = Parted::default();
        let Some(section) = self.section(id, |_, _, _| true)? else {
            return Ok(parted);
        };
        let inside = |t_ms: i64| t_ms >= min_ms && t_ms <= max_ms;
        for placed in &section.chunks {
            let count = u64::from(placed.count);
            if placed.min_ms > max_ms || placed.max_ms < min_ms {
                parted.outside += count;
            } else if inside(placed.min_ms) && inside(placed.max_ms) {
                parted.inside += count;
            } else {
                let left =
                    self.chunk_without(placed, |from_ms, to_ms| from_ms <= max_ms && to_ms >= min_ms)?;
                let left = left.map_or(0, |left| u64::from(left.count));
                parted.outside += left;
                parted.inside += count.saturating_sub(left);
            }
        }
        Ok(parted)
    }

    /// Time and bits of the newest sample of the series but for those from `min_ms` to `max_ms`. Decodes a chunk or two.
    pub(crate) fn newest_without(
        &mut self,
        id: u32,
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Option<(i64, u64)>, SeriesError> {
        let Some(mut section) = self.section(id, |_, _, _| true)? else {
            return Ok(None);
        };
        section.chunks.sort_by_key(|placed| placed.max_ms);
        let mut newest: Option<(i64, u64)> = None;
        for placed in section.chunks.iter().rev() {
            if newest.is_some_and(|newest| newest.0 >= placed.max_ms) {
                break;
            }
            // Nothing of it stays: it need not even be sound.
            if placed.min_ms >= min_ms && placed.max_ms <= max_ms {
                continue;
            }
            let left = self
                .load(placed)?
                .without(|from_ms, to_ms| from_ms <= max_ms && to_ms >= min_ms)?;
            if let Some((left, _)) = left {
                newest = newest.max(left.last()?);
            }
        }
        Ok(newest)
    }
}
