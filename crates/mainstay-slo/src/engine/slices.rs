//! Time slices of a group: sums of their own, brought up to date whenever the events in a slice or what was seen of it
//! change. What a slice counted as before is read back from these sums, so nothing is kept per slice.

use mainstay_kernel::Ratio;

use super::node::{Link, Node};
use super::{Series, Sli};
use crate::codec::{Reader, Writer};
use crate::counter::{Lateness, Verdict};
use crate::error::SloError;
use crate::prefix::{Edges, PrefixSums};
use crate::reading::{MILLION, Readings, bad_millionths};
use crate::sli::{Marked, Role};
use crate::slice::{Budgeting, Unit};
use crate::tally::Counts;
use crate::window::Bounds;

/// What holds for every group of an indicator while a sample is counted.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) edges: Edges,
    pub(super) max_gap_ms: i64,
    pub(super) marked: Marked,
    pub(super) slicings: &'a [Budgeting],
}

/// Bad events and all, of a sum of marked ones and all.
pub(super) fn bad_of(marks: Marked, [marked, total]: [u64; 2]) -> Counts {
    let bad = match marks {
        Marked::Bad => marked,
        Marked::Good => total.saturating_sub(marked),
    };
    Counts { bad, total }
}

/// The end of the slice that an instant is in.
fn end_of_slice(t_ms: i64, width_ms: i64) -> i64 {
    let into = t_ms.rem_euclid(width_ms);
    if into == 0 { t_ms } else { t_ms - into + width_ms }
}

/// The last end of a slice at or before an instant.
pub(super) fn slice_edge(t_ms: i64, width_ms: i64) -> i64 {
    t_ms - t_ms.rem_euclid(width_ms)
}

impl Node {
    /// Judges slices anew: those in which events changed, and those in the stretch that is known now and was not before.
    pub(super) fn reslice(&mut self, known: Option<(i64, i64)>, changed: [Option<i64>; 2], pass: Pass<'_>) {
        for (budgeting, sums) in pass.slicings.iter().zip(&mut self.slices) {
            let Some(width_ms) = budgeting.width_ms() else {
                continue;
            };
            let mut judge = |end_ms, seen| judge_slice(&self.counts, sums, *budgeting, end_ms, seen, pass);
            if let Some((from_ms, to_ms)) = known {
                let (first, last) = (end_of_slice(from_ms, width_ms), end_of_slice(to_ms, width_ms));
                // Within one slice, the sample next to this one was seen in it already.
                let mut end_ms = if first == last && from_ms != to_ms {
                    last.saturating_add(1)
                } else {
                    first
                };
                while end_ms <= last {
                    judge(end_ms, true);
                    end_ms += width_ms;
                }
            }
            for t_ms in changed.into_iter().flatten() {
                judge(end_of_slice(t_ms, width_ms), false);
            }
            sums.thin_out(pass.edges);
        }
    }

    /// Counts a sample that is an event by itself.
    fn sample(&mut self, t_ms: i64, amounts: [i64; 2], pass: Pass<'_>) {
        self.retired = false;
        let known = self.coverage.on_sample(t_ms, pass.max_gap_ms);
        self.counts.add(t_ms, amounts);
        self.counts.thin_out(pass.edges);
        self.reslice(known, [Some(t_ms), None], pass);
    }
}

/// Replaces what the slice that ends at `end_ms` counted as. `seen`: it is seen from now on; otherwise it is judged only if
/// it was seen before.
fn judge_slice(
    counts: &PrefixSums<2>,
    sums: &mut PrefixSums<2>,
    budgeting: Budgeting,
    end_ms: i64,
    seen: bool,
    pass: Pass<'_>,
) {
    let start_ms = end_ms - budgeting.width_ms().unwrap_or_default();
    let was = sums.window(pass.edges, start_ms, end_ms);
    // Where that had to be widened, slices cannot be told apart any more: what they count as stays.
    if (was.from_ms, was.to_ms) != (start_ms, end_ms) || (was.sums[1] == 0 && !seen) {
        return;
    }
    let events = counts.window(pass.edges, start_ms, end_ms).sums;
    let is = budgeting.judge(bad_of(pass.marked, events));
    let change = |is: u64, was: u64| is.cast_signed().wrapping_sub(was.cast_signed());
    sums.add(
        end_ms,
        [change(is.bad, was.sums[0]), change(is.total, was.sums[1])],
    );
}

