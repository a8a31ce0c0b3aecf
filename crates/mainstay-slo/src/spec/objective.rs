//! From OpenSLO SLOs to objectives, with the indicators that they use.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use mainstay_catalog::document::Document;
use mainstay_catalog::{At, Diagnostics, Spanned, lint};
use mainstay_kernel::{Labels, Ratio, ServiceId, SloId};

use super::openslo::{Metadata, Object, OneOrMany, Slo, Target, TimeWindow};
use super::{Objects, annotations, bad, indicator, measure, policy, resolve, sourced, warning};
use crate::burn::BurnPolicy;
use crate::error::SloError;
use crate::floor::TrafficFloor;
use crate::objective::{BudgetPolicy, Objective, Promise};
use crate::sli::{GROUP_LABELS_MAX, SliDefinition};
use crate::slice::Budgeting;
use crate::window::{Calendar, Duration, Unit, Window};

/// The labels that every alert of ours has; those of a document do not take their place.
const RESERVED_LABELS: [&str; 7] = [
    "alertname",
    "slo",
    "service",
    "priority",
    "severity",
    "long_window",
    "short_window",
];

/// Builds what can be counted.
pub(super) fn build(
    objects: &Objects<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<SliDefinition>, Vec<Objective>) {
    let mut indicators = Indicators::new();
    let mut objectives = Vec::new();
    for slo in sourced(&objects.slos) {
        let builder = Builder {
            objects,
            document: slo.document,
            slo: slo.object,
        };
        let probes = builder.probes(&mut indicators, diagnostics);
        for mut objective in builder.objectives(&mut indicators, diagnostics) {
            objective.probes.clone_from(&probes);
            // What is wrong with a member has been said.
            let members = indicators.get(&objective.sli).into_iter().flatten();
            let members = members.flat_map(|definition| definition.events.members());
            let grouped = members.map(|member| indicators.get(&member.sli)).all(|member| {
                let by = |label| {
                    member.is_some_and(|known| known.iter().any(|known| known.group_by.contains(label)))
                };
                objective.group_by.iter().all(by)
            });
            if let Some(Some(definition)) = indicators.get_mut(&objective.sli).filter(|_| grouped) {
                // One stream serves all of its objectives: it is grouped by what any of them wants.
                let new = objective
                    .group_by
                    .iter()
                    .filter(|label| !definition.group_by.contains(label));
                let new: Vec<String> = new.cloned().collect();
                if definition.group_by.len() + new.len() > GROUP_LABELS_MAX {
                    let name = &builder.slo.metadata.name;
                    let message = format!(
                        "the indicator {:?} would be grouped by more than {GROUP_LABELS_MAX} labels",
                        objective.sli
                    );
                    let help = "group its objectives by fewer labels";
                    diagnostics.push(bad(builder.document, name, message, help));
                    continue;
                }
                definition.group_by.extend(new);
                objectives.push(objective);
            }
        }
    }
    let used = |name: &String| {
        let mut names = objectives
            .iter()
            .flat_map(|objective: &Objective| [Some(&objective.sli), objective.probes.as_ref()]);
        names.any(|used| used == Some(name))
    };
    let indicators = indicators
        .into_iter()
        .filter(|(name, _)| used(name))
        .filter_map(|(_, definition)| definition)
        .collect();
    (indicators, objectives)
}

/// Indicators by name; `None`: it cannot be counted, which has been said.
pub(super) type Indicators = BTreeMap<String, Option<SliDefinition>>;

pub(super) struct Builder<'a> {
    objects: &'a Objects<'a>,
    pub(super) document: &'a Document,
    pub(super) slo: &'a Object<Slo>,
}

