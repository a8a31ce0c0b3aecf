//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each with its length before it, as
//! <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto> declares them. It alone
//! carries native histograms.

mod bound;
mod histogram;

use std::borrow::Cow;
use std::str;

use self::bound::bound;
use self::histogram::Histogram;
use super::{Exemplar, HistogramForm, Item, Label, MetricKind, ParseError, Sample};
use crate::native_histogram::HistogramRefusal;
use crate::wire::{Fields, WireError};
use mainstay_kernel::SampleValue;

/// Why a metric family is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Histogram(#[from] HistogramRefusal),
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("it has no name")]
    NoName,
    #[error("{0} is no type of a metric")]
    Kind(u64),
    #[error("a label has an empty name")]
    EmptyLabelName,
    #[error("the label {0} stands twice")]
    DuplicateLabel(String),
}

pub(super) fn parse(
    body: &[u8],
    form: HistogramForm,
    mut on_item: impl FnMut(Item<'_>),
) -> Result<(), ParseError> {
    let mut messages = Fields::new(body);
    let mut series_text = Vec::new();
    for number in 1.. {
        if messages.rest().is_empty() {
            break;
        }
        let family = messages.delimited().map_err(Refusal::from).and_then(|message| {
            let family = Family::read(message)?;
            family.hand_out(form, &mut series_text, &mut on_item)
        });
        family.map_err(|refusal| ParseError {
            line: number,
            column: 0,
            reason: refusal.to_string(),
        })?;
    }
    Ok(())
}

/// A metric family, its metrics not yet read.
struct Family<'a> {
    name: &'a str,
    help: Option<&'a str>,
    unit: &'a str,
    kind: MetricKind,
    metrics: Vec<&'a [u8]>,
}

impl<'a> Family<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Refusal> {
        let mut family = Self {
            name: "",
            help: None,
            unit: "",
            kind: MetricKind::Counter,
            metrics: Vec::new(),
        };
        for field in Fields::new(message) {
            match field? {
                (1, value) => family.name = text(value.bytes()?)?,
                (2, value) => family.help = Some(text(value.bytes()?)?),
                (3, value) => {
                    family.kind = match value.unsigned()? {
                        0 => MetricKind::Counter,
                        1 => MetricKind::Gauge,
                        2 => MetricKind::Summary,
                        3 => MetricKind::Unknown,
                        4 => MetricKind::Histogram,
                        5 => MetricKind::GaugeHistogram,
                        other => return Err(Refusal::Kind(other)),
                    }
                }
                (4, value) => family.metrics.push(value.bytes()?),
                (5, value) => family.unit = text(value.bytes()?)?,
                _ => {}
            }
        }
        if family.name.is_empty() {
            return Err(Refusal::NoName);
        }
        Ok(family)
    }

    fn hand_out(
        &self,
        form: HistogramForm,
        series_text: &mut Vec<u8>,
        on_item: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Refusal> {
        let (name, kind) = (self.name, self.kind);
        on_item(Item::Type { family: name, kind });
        if let Some(help) = self.help {
            let help = Cow::Borrowed(help);
            on_item(Item::Help { family: name, help });
        }
        if !self.unit.is_empty() {
            let unit = self.unit;
            on_item(Item::Unit { family: name, unit });
        }
        let mut out = Out {
            family: match kind {
                MetricKind::Counter => name.strip_suffix("_total").unwrap_or(name),
                _ => name,
            },
            kind,
            labels: Vec::new(),
            timestamp_ms: None,
            series_text,
            on_item,
        };
        let names = Names {
            plain: name,
            count: format!("{name}_count"),
            sum: format!("{name}_sum"),
            bucket: format!("{name}_bucket"),
        };
        for message in &self.metrics {
            let metric = Metric::read(message, kind)?;
            out.labels = metric.labels;
            out.timestamp_ms = metric.timestamp_ms;
            match kind {
                MetricKind::Summary => Summary::read(metric.value)?.hand_out(&names, &mut out),
                MetricKind::Histogram | MetricKind::GaugeHistogram => {
                    Histogram::read(metric.value, kind)?.hand_out(form, &names, &mut out)?;
                }
                _ => {
                    let simple = Simple::read(metric.value)?;
                    out.created(simple.created_ms);
                    out.sample(name, simple.value.into(), simple.exemplar.into_iter().collect());
                }
            }
        }
        Ok(())
    }
}

/// The names that a family's samples have.
struct Names<'a> {
    plain: &'a str,
    count: String,
    sum: String,
    bucket: String,
}

/// Where the samples of a metric go.
struct Out<'o, 'a, F> {
    family: &'a str,
    kind: MetricKind,
    labels: Vec<Label<'a>>,
    timestamp_ms: Option<i64>,
    series_text: &'o mut Vec<u8>,
    on_item: &'o mut F,
}

impl<'a, F: FnMut(Item<'_>)> Out<'_, 'a, F> {
    fn created(&mut self, created_ms: Option<i64>) {
        if let Some(created_ms) = created_ms {
            (self.on_item)(Item::Created {
                family: self.family,
                labels: &self.labels,
                created_ms,
            });
        }
    }

