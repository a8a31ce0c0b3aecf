//! Installing a catalog: what is new starts to count, what stays keeps its counts, what is gone ends its alerts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::{Labels, SloId};

use super::calm::Quiet;
use super::composite::Part;
use super::exclude::Regions;
use super::judge::Judged;
use super::node::Link;
use super::{AlertTransition, Evaluation, Judge, Series, Sli, SloCatalog, SloEngine};
use crate::counter::Counting;
use crate::objective::Objective;
use crate::sli::NO_VALUE;
use crate::slice::{Budgeting, Unit};

/// What was last said about an objective before its catalog changed or its state was stored.
#[derive(Debug, Clone)]
pub(super) struct Former {
    pub(super) sli: String,
    pub(super) group_by: Vec<String>,
    /// By the group labels that the indicator had.
    pub(super) judged: Vec<(Labels, Judged)>,
    pub(super) never_seen_ms: Option<i64>,
}

impl SloEngine {
    /// Takes a new catalog. Indicators and objectives that keep their name keep their counts and alerts; what is new
    /// starts to count at `now`; alerts of what is gone resolve.
    pub fn reconfigure(&mut self, catalog: SloCatalog, now: Timestamp) -> Evaluation {
        let before = self.firing();
        let judged = self.take_judged();
        self.install(catalog, judged, now.as_millisecond());
        let after = self.firing();
        let gone = before
            .into_iter()
            .filter(|alert| {
                !after
                    .iter()
                    .any(|other| other.alert.fingerprint == alert.alert.fingerprint)
            })
            .map(|alert| AlertTransition {
                firing: false,
                at: now,
                ..alert
            });
        Evaluation {
            alerts: gone.collect(),
            budgets: Vec::new(),
        }
    }

    /// Says that a group is over: a tenant left, a cell was taken down. Its silence alerts no more and leaves the sums that
    /// it is part of known; its alerts end with the next evaluation; what was counted stays. A sample brings it back.
    /// `false` if there is no such indicator or group.
    pub fn retire(&mut self, sli: &str, group: &Labels) -> bool {
        let sli = self.slis.iter_mut().find(|known| known.definition.name == sli);
        sli.is_some_and(|sli| sli.retire(group))
    }

    /// What was last said, by objective.
    fn take_judged(&mut self) -> BTreeMap<SloId, Former> {
        std::mem::take(&mut self.judges)
            .into_iter()
            .map(|judge| {
                let sli = &self.slis[judge.sli];
                let groups = sli.levels[judge.level].iter();
                let groups = groups.map(|node| sli.nodes[*node as usize].group.clone());
                let former = Former {
                    judged: groups.zip(judge.judged).collect(),
                    sli: judge.objective.sli,
                    group_by: judge.objective.group_by,
                    never_seen_ms: judge.never_seen_ms,
                };
                (judge.objective.id, former)
            })
            .collect()
    }

    pub(super) fn install(
        &mut self,
        catalog: SloCatalog,
        mut former_judged: BTreeMap<SloId, Former>,
        now_ms: i64,
    ) {
        let (definitions, objectives) = catalog.into_parts();
        let counting = Counting {
            since_ms: now_ms,
            warm_until_ms: now_ms.saturating_add(self.settings.max_gap_ms()),
        };
        let mut former: BTreeMap<String, Sli> = std::mem::take(&mut self.slis)
            .into_iter()
            .map(|sli| (sli.definition.name.clone(), sli))
            .collect();
        self.slis = definitions
            .into_iter()
            .map(|definition| match former.remove(&definition.name) {
                // What counted something else under this name counts for nothing here.
                Some(known) if known.unit != Unit::of(&definition.events, Budgeting::Occurrences) => {
                    Sli::new(definition, counting)
                }
                Some(known) if known.definition.group_by == definition.group_by => Sli {
                    needs_bucket: definition.events.needs_bucket(),
                    edges: std::collections::BTreeSet::new(),
                    definition,
                    ..known
                },
                Some(known) => known.regrouped(definition),
                None => Sli::new(definition, counting),
            })
            .collect();
        self.slis.iter_mut().for_each(Sli::ready_completions);
        self.by_metric = self.index_metrics();
        self.slice(&objectives);
        self.relink();
        self.gather();
        self.judges = objectives
            .into_iter()
            .filter_map(|objective| {
                let sli = self
                    .slis
                    .iter()
                    .position(|sli| sli.definition.name == objective.sli)?;
                let level = self.slis[sli].level_of(&objective.group_by)?;
                let kept = former_judged
                    .remove(&objective.id)
                    .filter(|known| known.sli == objective.sli && known.group_by == objective.group_by);
                let parts = self.parts_of(&self.slis[sli]);
                let probes = objective.probes.as_ref();
                let probes =
                    probes.and_then(|name| self.slis.iter().position(|sli| sli.definition.name == *name));
                let judge = Judge::new(objective, [sli, level], parts, &self.slis[sli], kept);
                Some(Judge { probes, ..judge })
            })
            .collect();
        self.place_exclusions();
    }

