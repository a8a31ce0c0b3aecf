//! The messages of remote write, written by hand: `prometheus.WriteRequest` (1.0) and `io.prometheus.write.v2.Request`
//! (2.0), as <https://prometheus.io/docs/specs/prw/remote_write_spec/> and its successor define them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::SampleValue;

use super::message::Message;
use super::{Entry, histogram};

/// The version of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// 1.0: what every receiver understands.
    #[default]
    V1,
    /// 2.0: each text once, and when counters began.
    V2,
}

impl Protocol {
    /// The `Content-Type` of a message.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The value of `X-Prometheus-Remote-Write-Version`.
    #[must_use]
    pub fn version_header(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

/// The message that bears these samples, compressed with snappy's block format. `external` labels are added to every
/// series that does not have them. Of 2.0 each series says what `families` knows of its metric.
#[must_use]
pub fn encode(entries: &[Entry], external: &Labels, protocol: Protocol, families: &Families) -> Vec<u8> {
    packed(&message(entries, external, protocol, families))
}

/// The message of 1.0 that bears what is known of metrics, compressed alike.
#[must_use]
pub fn encode_metadata(families: &[Metadata]) -> Vec<u8> {
    let mut out = Message::default();
    for family in families {
        out.nested(3, |said| {
            said.uint64(1, family.kind);
            said.text(2, &family.family);
            said.text(4, &family.help);
            said.text(5, &family.unit);
        });
    }
    packed(&out.0)
}

fn packed(message: &[u8]) -> Vec<u8> {
    // A message of this size is far below what snappy can take, the only thing that it refuses.
    snap::raw::Encoder::new()
        .compress_vec(message)
        .unwrap_or_default()
}

/// What is known of a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The family's name.
    pub family: String,
    /// What it is, by its number in `MetricType`: 1 a counter, 2 a gauge, 3 a histogram, ...
    pub kind: u64,
    /// What it means.
    pub help: String,
    /// Its unit.
    pub unit: String,
}

/// What is known of metrics, by family. Of several sayings about one the last holds.
#[derive(Debug, Clone, Default)]
pub struct Families(BTreeMap<String, Metadata>);

impl Families {
    /// Of these sayings.
    #[must_use]
    pub fn new(said: impl IntoIterator<Item = Metadata>) -> Self {
        Self(said.into_iter().map(|said| (said.family.clone(), said)).collect())
    }

    /// What is known of a metric: of its own name, or of the family that has it as a part.
    fn of(&self, metric: &str) -> Option<&Metadata> {
        const PARTS: [&str; 4] = ["_bucket", "_sum", "_count", "_total"];
        if self.0.is_empty() {
            return None;
        }
        let family = || {
            PARTS
                .iter()
                .find_map(|part| self.0.get(metric.strip_suffix(part)?))
        };
        self.0.get(metric).or_else(family)
    }
}

/// The message without compression. Series come in the order of their first sample, samples of a series in order of
/// acceptance.
pub(super) fn message(
    entries: &[Entry],
    external: &Labels,
    protocol: Protocol,
    families: &Families,
) -> Vec<u8> {
    let series = by_series(entries);
    let mut out = Message::default();
    let mut inner = Message::default();
    let mut symbols = Symbols::default();
    let mut body = Message::default();
    for samples in &series {
        let Some(first) = samples.first() else { continue };
        let labels = with_external(&first.labels, external);
        inner.clear();
        match protocol {
            Protocol::V1 => {
                for (name, value) in labels.iter() {
                    inner.nested(1, |label| {
                        label.text(1, name);
                        label.text(2, value);
                    });
                }
                write_values(&mut inner, samples, 4);
                out.bytes(1, &inner.0);
            }
            Protocol::V2 => {
                let references = labels.iter().flat_map(|(name, value)| [name, value]);
                let references: Vec<u64> = references.map(|text| symbols.reference(text)).collect();
                inner.packed(1, &references);
                write_values(&mut inner, samples, 3);
                if let Some(known) = families.of(labels.metric_name()) {
                    let (help, unit) = (symbols.reference(&known.help), symbols.reference(&known.unit));
                    inner.nested(5, |said| {
                        said.uint64(1, known.kind);
                        said.uint64(3, help);
                        said.uint64(4, unit);
                    });
                }
                if let Some(created_ms) = samples.iter().rev().find_map(|entry| entry.created_ms) {
                    inner.int64(6, created_ms);
                }
                body.bytes(5, &inner.0);
            }
        }
    }
    if protocol == Protocol::V2 {
        out.text_always(4, "");
        for text in &symbols.texts {
            out.text_always(4, text);
        }
        out.0.extend_from_slice(&body.0);
    }
    out.0
}

/// The numbers of a series, then its native histograms, which have another field in each version.
fn write_values(series: &mut Message, entries: &[&Entry], histograms: u64) {
    for entry in entries {
        if let SampleValue::Float(value) = entry.value {
            series.nested(2, |sample| {
                sample.double(1, value);
                sample.int64(2, entry.t_ms);
            });
        }
    }
    for entry in entries {
        if let SampleValue::Histogram(value) = &entry.value {
            let mut message = Message::default();
            histogram::write(&mut message, value, entry.t_ms);
            series.bytes(histograms, &message.0);
        }
    }
}

/// Groups by series. The same series usually comes with the same allocation; where it does not, it comes twice, which the
/// protocol allows.
fn by_series(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut series: Vec<Vec<&Entry>> = Vec::new();
    for entry in entries {
        let place = *places
            .entry(Arc::as_ptr(&entry.labels).addr())
            .or_insert(series.len());
        match series.get_mut(place) {
            Some(samples) => samples.push(entry),
            None => series.push(vec![entry]),
        }
    }
    series
}

/// The labels with those of `external` whose names they do not have.
#[must_use]
pub fn with_external(labels: &Arc<Labels>, external: &Labels) -> Arc<Labels> {
    let mut labels = Arc::clone(labels);
    for (name, value) in external.iter() {
        if labels.get(name).is_none() {
            Arc::make_mut(&mut labels).set(name, value);
        }
    }
    labels
}

/// The texts of a 2.0 message, each once; the reference 0 is the empty text.
#[derive(Default)]
struct Symbols {
    places: BTreeMap<String, u64>,
    texts: Vec<String>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        self.texts.push(text.to_owned());
        let place = self.texts.len() as u64;
        self.places.insert(text.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests;
