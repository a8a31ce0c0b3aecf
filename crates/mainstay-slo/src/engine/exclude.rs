//! Adjusted counts: those of a window less those of the stretches that do not count, all read off the same prefix sums.
//!
//! Quarter hours are told apart for 95 days; of what is older, slices end at full hours, and what is excluded is narrowed to
//! those: never more than was agreed, and each event once.
//!
//! A region is a group and a stretch of time. What several regions cover together is counted once: time is cut at their
//! edges, and in each piece the groups that are covered are added up by inclusion and exclusion, which is short because
//! two groups that differ in a label have nothing in common. Cost: the stretches inside the window, times the logarithm of
//! what is kept; nothing where a group has none.

use mainstay_kernel::{Labels, SloId};

use super::node::Node;
use super::{GroupWindow, Judge, Sli, SloEngine};
use crate::adjust::{Exclusion, QUARTER_HOUR_MS, merged, quarter_hours_around};
use crate::prefix::Edges;
use crate::tally::Counts;
use crate::window::Bounds;

/// Stretches by the group they are about, in the order of the groups' labels; the stretches of one group follow each
/// other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Regions(Vec<(Labels, Vec<Bounds>)>);

/// A stretch of a group that does not count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExcludedStretch {
    /// The group, or the part of it that is excluded.
    pub group: Labels,
    /// When, cut to the window.
    pub stretch: Bounds,
}

impl ExcludedStretch {
    /// How long it is that at least one of them lasts, in milliseconds.
    #[must_use]
    pub fn length_ms(all: &[Self]) -> i64 {
        let stretches = merged(all.iter().map(|one| one.stretch).collect());
        stretches.iter().map(|stretch| stretch.length_ms()).sum()
    }
}

/// How one objective stood in one group over any time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Period {
    /// Everything that was counted.
    pub raw: GroupWindow,
    /// The same without what is excluded.
    pub adjusted: Counts,
    /// What is excluded, by group and time.
    pub excluded: Vec<ExcludedStretch>,
    /// How much of it nothing was seen, in milliseconds.
    pub unknown_ms: i64,
}

/// Where the bad events of a time belong. The parts add up to the raw count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shares {
    /// Bad events of stretches that do not count.
    pub excluded: i64,
    /// Bad events of each region given, in their order, without what an earlier one or an exclusion has already.
    pub parts: Vec<i64>,
    /// All others.
    pub background: i64,
}