impl Link {
    /// Whether the series is a counter of its indicator, or of its witness.
    pub(super) fn counts(&self) -> bool {
        matches!(self.role, None | Some(Role::Counter { .. }))
    }

    /// Whether each sample of the series is an event.
    pub(super) fn reads(&self) -> bool {
        matches!(self.role, Some(Role::Gauge(_) | Role::Share(_)))
    }

    /// Bad and all of a sample that is an event; `None` where it is none.
    pub(super) fn amounts(&self, value: f64) -> Option<[i64; 2]> {
        let (bad, total) = match self.role? {
            Role::Gauge(good) => (u64::from(!good.is_kept_by(value)), 1),
            Role::Share(marked) => (bad_millionths(value, marked)?, MILLION),
            Role::Counter { .. } | Role::Histogram(_) => return None,
        };
        Some([bad.cast_signed(), total.cast_signed()])
    }
}

/// Takes in a sample of a series whose samples are events.
pub(super) fn read(
    readings: &mut Option<Box<Readings>>,
    links: &[Link],
    t_ms: i64,
    value: f64,
    lateness: Lateness,
) -> Verdict {
    let is_none = !mainstay_kernel::is_stale(value) && links.iter().all(|link| link.amounts(value).is_none());
    if is_none {
        return Verdict::NotACount;
    }
    readings.get_or_insert_default().on_sample(t_ms, value, lateness)
}

impl Sli {
    /// Counts a sample that is an event by itself, in every group of its series.
    pub(super) fn sample(&mut self, link: &Link, t_ms: i64, value: f64, max_gap_ms: i64) {
        let Some(amounts) = link.amounts(value) else {
            return;
        };
        self.advance(t_ms);
        let pass = Pass {
            edges: self.tiers,
            max_gap_ms,
            marked: self.definition.events.marked(),
            slicings: &self.slicings,
        };
        for node in &link.nodes {
            self.nodes[*node as usize].sample(t_ms, amounts, pass);
        }
    }

    /// Takes other slicings. Those that it had keep their sums, new ones start with the next slice.
    pub(super) fn slice_by(&mut self, slicings: Vec<Budgeting>) {
        if self.slicings == slicings {
            return;
        }
        let former = std::mem::replace(&mut self.slicings, slicings);
        for node in &mut self.nodes {
            let mut sums: Vec<Option<PrefixSums<2>>> =
                std::mem::take(&mut node.slices).into_iter().map(Some).collect();
            let kept = |slicing: &Budgeting| {
                let place = former.iter().position(|known| known == slicing)?;
                sums.get_mut(place)?.take()
            };
            node.slices = self
                .slicings
                .iter()
                .map(kept)
                .map(Option::unwrap_or_default)
                .collect();
        }
    }

    /// Which of the sums of its groups an objective reads: its events, or slices.
    pub(super) fn column(&self, budgeting: Budgeting) -> Option<usize> {
        self.slicings.iter().position(|slicing| *slicing == budgeting)
    }

    /// A group's counts after `from_ms` up to `to_ms`, in events or in the slices that ended in between, and between which
    /// edges they are exact.
    pub(super) fn read(
        &self,
        node: &Node,
        column: Option<usize>,
        from_ms: i64,
        to_ms: i64,
    ) -> (Bounds, Counts) {
        let slices = column.and_then(|column| Some((node.slices.get(column)?, self.slicings.get(column)?)));
        let (span, counts) = match (column, slices) {
            (None, _) => {
                let span = node.counts.window(self.tiers, from_ms, to_ms);
                (span, bad_of(self.definition.events.marked(), span.sums))
            }
            (Some(_), Some((sums, slicing))) => {
                let width_ms = slicing.width_ms().unwrap_or(1);
                let (from_ms, to_ms) = (slice_edge(from_ms, width_ms), slice_edge(to_ms, width_ms));
                let span = sums.window(self.tiers, from_ms, to_ms);
                (span, bad_of(Marked::Bad, span.sums))
            }
            // A group of which nothing was ever seen.
            (Some(_), None) => (
                PrefixSums::default().window(self.tiers, from_ms, to_ms),
                Counts::default(),
            ),
        };
        let bounds = Bounds {
            start_ms: span.from_ms,
            end_ms: span.to_ms,
        };
        (bounds, counts)
    }
}

