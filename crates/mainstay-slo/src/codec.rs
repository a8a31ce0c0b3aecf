//! Bytes of the stored state: variable-length integers, small numbers in one byte.

use crate::error::SloError;

/// The longest text that is read back, in bytes.
const TEXT_MAX_BYTES: usize = 1 << 16;

/// Builds a stored state.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Zigzag: small negative numbers stay short.
    pub(crate) fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn option(&mut self, value: Option<i64>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            self.i64(value);
        }
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(crate) fn len(&mut self, length: usize) {
        self.u64(length as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Eight bytes that are to be filled later; gives where they are.
    pub(crate) fn length_later(&mut self) -> usize {
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.len()
    }

    /// Fills the eight bytes before `at` with the length of what came after them.
    pub(crate) fn fill_length(&mut self, at: usize) {
        let length = (self.bytes.len() - at) as u64;
        self.bytes[at - 8..at].copy_from_slice(&length.to_le_bytes());
    }

    /// Bytes without their length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written from a place on.
    pub(crate) fn since(&self, at: usize) -> &[u8] {
        &self.bytes[at..]
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a stored state; never panics on bytes that are not one.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

fn broken(what: &str) -> SloError {
    SloError::Snapshot(what.to_owned())
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn byte(&mut self) -> Result<u8, SloError> {
        let (first, rest) = self
            .bytes
            .split_first()
            .ok_or_else(|| broken("it ends too early"))?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SloError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken("a number is longer than 64 bits"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SloError> {
        u32::try_from(self.u64()?).map_err(|_| broken("a number is longer than 32 bits"))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, SloError> {
        let value = self.u64()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn option(&mut self) -> Result<Option<i64>, SloError> {
        Ok(if self.bool()? { Some(self.i64()?) } else { None })
    }

    pub(crate) fn bool(&mut self) -> Result<bool, SloError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(broken("a yes or no is neither")),
        }
    }

    /// A number of things to follow; each takes at least one byte, so it is never more than what is left.
    pub(crate) fn len(&mut self) -> Result<usize, SloError> {
        let length = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        if length > self.bytes.len() {
            return Err(broken("a length goes past its end"));
        }
        Ok(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, SloError> {
        let text = self.bytes()?;
        if text.len() > TEXT_MAX_BYTES {
            return Err(broken("a text is too long"));
        }
        std::str::from_utf8(text).map_err(|_| broken("a text is not UTF-8"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], SloError> {
        let length = self.len()?;
        let (bytes, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Ok(bytes)
    }

    /// What [`Writer::fill_length`] gave a length.
    pub(crate) fn measured(&mut self) -> Result<&'a [u8], SloError> {
        let ends_early = || broken("it ends too early");
        let (length, rest) = self.bytes.split_first_chunk().ok_or_else(ends_early)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (bytes, rest) = rest.split_at_checked(length).ok_or_else(ends_early)?;
        self.bytes = rest;
        Ok(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_survive() {
        let mut out = Writer::default();
        for value in [0, 127, 128, u64::MAX] {
            out.u64(value);
        }
        for value in [0, -1, i64::MIN, i64::MAX] {
            out.i64(value);
        }
        out.text("cell-5");
        out.option(None);
        let bytes = out.into_bytes();
        let mut input = Reader::new(&bytes);
        for value in [0, 127, 128, u64::MAX] {
            assert_eq!(input.u64(), Ok(value));
        }
        for value in [0, -1, i64::MIN, i64::MAX] {
            assert_eq!(input.i64(), Ok(value));
        }
        assert_eq!(input.text(), Ok("cell-5"));
        assert_eq!(input.option(), Ok(None));
        assert!(input.is_empty() && input.u64().is_err());
    }
}
