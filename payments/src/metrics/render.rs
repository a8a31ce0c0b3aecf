//! The two exposition formats: Prometheus text 0.0.4 and OpenMetrics 1.0.0.

use super::{Family, Kind, Series};
use http::{HeaderMap, header::ACCEPT};
use std::{
    fmt::Write,
    sync::{PoisonError, atomic::Ordering},
};

/// Which exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0, with `_created` and `# EOF`.
    OpenMetrics,
}

impl Format {
    /// What the scraper asked for.
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(ACCEPT)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The content type of the exposition.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub(super) fn family(out: &mut String, family: &Family, format: Format) {
    let open = format == Format::OpenMetrics;
    let base = family.name.strip_suffix("_total").unwrap_or(family.name);
    let shown = if open && family.kind == Kind::Counter {
        base
    } else {
        family.name
    };
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(out, "# HELP {shown} {}\n# TYPE {shown} {kind}", family.help);
    for (values, series) in family
        .series
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        let labels = labels(family.label_names, values);
        match family.kind {
            Kind::Counter => sample(
                out,
                family.name,
                "",
                &labels,
                series.value.load(Ordering::Relaxed),
            ),
            Kind::Gauge => sample(
                out,
                family.name,
                "",
                &labels,
                f64::from_bits(series.value.load(Ordering::Relaxed)),
            ),
            Kind::Histogram => histogram(out, family, series, &labels),
        }
        if open && family.kind != Kind::Gauge {
            let seconds = format!("{}.{:03}", series.created_ms / 1000, series.created_ms % 1000);
            sample(out, base, "_created", &labels, seconds);
        }
    }
}

fn histogram(out: &mut String, family: &Family, series: &Series, labels: &str) {
    let mut count = 0;
    for (position, bucket) in series.buckets.iter().enumerate() {
        count += bucket.load(Ordering::Relaxed);
        let bound = family
            .bounds
            .get(position)
            .map_or_else(|| "+Inf".to_owned(), |b| format!("{b:?}"));
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = writeln!(
            out,
            "{}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}",
            family.name
        );
    }
    sample(
        out,
        family.name,
        "_sum",
        labels,
        f64::from_bits(series.value.load(Ordering::Relaxed)),
    );
    sample(out, family.name, "_count", labels, count);
}

fn sample(out: &mut String, name: &str, suffix: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(out, "{name}{suffix} {value}")
    } else {
        writeln!(out, "{name}{suffix}{{{labels}}} {value}")
    };
}

fn labels(names: &[&str], values: &[String]) -> String {
    let mut out = String::new();
    for (name, value) in names.iter().zip(values) {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{name}=\"");
        for character in value.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    out
}
