//! Taking samples out of the middle of what memory holds.

use super::{HeadSamples, Tail};
use crate::error::SeriesError;
use crate::state::HISTOGRAM_BITS;

impl HeadSamples {
    /// Takes out the samples from `min_ms` to `max_ms`, both included, and says how many they were. A chunk that does not
    /// decode is an error, and nothing is taken out.
    pub(crate) fn erase(&mut self, min_ms: i64, max_ms: i64) -> Result<u64, SeriesError> {
        let gone = |t_ms: i64| t_ms >= min_ms && t_ms <= max_ms;
        let before = self.len();
        let mut sealed = Vec::with_capacity(self.sealed.len());
        for chunk in &self.sealed {
            if chunk.min_ms > max_ms || chunk.max_ms < min_ms {
                sealed.push(chunk.clone());
            } else if !(gone(chunk.min_ms) && gone(chunk.max_ms)) {
                let left = chunk.without(|from_ms, to_ms| from_ms <= max_ms && to_ms >= min_ms)?;
                sealed.extend(left.map(|(left, _)| left));
            }
        }
        self.sealed = sealed;
        if self.tail.iter().any(|held| gone(held.0)) {
            let kept: Vec<_> = self
                .tail
                .take()
                .into_iter()
                .filter(|held| !gone(held.0))
                .collect();
            self.tail = Tail::default();
            for (t_ms, value) in kept {
                self.tail.push(t_ms, value);
            }
        }
        if let Some(side) = &mut self.side {
            side.late.retain(|held| !gone(held.0));
            side.histograms.retain(|held| !gone(held.0));
        }
        // What comes next must still go behind everything that is there.
        let tail = self.tail.iter().next_back().map(|held| held.0);
        let newest = self.sealed.iter().map(|chunk| chunk.max_ms).chain(tail).max();
        self.newest_ms = newest.unwrap_or(i64::MIN);
        Ok((before - self.len()) as u64)
    }

    /// How many samples [`HeadSamples::erase`] would take out.
    pub(crate) fn count(&self, min_ms: i64, max_ms: i64) -> Result<u64, SeriesError> {
        self.clone().erase(min_ms, max_ms)
    }

    /// Time and bits of the newest sample.
    pub(crate) fn newest(&self) -> Result<Option<(i64, u64)>, SeriesError> {
        let tail = self.tail.iter().next_back();
        let side = self.side.as_deref();
        let late = side.and_then(|side| side.late.last().copied());
        let histogram = side.and_then(|side| side.histograms.last());
        let floats = tail
            .into_iter()
            .chain(late)
            .map(|held| (held.0, held.1.to_bits()));
        let mut newest = floats
            .chain(histogram.map(|held| (held.0, HISTOGRAM_BITS)))
            .max_by_key(|held| held.0);
        for chunk in &self.sealed {
            if newest.is_some_and(|newest| newest.0 >= chunk.max_ms) {
                continue;
            }
            newest = chunk.last()?;
        }
        Ok(newest)
    }
}
