//! What was seen and what was not: a stretch without samples is unknown, which is neither good nor bad.

use std::collections::VecDeque;

use crate::codec::{Reader, Writer};
use crate::error::SloError;
use crate::prefix::RETENTION_MS;

/// The most stretches kept per group; beyond it the two oldest become one, with what lies between them: unknown may
/// grow by that, never shrink.
const GAPS_MAX: usize = 512;

/// When samples of one group arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    seen: Option<Seen>,
    /// Stretches without samples, oldest first, `(from, to)` in milliseconds.
    gaps: VecDeque<(i64, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    first_ms: i64,
    last_ms: i64,
}

impl Coverage {
    /// Takes note of a sample of `t_ms`; samples further apart than `max_gap_ms` leave a gap. Says which stretch around
    /// the sample is known now and was not before: it reaches to the samples next to it, where no gap is in between.
    pub(crate) fn on_sample(&mut self, t_ms: i64, max_gap_ms: i64) -> Option<(i64, i64)> {
        let Some(seen) = &mut self.seen else {
            self.seen = Some(Seen {
                first_ms: t_ms,
                last_ms: t_ms,
            });
            return Some((t_ms, t_ms));
        };
        let mut known = Some((t_ms, t_ms));
        if t_ms > seen.last_ms {
            if t_ms - seen.last_ms > max_gap_ms {
                self.gaps.push_back((seen.last_ms, t_ms));
            } else {
                known = Some((seen.last_ms, t_ms));
            }
            seen.last_ms = t_ms;
        } else if t_ms < seen.first_ms {
            if seen.first_ms - t_ms > max_gap_ms {
                self.gaps.push_front((t_ms, seen.first_ms));
            } else {
                known = Some((t_ms, seen.first_ms));
            }
            seen.first_ms = t_ms;
        } else {
            known = self.split(t_ms, max_gap_ms);
        }
        while self
            .gaps
            .front()
            .is_some_and(|gap| gap.1 < t_ms.saturating_sub(RETENTION_MS))
        {
            self.gaps.pop_front();
        }
        if self.gaps.len() > GAPS_MAX
            && let Some(oldest) = self.gaps.pop_front()
            && let Some(next) = self.gaps.front_mut()
        {
            next.0 = oldest.0;
        }
        known
    }

    /// A late sample inside a gap divides it.
    fn split(&mut self, t_ms: i64, max_gap_ms: i64) -> Option<(i64, i64)> {
        let index = self.gaps.partition_point(|gap| gap.1 <= t_ms);
        let gap = self.gaps.get(index).copied().filter(|gap| gap.0 < t_ms)?;
        self.gaps.remove(index);
        let mut known = (t_ms, t_ms);
        for part in [(t_ms, gap.1), (gap.0, t_ms)] {
            if part.1 - part.0 > max_gap_ms {
                self.gaps.insert(index, part);
            } else {
                known = (known.0.min(part.0), known.1.max(part.1));
            }
        }
        Some(known)
    }

    /// When the first and the last sample were taken.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        self.seen.map(|seen| seen.first_ms)
    }

    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.seen.map(|seen| seen.last_ms)
    }

    /// Since when nothing has been seen, if that is longer than `max_gap_ms` at `now_ms`.
    pub(crate) fn blind_since(&self, now_ms: i64, max_gap_ms: i64) -> Option<i64> {
        let last_ms = self.seen?.last_ms;
        (now_ms.saturating_sub(last_ms) > max_gap_ms).then_some(last_ms)
    }

    /// The gaps that reach into the window, cut to it.
    pub(crate) fn gaps(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64)> + '_ {
        let first = self.gaps.partition_point(move |gap| gap.1 <= from_ms);
        self.gaps
            .range(first..)
            .take_while(move |gap| gap.0 < to_ms)
            .map(move |gap| (gap.0.max(from_ms), gap.1.min(to_ms)))
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        out.option(self.first_ms());
        out.option(self.last_ms());
        out.len(self.gaps.len());
        for gap in &self.gaps {
            out.i64(gap.0);
            out.i64(gap.1);
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let first = input.option()?;
        let last = input.option()?;
        let mut gaps = VecDeque::new();
        for _ in 0..input.len()? {
            gaps.push_back((input.i64()?, input.i64()?));
        }
        let seen = first
            .zip(last)
            .map(|(first_ms, last_ms)| Seen { first_ms, last_ms });
        Ok(Self { seen, gaps })
    }
}

/// The length of the union of stretches, in milliseconds.
pub(crate) fn union_ms(mut stretches: Vec<(i64, i64)>) -> i64 {
    stretches.sort_unstable();
    let mut total = 0;
    let mut reached = i64::MIN;
    for (from, to) in stretches {
        total += (to - from.max(reached)).max(0);
        reached = reached.max(to);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sample_divides_a_gap() {
        let mut coverage = Coverage::default();
        for (t, known) in [(0, (0, 0)), (15, (0, 15)), (100, (100, 100)), (115, (100, 115))] {
            assert_eq!(coverage.on_sample(t, 45), Some(known));
        }
        assert_eq!(coverage.gaps(0, 1_000).collect::<Vec<_>>(), [(15, 100)]);
        assert_eq!(coverage.on_sample(50, 45), Some((15, 50)));
        assert_eq!(coverage.gaps(0, 1_000).collect::<Vec<_>>(), [(50, 100)]);
        assert_eq!(coverage.on_sample(60, 45), Some((50, 100)));
        assert_eq!(coverage.on_sample(61, 45), None);
        assert_eq!(coverage.gaps(0, 1_000).count(), 0);
        assert_eq!(coverage.blind_since(160, 45), None);
        assert_eq!(coverage.blind_since(161, 45), Some(115));
    }

    #[test]
    fn stretches_that_overlap_count_once() {
        assert_eq!(union_ms(vec![(5, 10), (0, 7), (20, 30)]), 20);
        assert_eq!(union_ms(Vec::new()), 0);
    }
}