impl Regions {
    fn of<'a>(stretches: impl Iterator<Item = (&'a Labels, Bounds)>) -> Self {
        let mut by_group: std::collections::BTreeMap<&Labels, Vec<Bounds>> =
            std::collections::BTreeMap::new();
        for (group, stretch) in stretches {
            by_group.entry(group).or_default().push(stretch);
        }
        let merged = by_group
            .into_iter()
            .map(|(group, stretches)| (group.clone(), merged(stretches)))
            .filter(|(_, stretches)| !stretches.is_empty());
        Self(merged.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything of it is about a group and ends after an instant.
    pub(super) fn reaches_past(&self, group: &Labels, at_ms: i64) -> bool {
        let late = |stretches: &[Bounds]| stretches.last().is_some_and(|last| last.end_ms > at_ms);
        self.0
            .iter()
            .any(|(place, stretches)| late(stretches) && common(group, place).is_some())
    }

    /// What of it lies in a group and a time: the groups as parts of `group`, the stretches cut to the time and narrowed
    /// to the slices that are still kept of it.
    fn within(&self, edges: Edges, group: &Labels, time: Bounds) -> Self {
        let parts = self.0.iter().filter_map(|(place, stretches)| {
            let part = common(group, place)?;
            let first = stretches.partition_point(|stretch| stretch.end_ms <= time.start_ms);
            let inside = stretches[first..]
                .iter()
                .take_while(|stretch| stretch.start_ms < time.end_ms);
            let cut = inside.map(|stretch| Bounds {
                start_ms: stretch.start_ms.max(time.start_ms),
                end_ms: stretch.end_ms.min(time.end_ms),
            });
            let narrowed = cut.map(|stretch| Bounds {
                start_ms: edges.around_ms(stretch.start_ms)[1],
                end_ms: edges.around_ms(stretch.end_ms)[0],
            });
            let cut: Vec<Bounds> = narrowed.filter(|stretch| stretch.length_ms() > 0).collect();
            (!cut.is_empty()).then_some((part, cut))
        });
        Self(parts.collect())
    }
}

/// Whole quarter hours only.
fn narrowed(stretch: Bounds) -> Bounds {
    let up = stretch.start_ms.saturating_add(QUARTER_HOUR_MS - 1);
    Bounds {
        start_ms: up - up.rem_euclid(QUARTER_HOUR_MS),
        end_ms: stretch.end_ms - stretch.end_ms.rem_euclid(QUARTER_HOUR_MS),
    }
}

/// Whole slices that hold it, and whole quarter hours at least.
fn widened(edges: Edges, stretch: Bounds) -> Bounds {
    let [start_ms, _] = quarter_hours_around(stretch.start_ms);
    let [_, end_ms] = quarter_hours_around(stretch.end_ms);
    Bounds {
        start_ms: edges.around_ms(start_ms)[0],
        end_ms: edges.around_ms(end_ms)[1],
    }
}

/// The group of what is in both; `None` where nothing is.
fn common(group: &Labels, place: &Labels) -> Option<Labels> {
    let mut both = group.clone();
    for (name, value) in place.iter() {
        match group.get(name) {
            Some(own) if own != value => return None,
            Some(_) => {}
            None => both.set(name, value),
        }
    }
    Some(both)
}

/// Whether `part` is inside `whole`.
fn is_inside(part: &Labels, whole: &Labels) -> bool {
    whole.iter().all(|(name, value)| part.get(name) == Some(value))
}

/// Marked and all events.
type Sums = [u64; 2];

fn add(a: Sums, b: Sums) -> Sums {
    [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])]
}

fn less(a: Sums, b: Sums) -> Sums {
    [a[0].saturating_sub(b[0]), a[1].saturating_sub(b[1])]
}

impl Sli {
    /// A group's counts in a window without what is excluded of it, and the edges between which they are exact. Of events what
    /// is excluded of any part goes; of time slices only where all of the group is excluded: the slices of a whole are not
    /// the sum of its parts'.
    pub(super) fn adjusted(
        &self,
        node: &Node,
        column: Option<usize>,
        excluded: &Regions,
        from_ms: i64,
        to_ms: i64,
    ) -> (Bounds, Counts) {
        if excluded.is_empty() {
            return self.read(node, column, from_ms, to_ms);
        }
        if column.is_none() {
            let (time, sums) = self.sums(node, from_ms, to_ms);
            let inside = excluded.within(self.tiers, &node.group, time);
            return (time, self.counts_of(less(sums, self.covered(&inside))));
        }
        let (time, counts) = self.read(node, column, from_ms, to_ms);
        let inside = excluded.within(self.tiers, &node.group, time).0;
        let whole = inside.into_iter().filter(|(group, _)| *group == node.group);
        let stretches = merged(whole.flat_map(|(_, stretches)| stretches).collect());
        let counts = stretches.into_iter().fold(counts, |counts, stretch| {
            let (_, gone) = self.read(node, column, stretch.start_ms, stretch.end_ms);
            Counts {
                bad: counts.bad.saturating_sub(gone.bad),
                total: counts.total.saturating_sub(gone.total),
            }
        });
        (time, counts)
    }

    fn counts_of(&self, sums: Sums) -> Counts {
        super::slices::bad_of(self.definition.events.marked(), sums)
    }

    /// The sums of a group's window, and the edges between which they are exact.
    fn sums(&self, node: &Node, from_ms: i64, to_ms: i64) -> (Bounds, Sums) {
        let span = node.counts.window(self.tiers, from_ms, to_ms);
        let time = Bounds {
            start_ms: span.from_ms,
            end_ms: span.to_ms,
        };
        (time, span.sums)
    }

