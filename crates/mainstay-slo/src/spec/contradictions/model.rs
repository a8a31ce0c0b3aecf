//! The places that say something about a promise: indicators, objectives, alerts.

use std::collections::BTreeMap;

use mainstay_catalog::document::Document;
use mainstay_catalog::lint::LintId;
use mainstay_catalog::{At, Diagnostic, Documents, Spanned};
use mainstay_kernel::Ratio;
use serde::Deserialize;

use super::super::openslo::{Metadata, Metric, Object, Sli, Slo};
use super::super::{Objects, annotations, sourced};
use super::rules::Alert;
use crate::selector::{Selector, parse_event_count};
use crate::sli::Marked;
use crate::window::{Duration, Unit};

/// Everything, in the order of files and lines.
pub(super) struct Model<'a> {
    pub(super) indicators: Vec<Indicator<'a>>,
    pub(super) objectives: Vec<Objective<'a>>,
    pub(super) alerts: Vec<Alert<'a>>,
}

/// A query of an indicator.
pub(super) struct Side<'a> {
    pub(super) document: &'a Document,
    pub(super) at: At,
    pub(super) text: String,
    /// What it counts; nothing where it is no event count.
    pub(super) selectors: Vec<Selector>,
}

/// An indicator.
pub(super) struct Indicator<'a> {
    pub(super) document: &'a Document,
    pub(super) name: Spanned<String>,
    pub(super) metadata: &'a Metadata,
    pub(super) description: Option<Spanned<String>>,
    pub(super) marked: Option<(Marked, Side<'a>)>,
    pub(super) total: Option<Side<'a>>,
    pub(super) threshold: Option<Side<'a>>,
}

/// An SLO with its targets.
pub(super) struct Objective<'a> {
    pub(super) document: &'a Document,
    pub(super) slo: &'a Object<Slo>,
    pub(super) description: Option<Spanned<String>>,
    /// Its place among the indicators.
    pub(super) indicator: Option<usize>,
    pub(super) is_agreement: bool,
    pub(super) window: Option<Window>,
    /// Its targets and where they stand.
    pub(super) targets: Vec<Spanned<Ratio>>,
}

/// The window of an SLO.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) duration: Duration,
    pub(super) is_rolling: bool,
}

impl Window {
    /// The lengths it can have, in days: a month of a calendar has four.
    pub(super) fn days(self) -> Vec<f64> {
        let count = f64::from(self.duration.count);
        match (self.is_rolling, self.duration.unit) {
            (false, Unit::Month) if self.duration.count == 1 => vec![28.0, 29.0, 30.0, 31.0],
            (false, Unit::Month | Unit::Quarter) => {
                let months = if self.duration.unit == Unit::Quarter {
                    3.0
                } else {
                    1.0
                } * count;
                let (least, most) = ((months * 28.0) as u32, (months * 31.0) as u32);
                (least..=most).map(f64::from).collect()
            }
            (false, Unit::Year) => vec![365.0 * count, 365.0 * count + 1.0],
            _ => vec![self.duration.nominal_ms() as f64 / 86_400_000.0],
        }
    }
}

impl<'a> Model<'a> {
    pub(super) fn of(objects: &'a Objects<'a>, documents: &'a Documents) -> Self {
        let mut indicators: Vec<Indicator<'a>> = sourced(&objects.slis)
            .map(|sli| {
                let description = description(sli.document, |prose| prose.spec?.description);
                Indicator::of(sli.document, &sli.object.metadata, &sli.object.spec, description)
            })
            .collect();
        let mut objectives = Vec::new();
        for slo in sourced(&objects.slos) {
            let spec = &slo.object.spec;
            let indicator = match (&spec.indicator_ref, &spec.indicator) {
                (Some(name), None) => indicators
                    .iter()
                    .position(|one| one.metadata.name.value == name.value),
                (None, Some(inline)) => {
                    let text = description(slo.document, |prose| prose.spec?.indicator?.spec?.description);
                    indicators.push(Indicator::of(slo.document, &inline.metadata, &inline.spec, text));
                    Some(indicators.len() - 1)
                }
                _ => None,
            };
            objectives.push(Objective::of(slo.document, slo.object, indicator));
        }
        let mut alerts = super::rules::alerts(documents);
        objectives.sort_by_key(|one| (&one.document.file, one.slo.metadata.name.at));
        alerts.sort_by_key(|one| (&one.document.file, one.name.at));
        Self {
            indicators,
            objectives,
            alerts,
        }
    }

    /// The indicators in the order of files and lines.
    pub(super) fn indicators_in_order(&self) -> Vec<&Indicator<'a>> {
        let mut ordered: Vec<&Indicator<'a>> = self.indicators.iter().collect();
        ordered.sort_by_key(|one| (&one.document.file, one.name.at));
        ordered
    }

    pub(super) fn indicator_of(&self, objective: &Objective<'a>) -> Option<&Indicator<'a>> {
        self.indicators.get(objective.indicator?)
    }

    /// The objectives of an indicator.
    pub(super) fn objectives_of<'m>(
        &'m self,
        indicator: &Indicator<'a>,
    ) -> impl Iterator<Item = &'m Objective<'a>> {
        let name = indicator.name.at;
        let file = indicator.document.file.clone();
        self.objectives.iter().filter(move |objective| {
            self.indicator_of(objective)
                .is_some_and(|one| one.name.at == name && one.document.file == file)
        })
    }
}