/// What an indicator's events are, as the stored state says it.
const STORED_UNITS: [Unit; 4] = [
    Unit::Events,
    Unit::Samples,
    Unit::SampleMillionths,
    Unit::Billionths,
];

/// Whether there is anything to write.
pub(super) fn are_any(slis: &[Sli], series: &[Series]) -> bool {
    let said = |sli: &Sli| !sli.slicings.is_empty() || sli.unit != Unit::Events;
    slis.iter().any(said) || series.iter().any(|one| one.readings.is_some())
}

/// Writes what time slices count as, and the samples that are events.
pub(super) fn encode(out: &mut Writer, slis: &[Sli], series: &[Series]) {
    for sli in slis {
        let unit = STORED_UNITS.iter().position(|unit| *unit == sli.unit);
        out.len(unit.unwrap_or_default());
        out.len(sli.slicings.len());
        for slicing in &sli.slicings {
            let target = match slicing {
                Budgeting::Timeslices { target, .. } => *target,
                Budgeting::Occurrences | Budgeting::RatioTimeslices { .. } => Ratio::ZERO,
            };
            out.i64(slicing.width_ms().unwrap_or_default());
            out.u64(target.numerator());
            out.u64(target.denominator());
        }
        let sums = sli.nodes.iter().flat_map(|node| &node.slices);
        sums.for_each(|sums| sums.encode(out));
    }
    for one in series {
        out.bool(one.readings.is_some());
        if let Some(readings) = &one.readings {
            out.bool(readings.trimmed);
            out.len(readings.recent.len());
            for (t_ms, bits) in &readings.recent {
                out.i64(*t_ms);
                out.u64(*bits);
            }
        }
    }
}

/// Reads what [`encode`] wrote of these indicators and series.
pub(super) fn decode(
    input: &mut Reader<'_>,
    slis: &mut [Sli],
    series: &mut [Series],
) -> Result<(), SloError> {
    let broken = |what: &str| SloError::Snapshot(what.to_owned());
    for sli in slis {
        let unit = usize::try_from(input.u64()?).unwrap_or(usize::MAX);
        sli.unit = *STORED_UNITS
            .get(unit)
            .ok_or_else(|| broken("an indicator counts nothing that is known"))?;
        for _ in 0..input.len()? {
            let width_ms = input.i64()?;
            let target = Ratio::new(input.u64()?, input.u64()?)
                .map_err(|_| broken("a slice has a target that is no ratio"))?;
            // The target of a good slice is above 0.
            let slicing = if target == Ratio::ZERO {
                Budgeting::RatioTimeslices { width_ms }
            } else {
                Budgeting::Timeslices { width_ms, target }
            };
            slicing
                .check(&sli.definition.name)
                .map_err(|error| broken(&error.to_string()))?;
            sli.slicings.push(slicing);
        }
        let slicings = sli.slicings.len();
        for node in &mut sli.nodes {
            let sums = (0..slicings).map(|_| PrefixSums::decode(input));
            node.slices = sums.collect::<Result<_, SloError>>()?;
        }
    }
    for one in series {
        if input.bool()? {
            let trimmed = input.bool()?;
            let length = input.len()?;
            let recent = (0..length).map(|_| Ok((input.i64()?, input.u64()?)));
            let recent = recent.collect::<Result<_, SloError>>()?;
            one.readings = Some(Box::new(Readings { recent, trimmed }));
        }
    }
    Ok(())
}