    fn sample(&mut self, metric: &str, value: SampleValue, exemplars: Vec<Exemplar<'_>>) {
        // A byte that no text contains keeps the parts apart.
        self.series_text.clear();
        self.series_text.extend_from_slice(metric.as_bytes());
        for part in self
            .labels
            .iter()
            .flat_map(|(name, value)| [*name, value.as_ref()])
        {
            self.series_text.push(0xff);
            self.series_text.extend_from_slice(part.as_bytes());
        }
        (self.on_item)(Item::Sample(Sample {
            metric,
            labels: &self.labels,
            series_text: self.series_text,
            value,
            timestamp_ms: self.timestamp_ms,
            exemplars,
            kind: self.kind,
            family: self.family,
        }));
    }

    /// A sample with one more label.
    fn sample_of(&mut self, metric: &str, label: (&'a str, f64), value: f64, exemplar: Option<Exemplar<'_>>) {
        self.labels.push((label.0, Cow::Owned(bound(label.1))));
        self.sample(metric, value.into(), exemplar.into_iter().collect());
        self.labels.pop();
    }
}

/// `Metric`: its labels, and its value not yet read.
struct Metric<'a> {
    labels: Vec<Label<'a>>,
    timestamp_ms: Option<i64>,
    value: &'a [u8],
}

impl<'a> Metric<'a> {
    fn read(message: &'a [u8], kind: MetricKind) -> Result<Self, Refusal> {
        let wanted = match kind {
            MetricKind::Gauge => 2,
            MetricKind::Counter => 3,
            MetricKind::Summary => 4,
            MetricKind::Histogram | MetricKind::GaugeHistogram => 7,
            _ => 5,
        };
        let mut metric = Self {
            labels: Vec::new(),
            timestamp_ms: None,
            value: &[],
        };
        for field in Fields::new(message) {
            match field? {
                (1, value) => metric.labels.push(label_pair(value.bytes()?)?),
                (6, value) => metric.timestamp_ms = Some(value.signed()?).filter(|t_ms| *t_ms != 0),
                (number, value) if number == wanted => metric.value = value.bytes()?,
                _ => {}
            }
        }
        let mut names: Vec<&str> = metric.labels.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Refusal::DuplicateLabel(pair[0].to_owned()));
        }
        Ok(metric)
    }
}

fn label_pair(message: &[u8]) -> Result<Label<'_>, Refusal> {
    let (mut name, mut value) = ("", "");
    for field in Fields::new(message) {
        match field? {
            (1, field) => name = text(field.bytes()?)?,
            (2, field) => value = text(field.bytes()?)?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(Refusal::EmptyLabelName);
    }
    Ok((name, Cow::Borrowed(value)))
}

/// `Counter`, `Gauge` and `Untyped`, which number their fields alike.
struct Simple<'a> {
    value: f64,
    exemplar: Option<Exemplar<'a>>,
    created_ms: Option<i64>,
}

impl<'a> Simple<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Refusal> {
        let mut simple = Self {
            value: 0.0,
            exemplar: None,
            created_ms: None,
        };
        for field in Fields::new(message) {
            match field? {
                (1, value) => simple.value = value.double()?,
                (2, value) => simple.exemplar = Some(exemplar(value.bytes()?)?),
                (3, value) => simple.created_ms = Some(timestamp_ms(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(simple)
    }
}

#[derive(Default)]
struct Summary {
    count: u64,
    sum: f64,
    quantiles: Vec<(f64, f64)>,
    created_ms: Option<i64>,
}

impl Summary {
    fn read(message: &[u8]) -> Result<Self, Refusal> {
        let mut summary = Self::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => summary.count = value.unsigned()?,
                (2, value) => summary.sum = value.double()?,
                (3, value) => {
                    let mut quantile = (0.0, 0.0);
                    for field in Fields::new(value.bytes()?) {
                        match field? {
                            (1, value) => quantile.0 = value.double()?,
                            (2, value) => quantile.1 = value.double()?,
                            _ => {}
                        }
                    }
                    summary.quantiles.push(quantile);
                }
                (4, value) => summary.created_ms = Some(timestamp_ms(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(summary)
    }

    fn hand_out<F: FnMut(Item<'_>)>(self, names: &Names<'_>, out: &mut Out<'_, '_, F>) {
        out.created(self.created_ms);
        out.sample(&names.count, float(self.count).into(), Vec::new());
        out.sample(&names.sum, self.sum.into(), Vec::new());
        for (quantile, value) in self.quantiles {
            out.sample_of(names.plain, ("quantile", quantile), value, None);
        }
    }
}

fn exemplar(message: &[u8]) -> Result<Exemplar<'_>, Refusal> {
    let mut exemplar = Exemplar {
        labels: Vec::new(),
        value: 0.0,
        timestamp_ms: None,
    };
    for field in Fields::new(message) {
        match field? {
            (1, value) => exemplar.labels.push(label_pair(value.bytes()?)?),
            (2, value) => exemplar.value = value.double()?,
            (3, value) => exemplar.timestamp_ms = Some(timestamp_ms(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// `google.protobuf.Timestamp`
fn timestamp_ms(message: &[u8]) -> Result<i64, WireError> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    for field in Fields::new(message) {
        match field? {
            (1, value) => seconds = value.signed()?,
            (2, value) => nanos = value.signed()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "classic counts are floats wherever they go"
)]
fn float(count: u64) -> f64 {
    count as f64
}