impl<'a> Indicator<'a> {
    fn of(
        document: &'a Document,
        metadata: &'a Metadata,
        sli: &Sli,
        description: Option<Spanned<String>>,
    ) -> Self {
        let side = |metric: &Metric| Side::of(document, metric);
        let ratio = sli.ratio_metric.as_ref();
        let marked = ratio.and_then(|ratio| match (&ratio.good, &ratio.bad) {
            (Some(good), None) => Some((Marked::Good, side(good)?)),
            (None, Some(bad)) => Some((Marked::Bad, side(bad)?)),
            _ => None,
        });
        Self {
            document,
            name: metadata.name.clone(),
            metadata,
            description,
            marked,
            total: ratio.and_then(|ratio| side(ratio.total.as_ref()?)),
            threshold: sli.threshold_metric.as_ref().and_then(side),
        }
    }

    /// `latency (slo/api.yaml:3)`.
    pub(super) fn label(&self) -> String {
        format!(
            "{} ({}:{})",
            self.name.value, self.document.file, self.name.at.line
        )
    }

    /// The counters of the good or the bad events, and of all.
    pub(super) fn sides(&self) -> Option<(Marked, &Side<'a>, &Side<'a>)> {
        let (marked, side) = self.marked.as_ref()?;
        Some((*marked, side, self.total.as_ref()?))
    }

    /// The threshold of a latency indicator in the unit of its histogram (seconds, by convention): the `le` of the one
    /// bucket that counts its good events.
    pub(super) fn edge(&self) -> Option<f64> {
        let (Marked::Good, side, _) = self.sides()? else {
            return None;
        };
        side.selectors.iter().find_map(Selector::edge)
    }
}

impl<'a> Side<'a> {
    fn of(document: &'a Document, metric: &Metric) -> Option<Self> {
        let query = metric.metric_source.spec.get("query")?;
        let text = query.value.0.clone()?;
        let selectors = parse_event_count(&text).map_or_else(|_| Vec::new(), |count| count.selectors);
        Some(Self {
            document,
            at: query.at,
            text,
            selectors,
        })
    }

    pub(super) fn finding(&self, lint: LintId, message: String) -> Diagnostic {
        let at = self.at.of_part(self.document.source(), &self.text);
        self.document.diagnostic(lint, at, message)
    }
}

impl<'a> Objective<'a> {
    fn of(document: &'a Document, slo: &'a Object<Slo>, indicator: Option<usize>) -> Self {
        let spec = &slo.spec;
        let targets = spec.objectives.iter().filter_map(|target| {
            let (written, unit) = match (&target.target, &target.target_percent) {
                (Some(share), _) => (share, ""),
                (None, Some(percent)) => (percent, "%"),
                _ => return None,
            };
            let value: Ratio = format!("{}{unit}", written.value.0).parse().ok()?;
            Some(Spanned {
                value,
                at: written.at,
            })
        });
        let targets = targets.collect();
        let named = |name: &Spanned<String>| {
            let name = name.value.to_lowercase();
            matches!(name.as_str(), "sla" | "agreement" | "contract")
        };
        let window = spec.time_window.as_deref().and_then(<[_]>::first);
        Self {
            document,
            slo,
            description: description(document, |prose| prose.spec?.description),
            indicator,
            is_agreement: match slo.metadata.annotations.get(annotations::PROMISE) {
                Some(promise) => promise.value == "agreement",
                None => spec
                    .objectives
                    .iter()
                    .any(|target| target.display_name.as_ref().is_some_and(named)),
            },
            window: window.and_then(|window| {
                Some(Window {
                    duration: Duration::parse(&window.duration).ok()?,
                    is_rolling: window.is_rolling,
                })
            }),
            targets,
        }
    }

    pub(super) fn name(&self) -> &Spanned<String> {
        &self.slo.metadata.name
    }

    pub(super) fn label(&self) -> String {
        let name = self.name();
        format!("{} ({}:{})", name.value, self.document.file, name.at.line)
    }

    /// The strictest of its targets.
    pub(super) fn target(&self) -> Option<&Spanned<Ratio>> {
        self.targets.iter().max_by_key(|target| target.value)
    }

    /// Annotations whose name, whatever its prefix, is this.
    pub(super) fn notes(&self, name: &str) -> impl Iterator<Item = &'a Spanned<String>> {
        let annotations: &'a BTreeMap<String, Spanned<String>> = &self.slo.metadata.annotations;
        annotations
            .iter()
            .filter(move |(key, _)| key.rsplit('/').next() == Some(name))
            .map(|(_, value)| value)
    }
}

/// The texts of a document, with their places.
#[derive(Deserialize)]
struct Prose {
    spec: Option<ProseSpec>,
}

#[derive(Deserialize)]
struct ProseSpec {
    description: Option<Spanned<String>>,
    indicator: Option<ProseIndicator>,
}

#[derive(Deserialize)]
struct ProseIndicator {
    spec: Option<ProseInner>,
}

#[derive(Deserialize)]
struct ProseInner {
    description: Option<Spanned<String>>,
}

fn description(
    document: &Document,
    part: impl FnOnce(Prose) -> Option<Spanned<String>>,
) -> Option<Spanned<String>> {
    part(document.decode::<Prose>().ok()?)
}