    /// What regions cover, each event once.
    fn covered(&self, regions: &Regions) -> Sums {
        if let [(group, stretches)] = regions.0.as_slice() {
            let each = stretches.iter().map(|stretch| self.of_group(group, *stretch));
            return each.fold([0, 0], add);
        }
        let all = regions.0.iter().flat_map(|(_, stretches)| stretches);
        let mut edges: Vec<i64> = all
            .flat_map(|stretch| [stretch.start_ms, stretch.end_ms])
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let pieces = edges.windows(2).map(|edge| Bounds {
            start_ms: edge[0],
            end_ms: edge[1],
        });
        pieces.fold([0, 0], |sums, piece| {
            let covering = regions.0.iter().filter(|(_, stretches)| {
                let next = stretches.partition_point(|stretch| stretch.end_ms <= piece.start_ms);
                stretches
                    .get(next)
                    .is_some_and(|stretch| stretch.start_ms <= piece.start_ms)
            });
            let groups = covering.map(|(group, _)| group.clone()).collect();
            add(sums, self.of_groups(groups, piece))
        })
    }

    /// What several groups have together in a piece of time, by inclusion and exclusion.
    fn of_groups(&self, groups: Vec<Labels>, piece: Bounds) -> Sums {
        let mut outermost: Vec<Labels> = Vec::new();
        for group in groups {
            if !outermost.iter().any(|other| is_inside(&group, other)) {
                outermost.retain(|other| !is_inside(other, &group));
                outermost.push(group);
            }
        }
        let Some(first) = outermost.pop() else {
            return [0, 0];
        };
        let shared = outermost
            .iter()
            .filter_map(|other| common(&first, other))
            .collect();
        let others = less(self.of_groups(outermost, piece), self.of_groups(shared, piece));
        add(self.of_group(&first, piece), others)
    }

    fn of_group(&self, group: &Labels, piece: Bounds) -> Sums {
        let node = self.by_group.get(group).map(|node| &self.nodes[*node as usize]);
        node.map_or([0, 0], |node| self.sums(node, piece.start_ms, piece.end_ms).1)
    }

    /// Whether a place can be told apart by this indicator's groups.
    fn tells_apart(&self, place: &Labels) -> bool {
        place
            .iter()
            .all(|(name, _)| self.definition.group_by.iter().any(|label| label == name))
    }
}

impl Judge {
    /// What of `exclusions` is about this objective: for its budget, and for its burn alerts.
    pub(super) fn exclude(&mut self, sli: &Sli, exclusions: &[Exclusion]) {
        let ours = exclusions
            .iter()
            .filter(|one| one.of.is(&self.objective) && sli.tells_apart(&one.place));
        let silent = ours.clone().filter(|one| one.silences_burn);
        let silenced = Regions::of(silent.map(|one| (&one.place, narrowed(one.stretch))));
        let excluded = Regions::of(ours.map(|one| (&one.place, narrowed(one.stretch))));
        if excluded != self.excluded || silenced != self.silenced {
            self.forget_calm();
        }
        (self.excluded, self.silenced) = (excluded, silenced);
    }

    /// What is excluded of a group in a time.
    pub(super) fn excluded_of(&self, sli: &Sli, group: &Labels, time: Bounds) -> Vec<ExcludedStretch> {
        if self.excluded.is_empty() {
            return Vec::new();
        }
        let inside = self.excluded.within(sli.tiers, group, time).0.into_iter();
        inside
            .flat_map(|(group, stretches)| {
                stretches.into_iter().map(move |stretch| ExcludedStretch {
                    group: group.clone(),
                    stretch,
                })
            })
            .collect()
    }
}

impl SloEngine {
    /// Says which stretches do not count, all of them anew. Counts stay as they are: budgets and what is adjusted are read
    /// without these stretches from now on, retroactively. What is not a whole quarter hour is narrowed to those; a place
    /// that an objective's indicator is not grouped by is none of its groups and excludes nothing of it.
    pub fn set_exclusions(&mut self, exclusions: Vec<Exclusion>) {
        self.exclusions = exclusions;
        self.place_exclusions();
    }

