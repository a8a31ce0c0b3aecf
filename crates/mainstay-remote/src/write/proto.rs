//! The messages of remote write, written by hand: `prometheus.WriteRequest` (1.0) and `io.prometheus.write.v2.Request`
//! (2.0), as <https://prometheus.io/docs/specs/prw/remote_write_spec/> and its successor define them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;

use super::Entry;

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
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    pub(super) fn version_header(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

/// The message that bears these samples, compressed with snappy's block format. `external` labels are added to every
/// series that does not have them.
#[must_use]
pub fn encode(entries: &[Entry], external: &Labels, protocol: Protocol) -> Vec<u8> {
    let message = message(entries, external, protocol);
    // A message of this size is far below what snappy can take, the only thing that it refuses.
    snap::raw::Encoder::new()
        .compress_vec(&message)
        .unwrap_or_default()
}

/// The message without compression. Series come in the order of their first sample, samples of a series in order of
/// acceptance.
pub(super) fn message(entries: &[Entry], external: &Labels, protocol: Protocol) -> Vec<u8> {
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
                for entry in samples {
                    inner.nested(2, |sample| {
                        sample.double(1, entry.value);
                        sample.int64(2, entry.t_ms);
                    });
                }
                out.bytes(1, &inner.0);
            }
            Protocol::V2 => {
                let references = labels.iter().flat_map(|(name, value)| [name, value]);
                let references: Vec<u64> = references.map(|text| symbols.reference(text)).collect();
                inner.packed(1, &references);
                for entry in samples {
                    inner.nested(2, |sample| {
                        sample.double(1, entry.value);
                        sample.int64(2, entry.t_ms);
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

fn with_external(labels: &Arc<Labels>, external: &Labels) -> Arc<Labels> {
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

/// A protobuf message under construction. Zero values are left out, as proto3 does.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    const VARINT: u64 = 0;
    const FIXED64: u64 = 1;
    const LENGTH: u64 = 2;

    fn clear(&mut self) {
        self.0.clear();
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, Self::LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.text_always(field, text);
        }
    }

    /// An element of a list, which may be empty.
    fn text_always(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn double(&mut self, field: u64, value: f64) {
        // Minus zero is not the zero that may be left out.
        if value.to_bits() != 0 {
            self.key(field, Self::FIXED64);
            self.0.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }

    fn int64(&mut self, field: u64, value: i64) {
        if value != 0 {
            self.key(field, Self::VARINT);
            self.varint(value.cast_unsigned());
        }
    }

    fn packed(&mut self, field: u64, values: &[u64]) {
        let mut inner = Self::default();
        for value in values {
            inner.varint(*value);
        }
        self.bytes(field, &inner.0);
    }

    /// A message inside: it is written in place, and its length is put before it afterwards.
    fn nested(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        self.key(field, Self::LENGTH);
        let start = self.0.len();
        write(self);
        let length = self.0.len() - start;
        let mut prefix = Self::default();
        prefix.varint(length as u64);
        self.0.splice(start..start, prefix.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let up = Arc::new(Labels::from_iter([("__name__", "up"), ("job", "a")]));
        let down = Arc::new(Labels::from_iter([
            ("__name__", "down"),
            ("job", "a"),
            ("cell", "x"),
        ]));
        vec![
            Entry {
                labels: Arc::clone(&up),
                created_ms: None,
                t_ms: 300,
                value: 1.0,
            },
            Entry {
                labels: down,
                created_ms: Some(5),
                t_ms: 300,
                value: 0.0,
            },
            Entry {
                labels: up,
                created_ms: None,
                t_ms: -1,
                value: -0.0,
            },
        ]
    }

    /// The bytes that the protobuf encoding of the documents gives, field by field.
    #[test]
    fn version_1_to_the_byte() {
        let external = Labels::from_iter([("cell", "y")]);
        let label = |name: &str, value: &str| {
            let mut bytes = vec![0x0a, (name.len() + value.len() + 4) as u8, 0x0a, name.len() as u8];
            bytes.extend(name.bytes());
            bytes.extend([0x12, value.len() as u8]);
            bytes.extend(value.bytes());
            bytes
        };
        let one = [0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02].to_vec();
        let minus_zero = [
            &[0x12, 20, 0x09, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x10][..],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ]
        .concat();
        let zero = vec![0x12, 3, 0x10, 0xac, 0x02];
        let up = [
            label("__name__", "up"),
            label("cell", "y"),
            label("job", "a"),
            one,
            minus_zero,
        ]
        .concat();
        let down = [
            label("__name__", "down"),
            label("cell", "x"),
            label("job", "a"),
            zero,
        ]
        .concat();
        let expected = [&[0x0a, up.len() as u8][..], &up, &[0x0a, down.len() as u8], &down].concat();
        assert_eq!(message(&entries(), &external, Protocol::V1), expected);
    }

    #[test]
    fn version_2_has_each_text_once() {
        let bytes = message(&entries(), &Labels::new(), Protocol::V2);
        let symbols = ["", "__name__", "up", "job", "a", "down", "cell", "x"];
        let mut expected = Vec::new();
        for symbol in symbols {
            expected.extend([0x22, symbol.len() as u8]);
            expected.extend(symbol.bytes());
        }
        let sample = [
            0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02, // 1 at 300
        ];
        assert_eq!(bytes[..expected.len()], expected);
        let up = &bytes[expected.len()..];
        assert_eq!(up[..2], [0x2a, 6 + 14 + 22]);
        assert_eq!(up[2..8], [0x0a, 4, 1, 2, 3, 4]);
        assert_eq!(up[8..22], sample);
        let down = &up[2 + 6 + 14 + 22..];
        assert_eq!(
            down,
            [
                0x2a, 15, 0x0a, 6, 1, 5, 6, 7, 3, 4, 0x12, 3, 0x10, 0xac, 0x02, 0x30, 5
            ]
        );
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let value = "x".repeat(300);
        let labels = Arc::new(Labels::from_iter([("a", value.as_str())]));
        let entry = Entry {
            labels,
            created_ms: None,
            t_ms: 1,
            value: 1.0,
        };
        let bytes = message(&[entry], &Labels::new(), Protocol::V1);
        // Request: 1 + 2 + series; label: 1 + 2 + (1 + 1 + 1) + (1 + 2 + 300); sample: 2 + 9 + 2.
        assert_eq!(bytes.len(), 3 + (3 + 3 + 303) + 13);
        assert_eq!(bytes[..3], [0x0a, 0xc2, 0x02]);
    }
}
