//! Prometheus text format 0.0.4.

use std::collections::BTreeMap;

use super::line::{Line, Spacing, as_ms, unescape};
use super::{Item, Label, MetricKind, ParseError, Sample};

pub(super) fn parse<'a>(text: &'a str, mut on_item: impl FnMut(Item<'_>)) -> Result<(), ParseError> {
    let mut kinds: BTreeMap<&'a str, MetricKind> = BTreeMap::new();
    let mut labels: Vec<Label<'a>> = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut line = Line::new(line.strip_suffix('\r').unwrap_or(line), number, Spacing::Loose);
        line.skip_blanks();
        if line.at_end() {
            continue;
        }
        if line.take("#") {
            comment(&mut line, &mut kinds, &mut on_item)?;
            continue;
        }
        let start = line.at();
        let metric = line.metric_name()?;
        let mut end = line.at();
        line.skip_blanks();
        labels.clear();
        if line.take("{") {
            line.labels(&mut labels)?;
            end = line.at();
            line.skip_blanks();
        } else if line.at() == end {
            return Err(line.error("expected a space before the value"));
        }
        let value = line.number("the value")?;
        let mut timestamp_ms = None;
        if line.skip_blanks() && !line.at_end() {
            let at = line.at();
            let word = line.word();
            let parsed = word.parse().map_err(|_| {
                line.error_at(
                    at,
                    format!("expected a timestamp in whole milliseconds, not {word:?}"),
                )
            })?;
            timestamp_ms = Some(parsed);
            line.skip_blanks();
            if !line.at_end() {
                return Err(line.error("expected the end of the line after the timestamp"));
            }
        }
        if let Some((family, created_ms)) = created(&kinds, metric, value) {
            on_item(Item::Created {
                family,
                labels: &labels,
                created_ms,
            });
            continue;
        }
        let (family, kind) = family(&kinds, metric);
        on_item(Item::Sample(Sample {
            metric,
            labels: &labels,
            series_text: &line.text.as_bytes()[start..end],
            value: value.into(),
            timestamp_ms,
            exemplars: Vec::new(),
            kind,
            family,
        }));
    }
    Ok(())
}

fn comment<'a>(
    line: &mut Line<'a>,
    kinds: &mut BTreeMap<&'a str, MetricKind>,
    on_item: &mut impl FnMut(Item<'_>),
) -> Result<(), ParseError> {
    line.skip_blanks();
    let keyword = line.word();
    if keyword != "TYPE" && keyword != "HELP" {
        return Ok(()); // A comment.
    }
    line.skip_blanks();
    let family = line.metric_name()?;
    if !line.at_end() {
        line.separator("the rest")?;
    }
    if keyword == "HELP" {
        let help = unescape(line.rest());
        on_item(Item::Help { family, help });
        return Ok(());
    }
    let at = line.at();
    let kind = match line.word() {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "summary" => MetricKind::Summary,
        "untyped" | "unknown" => MetricKind::Unknown,
        "gaugehistogram" => MetricKind::GaugeHistogram,
        "info" => MetricKind::Info,
        "stateset" => MetricKind::StateSet,
        other => {
            return Err(line.error_at(
                at,
                format!("expected counter, gauge, histogram, summary or untyped, not {other:?}"),
            ));
        }
    };
    line.skip_blanks();
    if !line.at_end() {
        return Err(line.error("expected the end of the line after the type"));
    }
    kinds.insert(family, kind);
    on_item(Item::Type { family, kind });
    Ok(())
}

/// The family that a sample belongs to, without `_total`, and its kind.
fn family<'a>(kinds: &BTreeMap<&'a str, MetricKind>, metric: &'a str) -> (&'a str, MetricKind) {
    if let Some(kind) = kinds.get(metric) {
        let family = match kind {
            MetricKind::Counter => metric.strip_suffix("_total").unwrap_or(metric),
            _ => metric,
        };
        return (family, *kind);
    }
    for suffix in ["_bucket", "_count", "_sum"] {
        let Some(family) = metric.strip_suffix(suffix) else {
            continue;
        };
        if let Some(kind @ (MetricKind::Histogram | MetricKind::Summary)) = kinds.get(family) {
            return (family, *kind);
        }
    }
    (metric, MetricKind::Unknown)
}

/// The format has no created times of its own, but client libraries expose them as they do in OpenMetrics: as
/// `x_created` beside a counter `x_total` or a histogram or summary `x`.
fn created<'a>(kinds: &BTreeMap<&'a str, MetricKind>, metric: &'a str, value: f64) -> Option<(&'a str, i64)> {
    let family = metric.strip_suffix("_created")?;
    let is_counter = |name: &str| kinds.get(name) == Some(&MetricKind::Counter);
    let dated = matches!(
        kinds.get(family),
        Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary)
    ) || is_counter(&format!("{family}_total"));
    as_ms(value)
        .filter(|_| dated)
        .map(|created_ms| (family, created_ms))
}