impl Builder<'_> {
    /// The name of an objective's indicator, built where it is new; `None` where it cannot be counted.
    fn indicator(
        &self,
        target: &Target,
        at: At,
        indicators: &mut Indicators,
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let spec = &self.slo.spec;
        let name = target.indicator_ref.as_ref().or(spec.indicator_ref.as_ref());
        let inline = target.indicator.as_ref().or(spec.indicator.as_ref());
        let (name, document, metadata, sli) = match (name, inline) {
            (Some(name), None) => {
                let (document, object) = self.objects.slis.get(&name.value)?;
                (name.value.clone(), *document, &object.metadata, &object.spec)
            }
            (None, Some(inline)) => {
                let name = format!("{}/{}", self.slo.metadata.name.value, inline.metadata.name.value);
                (name, self.document, &inline.metadata, &inline.spec)
            }
            // That is an error, which has been said.
            _ => return None,
        };
        let threshold = measure::threshold(self.document, sli, target, at, diagnostics)?;
        let name = match threshold {
            Some(threshold) => format!("{name} {threshold}"),
            None => name,
        };
        let built = indicators
            .entry(name.clone())
            .or_insert_with(|| indicator::build(document, &name, metadata, sli, threshold, diagnostics));
        built.as_ref().map(|_| name)
    }

    /// The name of the indicator that its probes are, built where it is new.
    fn probes(&self, indicators: &mut Indicators, diagnostics: &mut Diagnostics) -> Option<String> {
        let name = self.slo.metadata.annotations.get(annotations::PROBES)?;
        let probes = resolve(&self.objects.slis, "SLI", name, self.document, diagnostics)?;
        let (metadata, sli) = (&probes.object.metadata, &probes.object.spec);
        let built = indicators
            .entry(name.value.clone())
            .or_insert_with(|| indicator::build(probes.document, name, metadata, sli, None, diagnostics));
        built.as_ref().map(|_| name.value.clone())
    }

    /// Whether each objective has an indicator of its own.
    fn is_composite(&self) -> bool {
        let own = |target: &Target| target.indicator.is_some() || target.indicator_ref.is_some();
        self.slo.spec.objectives.iter().any(own)
    }

    /// The objectives of the SLO: the whole of a composite comes last.
    fn objectives(&self, indicators: &mut Indicators, diagnostics: &mut Diagnostics) -> Vec<Objective> {
        let spec = &self.slo.spec;
        let Some(common) = self.common(diagnostics) else {
            return Vec::new();
        };
        let composite = self.is_composite();
        let mut objectives: Vec<Objective> = Vec::new();
        for (index, target) in spec.objectives.iter().enumerate() {
            let Some((at, ratio)) = share(target) else {
                continue;
            };
            let Some(sli) = self.indicator(target, at.at, indicators, diagnostics) else {
                continue;
            };
            let Some(budgeting) = measure::budgeting(&self.slo.spec, target) else {
                continue;
            };
            let alone = spec.objectives.len() == 1 && !composite;
            let id = if alone {
                common.id.to_string()
            } else {
                let label = target.display_name.as_ref().map(|name| slug(name));
                format!(
                    "{}/{}",
                    common.id,
                    label.unwrap_or_else(|| (index + 1).to_string())
                )
            };
            let Ok(id) = SloId::new(id.as_str()) else {
                let message = format!("{id:?} is not the name of an objective");
                diagnostics.push(bad(
                    self.document,
                    at,
                    message,
                    "shorten its name or its displayName",
                ));
                continue;
            };
            let display_name = match &target.display_name {
                Some(name) if !alone => format!("{}: {}", common.display_name, name.value),
                _ => common.display_name.clone(),
            };
            let objective = Objective {
                id,
                display_name,
                sli,
                budgeting,
                target: ratio,
                // The alerts of a composite are about the whole.
                burn: if composite {
                    BurnPolicy::off()
                } else {
                    common.burn.clone()
                },
                ..common.clone()
            };
            if objectives.iter().any(|other| other.id == objective.id) {
                let message = format!("two objectives are called {:?}", objective.id.as_str());
                let found = self.document.diagnostic(lint::DUPLICATE_NAME, at.at, message);
                diagnostics.push(found.help("give each its own displayName"));
            } else if let Err(error) = objective.check() {
                let help = match error {
                    SloError::WindowBelowSlice { .. } => {
                        "lengthen the windows of the alert policy, or shorten the time slices"
                    }
                    _ => "lower the threshold of the alert policy, or raise the target",
                };
                diagnostics.push(bad(self.document, at, error.to_string(), help));
            } else {
                objectives.push(objective);
            }
        }
        if composite {
            let (definition, whole) = self.whole(&objectives, common, diagnostics).unzip();
            if let Some(definition) = definition {
                indicators.insert(definition.name.clone(), Some(definition));
            }
            objectives.extend(whole);
        }
        objectives
    }

    /// What all objectives of the SLO share.
    fn common(&self, diagnostics: &mut Diagnostics) -> Option<Objective> {
        let (spec, metadata) = (&self.slo.spec, &self.slo.metadata);
        let mut read =
            |name, expected| annotations::read(self.document, metadata, name, expected, diagnostics, ratio);
        let defaults = BudgetPolicy::default();
        let warning_below = read(annotations::WARNING_BELOW, "a share such as 50%");
        let critical_below = read(annotations::CRITICAL_BELOW, "a share such as 20%");
        let promise = annotations::read(
            self.document,
            metadata,
            annotations::PROMISE,
            "objective or agreement",
            diagnostics,
            |text| match text {
                "objective" => Some(Promise::Objective),
                "agreement" => Some(Promise::Agreement),
                _ => None,
            },
        );
        let group_by = annotations::read(
            self.document,
            metadata,
            annotations::GROUP_BY,
            "at most three names of labels with commas between them",
            diagnostics,
            label_names,
        );
        let traffic_floor = annotations::read(
            self.document,
            metadata,
            annotations::TRAFFIC_FLOOR,
            "auto, or such as 120 per minute",
            diagnostics,
            TrafficFloor::parse,
        );
        let window = match spec.time_window.as_deref().and_then(<[TimeWindow]>::first) {
            Some(window) => self.window(window, diagnostics)?,
            None => {
                let message = "the SLO has no time window; it is judged over rolling 30 days";
                let help = "add `timeWindow`, such as `- duration: 30d` with `isRolling: true`";
                diagnostics.push(warning(self.document, metadata.name.at, message).help(help));
                Window::Rolling(Duration {
                    count: 30,
                    unit: Unit::Day,
                })
            }
        };
        let pairs = spec.alert_policies.iter().flatten();
        let pairs = pairs.filter_map(|used| policy::pair(self.objects, self.document, used, diagnostics));
        let pairs = pairs.collect();
        let service = ServiceId::new(spec.service.as_str());
        if service.is_err() {
            let message = format!("{:?} is not the name of a service", spec.service.value);
            diagnostics.push(bad(
                self.document,
                &spec.service,
                message,
                "letters, digits and - _ . : / #",
            ));
        }
        Some(Objective {
            id: SloId::new(metadata.name.as_str()).ok()?,
            display_name: metadata
                .display_name
                .clone()
                .unwrap_or_else(|| metadata.name.value.clone()),
            description: spec.description.clone().unwrap_or_default(),
            service: service.ok(),
            sli: String::new(),
            budgeting: Budgeting::Occurrences,
            target: Ratio::ZERO,
            window,
            group_by: group_by.map(|labels| labels.value).unwrap_or_default(),
            promise: promise.map_or(Promise::Objective, |promise| promise.value),
            budget: BudgetPolicy {
                warning_below: warning_below.map_or(defaults.warning_below, |share| share.value),
                critical_below: critical_below.map_or(defaults.critical_below, |share| share.value),
                ..defaults
            },
            burn: BurnPolicy { pairs },
            labels: alert_labels(metadata),
            traffic_floor: traffic_floor.map(|floor| floor.value),
            probes: None,
            runbook: metadata
                .annotations
                .get(annotations::RUNBOOK)
                .map(|runbook| runbook.value.clone()),
        })
    }

    /// The window; what is wrong with its words has been said by the checks, except what only building it shows.
    fn window(&self, window: &TimeWindow, diagnostics: &mut Diagnostics) -> Option<Window> {
        let every = Duration::parse(&window.duration).ok()?;
        let Some(calendar) = &window.calendar else {
            return window.is_rolling.then_some(Window::Rolling(every));
        };
        let start = &calendar.start_time;
        let Some(anchor) = date_time(start) else {
            let message = format!("{:?} is not a date and a time", start.value);
            diagnostics.push(bad(self.document, start, message, "such as 2026-01-01 00:00:00"));
            return None;
        };
        match Calendar::new(every, anchor, &calendar.time_zone) {
            Ok(calendar) => Some(Window::Calendar(calendar)),
            Err(error) => {
                let help = "a name of the IANA database, such as Africa/Johannesburg or UTC";
                diagnostics.push(bad(self.document, &calendar.time_zone, error.to_string(), help));
                None
            }
        }
    }
}

