//! Native histograms: taking their samples in, and their place in the stored state.

use mainstay_kernel::{Histogram, Labels, is_stale};

use super::node::Link;
use super::slices::Pass;
use super::snapshot::{decode_counter, encode_counter};
use super::{Series, SeriesRef, Sli, SloEngine};
use crate::codec::{Reader, Writer};
use crate::counter::Verdict;
use crate::error::SloError;
use crate::latency::{Effects, Observations, Sided};
use crate::reading::{Op, Threshold};
use crate::sli::Role;
use crate::tally::Tally;

impl Link {
    /// The threshold that observations are held against, where the series is a native histogram of its indicator.
    fn observes(&self) -> Option<Threshold> {
        match self.role {
            Some(Role::Histogram(threshold)) => Some(threshold),
            _ => None,
        }
    }
}

impl SloEngine {
    /// Counts one sample of a watched series that is a native histogram; `None` if the handle is no longer valid (watch the
    /// series again), or if nothing takes its observations.
    pub fn on_histogram(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        histogram: &Histogram,
        created_ms: Option<i64>,
    ) -> Option<Verdict> {
        if series.generation != self.generation {
            return None;
        }
        let (lateness, max_gap_ms) = (self.settings.lateness, self.settings.max_gap_ms());
        let in_flight_ms = self.settings.scrape_interval_ms;
        let Series { observed, links, .. } = self.series.get_mut(series.index as usize)?;
        let mut verdict = None;
        let mut taken: Vec<Threshold> = Vec::new();
        for link in links.iter() {
            let Some(threshold) = link.observes() else {
                continue;
            };
            if is_stale(histogram.sum) {
                verdict = Some(Verdict::Stale);
                self.slis[link.sli].miss(link, t_ms, in_flight_ms);
                continue;
            }
            // Indicators with one threshold share what is known of the series.
            if taken.contains(&threshold) {
                continue;
            }
            taken.push(threshold);
            let at = match observed.iter().position(|(other, _)| *other == threshold) {
                Some(at) => at,
                None => {
                    observed.push((threshold, Observations::default()));
                    observed.len() - 1
                }
            };
            let observations = &mut observed[at].1;
            let (met, placed) =
                observations.on_sample(t_ms, histogram, threshold.value(), created_ms, lateness);
            verdict = Some(met);
            let Some(placed) = placed else {
                continue;
            };
            for link in links.iter().filter(|link| link.observes() == Some(threshold)) {
                let sli = &mut self.slis[link.sli];
                let effects = observed[at].1.effects(placed, sli.counting, lateness);
                sli.observe(link, t_ms, effects, max_gap_ms);
                sli.follow(link, t_ms, effects[0].1.all, in_flight_ms);
            }
        }
        self.ingested.note(verdict?);
        verdict
    }
}

impl SloEngine {
    /// Counts one sample of any series that is a native histogram, and gives the handle of the series if any indicator looks at
    /// it.
    pub fn count_histogram(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        histogram: &Histogram,
        created_ms: Option<i64>,
    ) -> Option<SeriesRef> {
        let series = self.meet(labels, t_ms)?;
        self.on_histogram(series, t_ms, histogram, created_ms);
        Some(series)
    }
}

impl Sli {
    /// Counts what a sample of a native histogram adds, in every group of its series.
    fn observe(&mut self, link: &Link, t_ms: i64, effects: Effects, max_gap_ms: i64) {
        self.advance(t_ms);
        let pass = Pass {
            edges: self.tiers,
            max_gap_ms,
            marked: self.definition.events.marked(),
            slicings: &self.slicings,
        };
        let mut stirs = false;
        for node in &link.nodes {
            let node = &mut self.nodes[*node as usize];
            let side = |of: fn(Sided) -> Tally| effects.map(|(at_ms, sided)| (at_ms, of(sided)));
            stirs |= node.count([true, false], t_ms, &side(|sided| sided.good), pass);
            stirs |= node.count([false, true], t_ms, &side(|sided| sided.all), pass);
        }
        self.stirred = self.stirred.wrapping_add(u32::from(stirs));
    }
}

/// Whether there is anything to write.
pub(super) fn are_any(series: &[Series]) -> bool {
    series.iter().any(|one| !one.observed.is_empty())
}

pub(super) fn encode(out: &mut Writer, series: &[Series]) {
    for one in series {
        out.len(one.observed.len());
        for (threshold, observed) in &one.observed {
            out.u64(threshold.value().to_bits());
            observed.encode(out, encode_counter);
        }
    }
}

/// Reads what [`encode`] wrote of these series.
pub(super) fn decode(input: &mut Reader<'_>, series: &mut [Series]) -> Result<(), SloError> {
    for one in series {
        for _ in 0..input.len()? {
            let threshold = Threshold::new(Op::Lte, f64::from_bits(input.u64()?));
            let threshold =
                threshold.ok_or_else(|| SloError::Snapshot("a threshold is no number".to_owned()))?;
            one.observed
                .push((threshold, Observations::decode(input, decode_counter)?));
        }
    }
    Ok(())
}