    fn index_metrics(&self) -> BTreeMap<String, Vec<usize>> {
        let mut by_metric: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, sli) in self.slis.iter().enumerate() {
            for selector in sli.definition.selectors() {
                let slis = by_metric.entry(selector.metric.clone()).or_default();
                if slis.last() != Some(&index) {
                    slis.push(index);
                }
            }
        }
        by_metric
    }

    /// Finds the groups of every known series anew and forgets series that nothing watches any more.
    pub(super) fn relink(&mut self) {
        let forgotten = self.swept_ms.saturating_sub(self.settings.lateness.forget_ms);
        for sli in &mut self.slis {
            sli.sources.unlink(forgotten);
            for node in &mut sli.nodes {
                node.bucketless = None;
            }
        }
        let series = std::mem::take(&mut self.series);
        self.by_labels.clear();
        self.generation = self.generation.wrapping_add(1);
        for one in series {
            let links = self.link(&one.labels);
            self.keep(Series { links, ..one });
        }
    }

    pub(super) fn keep(&mut self, series: Series) -> Option<u32> {
        if series.links.is_empty() {
            return None;
        }
        let index = u32::try_from(self.series.len()).ok()?;
        self.by_labels.insert(series.labels.clone(), index);
        self.series.push(series);
        Some(index)
    }

    /// The groups that a series counts in.
    pub(super) fn link(&mut self, labels: &Labels) -> Vec<Link> {
        let Some(slis) = self.by_metric.get(labels.metric_name()) else {
            return Vec::new();
        };
        let mut links = Vec::new();
        for index in slis {
            let sli = &mut self.slis[*index];
            let definition = &sli.definition;
            if let Some(witness) = definition
                .witness
                .as_ref()
                .filter(|witness| witness.selects(labels))
                && let Some(source) = labels.get(&witness.label)
            {
                links.push(Link {
                    sli: *index,
                    source: sli.sources.index(source),
                    nodes: Vec::new(),
                    role: None,
                });
            }
            let Some(role) = definition.events.role(labels) else {
                sli.note_edge(labels);
                continue;
            };
            let source = labels.get(&definition.source).unwrap_or(NO_VALUE);
            let source = sli.sources.index(source);
            match sli.nodes_for(labels, self.settings.groups_max) {
                Some(nodes) => {
                    sli.join(source, &nodes, role, self.reached_ms);
                    links.push(Link {
                        sli: *index,
                        source,
                        nodes,
                        role: Some(role),
                    });
                }
                None => self.ingested.over_limit += 1,
            }
        }
        links
    }
}

impl Judge {
    /// An objective with what was said about those of its groups that are still there, by pairs that it still has.
    fn new(
        objective: Objective,
        [sli, level]: [usize; 2],
        parts: Vec<Part>,
        known: &Sli,
        former: Option<Former>,
    ) -> Self {
        let never_seen_ms = former.as_ref().and_then(|former| former.never_seen_ms);
        let alerts = !objective.burn.pairs.is_empty();
        let mut said: BTreeMap<Labels, Judged> =
            former.into_iter().flat_map(|former| former.judged).collect();
        let groups = known.levels[level]
            .iter()
            .map(|node| &known.nodes[*node as usize].group);
        let judged = groups.map(|group| {
            let mut judged = said.remove(group).unwrap_or_default();
            judged.keep_pairs_of(&objective);
            judged
        });
        Self {
            judged: judged.collect(),
            calms: Vec::new(),
            quiet: Quiet::NONE,
            bounds: None,
            never_seen_ms: never_seen_ms.filter(|_| alerts),
            column: known.column(objective.budgeting),
            objective,
            sli,
            parts,
            level,
            excluded: Regions::default(),
            silenced: Regions::default(),
            probes: None,
        }
    }
}