fn ratio(text: &str) -> Option<Ratio> {
    text.parse().ok().filter(|share| *share <= Ratio::ONE)
}

/// The target and where it stands; its value has been checked.
fn share(target: &Target) -> Option<(&Spanned<super::openslo::Decimal>, Ratio)> {
    let (written, unit) = match (&target.target, &target.target_percent) {
        (Some(share), None) => (share, ""),
        (None, Some(percent)) => (percent, "%"),
        _ => return None,
    };
    let share = ratio(&format!("{}{unit}", written.value.0))?;
    (share < Ratio::ONE).then_some((written, share))
}

fn date_time(text: &str) -> Option<DateTime> {
    strtime::parse("%Y-%m-%d %H:%M:%S", text).ok()?.to_datetime().ok()
}

pub(super) fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn label_names(text: &str) -> Option<Vec<String>> {
    let labels: Vec<String> = text
        .split(',')
        .map(|label| label.trim().to_owned())
        .filter(|label| !label.is_empty())
        .collect();
    let distinct = labels
        .iter()
        .enumerate()
        .all(|(index, label)| !labels[..index].contains(label));
    let sound = labels.len() <= GROUP_LABELS_MAX && labels.iter().all(|label| is_label_name(label));
    (sound && distinct).then_some(labels)
}

/// The document's labels of one value, which alerts carry.
fn alert_labels(metadata: &Metadata) -> Labels {
    let usable = |name: &str| is_label_name(name) && !RESERVED_LABELS.contains(&name);
    let single = |OneOrMany(values): &OneOrMany| match values.as_slice() {
        [value] => Some(value.clone()),
        _ => None,
    };
    metadata
        .labels
        .iter()
        .filter(|(name, _)| usable(name))
        .filter_map(|(name, values)| Some((name.clone(), single(values)?)))
        .collect()
}

/// A display name as part of an id: `Internal objective` is `internal-objective`.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}
