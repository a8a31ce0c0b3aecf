//! Which rule of a group sees what another one writes: in one order of evaluation it sees it, in another it does not.

use mainstay_kernel::labels::{ALERT_NAME, METRIC_NAME};
use mainstay_kernel::{MatchOp, Matcher};
use mainstay_promql::ast::Selector;

use crate::file::{RuleKind, RuleSpec};

/// Whether a selector of `reader`'s query can select a series that `writer` writes: its samples if it records, `ALERTS` and
/// `ALERTS_FOR_STATE` if it alerts. Labels that come from the writer's query are unknown and fit everything; so does a
/// selector without a name. A template that asks a query of its own sees everything.
#[must_use]
pub fn depends(reader: &RuleSpec, writer: &RuleSpec) -> bool {
    let asks = match &reader.kind {
        RuleKind::Alert { annotations, .. } => {
            let mut texts = reader.labels.values().chain(annotations.values());
            texts.any(|template| template.text().contains("query"))
        }
        RuleKind::Record { .. } => false,
    };
    asks || reader
        .expr
        .selectors()
        .iter()
        .any(|selector| selects(selector, writer))
}

/// Whether a selector that says by name which metric it means can select what `writer` writes.
pub(crate) fn names(reader: &RuleSpec, writer: &RuleSpec) -> bool {
    let is_name = |matcher: &Matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
    let named = |selector: &&&Selector| selector.matchers.iter().any(is_name);
    let selectors = reader.expr.selectors();
    selectors
        .iter()
        .filter(named)
        .any(|selector| selects(selector, writer))
}

fn selects(selector: &Selector, writer: &RuleSpec) -> bool {
    let metrics: &[&str] = match &writer.kind {
        RuleKind::Record { name } => &[name.as_str()],
        RuleKind::Alert { .. } => &["ALERTS", "ALERTS_FOR_STATE"],
    };
    let fits = |matcher: &Matcher, metric: &str| match (matcher.name(), &writer.kind) {
        (METRIC_NAME, _) => matcher.matches_value(metric),
        (ALERT_NAME, RuleKind::Alert { name, .. }) => matcher.matches_value(name),
        ("alertstate", RuleKind::Alert { .. }) => true,
        (label, _) => match writer.labels.get(label) {
            Some(text) if !text.text().contains("{{") => matcher.matches_value(text.text()),
            _ => true,
        },
    };
    metrics
        .iter()
        .any(|metric| selector.matchers.iter().all(|matcher| fits(matcher, metric)))
}
