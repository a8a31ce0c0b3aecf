//! OpenSLO `v1alpha`, as far as it counts events: what Sloth reads of it. An objective has its own two queries there, so
//! each of them becomes an SLO.

use std::collections::BTreeMap;

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Spanned};
use serde::Deserialize;

use super::{Draft, Side, name, ratio};
use crate::spec::openslo::{Decimal, Free, Metadata, Object, Slo};
use crate::spec::warning;

/// The version.
const API_VERSION: &str = "openslo/v1alpha";

#[derive(Deserialize)]
struct Wrapped {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    service: Spanned<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    time_windows: Vec<Window>,
    objectives: Vec<Target>,
}

#[derive(Deserialize)]
struct Window {
    count: u32,
    unit: Spanned<String>,
    #[serde(default)]
    calendar: Option<Spanned<Free>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    ratio_metrics: Option<Ratio>,
    #[serde(default)]
    target: Option<Spanned<Decimal>>,
}

#[derive(Deserialize)]
struct Ratio {
    #[serde(default)]
    good: Option<Query>,
    #[serde(default)]
    bad: Option<Query>,
    total: Query,
}

#[derive(Deserialize)]
struct Query {
    query: Spanned<String>,
}

/// Whether it is a document of that kind.
pub(super) fn is_slo(document: &Document) -> bool {
    document.api_version == API_VERSION && document.kind == "SLO"
}

/// The objectives of a document.
pub(super) fn read(document: &Document, diagnostics: &mut Diagnostics) -> Vec<Object<Slo>> {
    let Some(Wrapped { metadata, spec }) = diagnostics.keep(document.decode::<Wrapped>()) else {
        return Vec::new();
    };
    let at = metadata.name.at;
    let mut uncounted = |at, message: &str, help: &str| {
        diagnostics.push(warning(document, at, message).help(help));
    };
    let window = match spec.time_windows.first() {
        None => Spanned {
            value: "30d".to_owned(),
            at,
        },
        Some(window) => {
            let unit = match window.unit.value.to_ascii_lowercase().as_str() {
                "minute" => "m",
                "hour" => "h",
                "day" => "d",
                "week" => "w",
                "month" => "M",
                "quarter" => "Q",
                "year" => "Y",
                _ => {
                    uncounted(
                        window.unit.at,
                        "the unit of a window is not known",
                        "Day, Week, Month, ...",
                    );
                    return Vec::new();
                }
            };
            if let Some(calendar) = &window.calendar {
                let help = "write it as openslo/v1";
                uncounted(
                    calendar.at,
                    "a calendar of v1alpha is not read: the window rolls",
                    help,
                );
            }
            window.unit.clone().map(|_| format!("{}{unit}", window.count))
        }
    };
    let mut objects = Vec::new();
    for (index, target) in spec.objectives.iter().enumerate() {
        let (Some(events), Some(share)) = (&target.ratio_metrics, &target.target) else {
            let message = "an objective of v1alpha without `ratioMetrics` and `target` is not counted";
            diagnostics.push(warning(document, at, message).help("write it as openslo/v1"));
            continue;
        };
        let indicator = match (&events.good, &events.bad) {
            (Some(good), None) => ratio(&Side::Good, &good.query, &events.total.query),
            (None, Some(bad)) => ratio(&Side::Bad, &bad.query, &events.total.query),
            _ => {
                let message = "a ratio is `good` or `bad` beside `total`";
                diagnostics.push(warning(document, events.total.query.at, message).help("leave one out"));
                continue;
            }
        };
        let id = match spec.objectives.len() {
            1 => metadata.name.value.clone(),
            _ => format!("{}-{index}", metadata.name.value),
        };
        let draft = Draft {
            name: name(document, &id, at, diagnostics),
            display_name: metadata.display_name.clone(),
            service: spec.service.clone(),
            description: spec.description.clone(),
            labels: BTreeMap::new(),
            notes: BTreeMap::new(),
            group_by: None,
            indicator,
            target: share.clone(),
            is_percent: false,
            window: window.clone(),
            policies: Vec::new(),
        };
        objects.push(draft.object());
    }
    objects
}
