//! Writing protobuf.

/// A protobuf message under construction. Zero values are left out, as proto3 does.
#[derive(Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    const VARINT: u64 = 0;
    const FIXED64: u64 = 1;
    const LENGTH: u64 = 2;

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, Self::LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.text_always(field, text);
        }
    }

    /// An element of a list, which may be empty.
    pub(super) fn text_always(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    pub(super) fn double(&mut self, field: u64, value: f64) {
        // Minus zero is not the zero that may be left out.
        if value.to_bits() != 0 {
            self.key(field, Self::FIXED64);
            self.0.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }

    pub(super) fn int64(&mut self, field: u64, value: i64) {
        if value != 0 {
            self.key(field, Self::VARINT);
            self.varint(value.cast_unsigned());
        }
    }

    /// Zigzag: small numbers of either sign are short.
    pub(super) fn sint64(&mut self, field: u64, value: i64) {
        if value != 0 {
            self.key(field, Self::VARINT);
            self.varint(zigzag(value));
        }
    }

    pub(super) fn uint64(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.uint64_always(field, value);
        }
    }

    /// One of several fields, of which the one that is there says something by being there.
    pub(super) fn uint64_always(&mut self, field: u64, value: u64) {
        self.key(field, Self::VARINT);
        self.varint(value);
    }

    /// As [`Message::uint64_always`].
    pub(super) fn double_always(&mut self, field: u64, value: f64) {
        self.key(field, Self::FIXED64);
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub(super) fn packed_doubles(&mut self, field: u64, values: &[f64]) {
        if !values.is_empty() {
            self.key(field, Self::LENGTH);
            self.varint(values.len() as u64 * 8);
            for value in values {
                self.0.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }

    pub(super) fn packed_deltas(&mut self, field: u64, deltas: impl Iterator<Item = i64>) {
        let deltas: Vec<u64> = deltas.map(zigzag).collect();
        if !deltas.is_empty() {
            self.packed(field, &deltas);
        }
    }

    pub(super) fn packed(&mut self, field: u64, values: &[u64]) {
        let mut inner = Self::default();
        for value in values {
            inner.varint(*value);
        }
        self.bytes(field, &inner.0);
    }

    /// A message inside: it is written in place, and its length is put before it afterwards.
    pub(super) fn nested(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        self.key(field, Self::LENGTH);
        let start = self.0.len();
        write(self);
        let length = self.0.len() - start;
        let mut prefix = Self::default();
        prefix.varint(length as u64);
        self.0.splice(start..start, prefix.0);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
