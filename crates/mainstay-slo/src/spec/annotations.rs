//! The annotations that Mainstay reads, and the refusal of those that nothing reads.

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Spanned, lint, suggest};

use super::openslo::Metadata;

/// How annotations of ours begin.
pub const PREFIX: &str = "mainstay/";
/// `objective` or `agreement`.
pub const PROMISE: &str = "mainstay/promise";
/// Labels, with commas between them.
pub const GROUP_BY: &str = "mainstay/group-by";
/// A runbook's name.
pub const RUNBOOK: &str = "mainstay/runbook";
/// A share such as `50%`.
pub const WARNING_BELOW: &str = "mainstay/budget-warning-below";
/// A share such as `20%`.
pub const CRITICAL_BELOW: &str = "mainstay/budget-critical-below";
/// A duration such as `5m`.
pub const SHORT_WINDOW: &str = "mainstay/short-window";
/// `P0` to `P3`.
pub const PRIORITY: &str = "mainstay/priority";
/// A count.
pub const MIN_BAD_EVENTS: &str = "mainstay/min-bad-events";

/// `auto` or `N per minute`.
pub const TRAFFIC_FLOOR: &str = "mainstay/traffic-floor";
/// The name of the `SLI` of the probes that look at the same from outside.
pub const PROBES: &str = "mainstay/probes";

/// A label of the indicator's counters that names their source.
pub const SOURCE: &str = "mainstay/source";
/// A sum by one label: what was sent to each source.
pub const WITNESS: &str = "mainstay/witness";

/// The edges of an indicator's histogram, in its unit, with commas between them.
pub const EDGES: &str = "mainstay/edges";

/// A completion, as [`crate::completion::Completion::parse`] reads it.
pub const COMPLETION: &str = "mainstay/completion";

/// What an `SLI` may carry.
pub const OF_SLI: &[&str] = &[SOURCE, WITNESS, EDGES, COMPLETION];
/// What an `SLO` may carry.
pub const OF_SLO: &[&str] = &[
    PROMISE,
    GROUP_BY,
    RUNBOOK,
    WARNING_BELOW,
    CRITICAL_BELOW,
    TRAFFIC_FLOOR,
    PROBES,
];
/// What an `AlertPolicy` or an `AlertCondition` may carry.
pub const OF_ALERT: &[&str] = &[SHORT_WINDOW, PRIORITY, MIN_BAD_EVENTS];

/// Reports annotations of ours that nothing reads.
pub(super) fn check(document: &Document, metadata: &Metadata, known: &[&str], diagnostics: &mut Diagnostics) {
    for (name, value) in &metadata.annotations {
        if name.starts_with(PREFIX) && !known.contains(&name.as_str()) {
            let message = format!("unknown annotation {name:?}");
            let found = document.diagnostic(lint::UNKNOWN_KEY, value.at, message);
            diagnostics.push(found.help(suggest(name, "annotation", known.iter().copied())));
        }
    }
}

/// Reads the value of an annotation; what cannot be read is reported with what was `expected`.
pub(super) fn read<T>(
    document: &Document,
    metadata: &Metadata,
    name: &str,
    expected: &str,
    diagnostics: &mut Diagnostics,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<Spanned<T>> {
    let text = metadata.annotations.get(name)?;
    let value = parse(text.value.trim());
    if value.is_none() {
        let message = format!("{:?} cannot be read as {name}", text.value);
        diagnostics.push(super::bad(
            document,
            text,
            message,
            &format!("expected {expected}"),
        ));
    }
    value.map(|value| Spanned { value, at: text.at })
}

/// Reads `0.1, 0.2, 0.5`: rising edges of buckets.
pub(super) fn edges(text: &str) -> Option<Vec<f64>> {
    let edges: Option<Vec<f64>> = text.split(',').map(|edge| edge.trim().parse().ok()).collect();
    edges.filter(|edges| edges.is_sorted_by(|a, b| a < b))
}