    /// What is excluded now.
    #[must_use]
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }

    pub(super) fn place_exclusions(&mut self) {
        for judge in &mut self.judges {
            judge.exclude(&self.slis[judge.sli], &self.exclusions);
        }
    }

    /// How an objective stood in a group after `from_ms` up to `to_ms`, whatever its own window is. `None` if there is no
    /// such objective; a group that was never seen has no counts and is unknown all the time.
    #[must_use]
    pub fn period(&self, slo: &SloId, group: &Labels, from_ms: i64, to_ms: i64) -> Option<Period> {
        let (judge, sli) = self.judged_by(slo)?;
        let unseen = Node::new(group.clone());
        let node = sli
            .by_group
            .get(group)
            .map_or(&unseen, |node| &sli.nodes[*node as usize]);
        let at = jiff::Timestamp::from_millisecond(to_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let view = judge.view(&self.slis, node, at);
        let raw = view.window(from_ms, to_ms);
        Some(Period {
            raw,
            adjusted: view.counted_without(&judge.excluded, from_ms, to_ms).1,
            excluded: judge.excluded_of(sli, group, raw.counted),
            unknown_ms: view.unknown_in(from_ms, to_ms, &self.settings),
        })
    }

    /// Where the bad events of a group belong after `from_ms` up to `to_ms`: first to what is excluded, then to `regions` (an
    /// incident's place and time, say) in their order, the rest to none. A region takes the quarter hours that it touches;
    /// what an earlier one took is not taken again, so the parts add up. A region of a place that the indicator does not
    /// tell apart is about all of the group. `None` if there is no such objective, or if it counts time slices or is a composite.
    #[must_use]
    pub fn shares(
        &self,
        slo: &SloId,
        group: &Labels,
        from_ms: i64,
        to_ms: i64,
        regions: &[(Labels, Bounds)],
    ) -> Option<Shares> {
        let (judge, sli) = self.judged_by(slo)?;
        // The slices of a whole, and what is weighted, do not divide into those of its parts.
        if judge.column.is_some() || !judge.parts.is_empty() {
            return None;
        }
        let unseen = Node::new(group.clone());
        let node = sli
            .by_group
            .get(group)
            .map_or(&unseen, |node| &sli.nodes[*node as usize]);
        let (time, mut sums) = sli.sums(node, from_ms, to_ms);
        let bad = |sums: Sums| i64::try_from(sli.counts_of(sums).bad).unwrap_or(i64::MAX);
        let mut taken: Vec<(Labels, Bounds)> = judge
            .excluded_of(sli, group, time)
            .into_iter()
            .map(|one| (one.group, one.stretch))
            .collect();
        let counted = bad(sums);
        let of = |list: &[(Labels, Bounds)]| Regions::of(list.iter().map(|(group, at)| (group, *at)));
        sums = less(sums, sli.covered(&of(&taken)));
        let mut left = bad(sums);
        let excluded = counted - left;
        let mut parts = Vec::with_capacity(regions.len());
        for (place, stretch) in regions {
            let place = place.filtered(|name| sli.definition.group_by.iter().any(|label| label == name));
            let own = of(&[(place, widened(sli.tiers, *stretch))]).within(sli.tiers, group, time);
            let before = of(&taken);
            let mut shared = Vec::new();
            for (place, stretches) in &own.0 {
                for stretch in stretches {
                    let part = before.within(sli.tiers, place, *stretch);
                    let flat = part.0.into_iter();
                    shared.extend(
                        flat.flat_map(|(group, list)| list.into_iter().map(move |at| (group.clone(), at))),
                    );
                    taken.push((place.clone(), *stretch));
                }
            }
            sums = less(sums, less(sli.covered(&own), sli.covered(&of(&shared))));
            let rest = bad(sums);
            parts.push(left - rest);
            left = rest;
        }
        Some(Shares {
            excluded,
            parts,
            background: left,
        })
    }

    fn judged_by(&self, slo: &SloId) -> Option<(&Judge, &Sli)> {
        let judge = self.judge_of(slo)?;
        Some((judge, &self.slis[judge.sli]))
    }
}
