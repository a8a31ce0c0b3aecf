//! The protobuf wire format, as far as decoding by hand needs it: fields in the order in which they stand, nothing
//! copied. What a message's fields mean is said where it is read.

/// Why bytes are no protobuf message, or not the one expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field goes on beyond the end.
    #[error("the protobuf message ends within a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a protobuf number has more than 64 bits")]
    Varint,
    /// A field that no message can have.
    #[error("{0} is no protobuf tag")]
    Tag(u64),
    /// A known field in another wire type than its own.
    #[error("a protobuf field has another type than the schema says")]
    Type,
}

/// A field's value as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message. Ends after the first error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field's bytes if its tag is `tag` (number and wire type, in one byte; the type being that of bytes) and
    /// it is shorter than 16 KiB: what hot paths meet. `None` says nothing; [`next`](Self::next) reads on.
    #[inline]
    pub(crate) fn take_bytes(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (length, rest) = match self.rest {
            [found, length, rest @ ..] if *found == tag && *length < 0x80 => (usize::from(*length), rest),
            [found, low, high, rest @ ..] if *found == tag && *high < 0x80 => {
                (usize::from(*low & 0x7f) | (usize::from(*high) << 7), rest)
            }
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A number that stands by itself, after a tag that the caller knows. Six bytes is what times of our days take.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        if let Some((bytes, rest)) = self.rest.split_first_chunk::<6>()
            && bytes[..5].iter().all(|byte| *byte >= 0x80)
            && bytes[5] < 0x80
        {
            self.rest = rest;
            let parts = bytes.iter().rev();
            return Ok(parts.fold(0, |number, byte| (number << 7) | u64::from(*byte & 0x7f)));
        }
        self.varint()
    }

    /// A message of a sequence in which each has its length before it.
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn field(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Tag(tag))?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Value::Bytes(self.delimited()?),
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::Tag(tag)),
        };
        if number == 0 {
            return Err(WireError::Tag(tag));
        }
        Ok((number, value))
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | (u64::from(*high) << 7))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            // Of the tenth byte there is room for one bit.
            if index == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            number |= u64::from(*byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(WireError::Truncated)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Value<'a> {
    /// A string, message or packed list.
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Type),
        }
    }

    /// An unsigned number, a boolean, or an enum's.
    #[inline]
    pub(crate) fn unsigned(self) -> Result<u64, WireError> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(WireError::Type),
        }
    }

    /// An `int64` or `int32`.
    #[inline]
    pub(crate) fn signed(self) -> Result<i64, WireError> {
        Ok(self.unsigned()?.cast_signed())
    }

    /// A `sint64` or `sint32`.
    #[inline]
    pub(crate) fn zigzag(self) -> Result<i64, WireError> {
        Ok(unzigzag(self.unsigned()?))
    }

    /// A `double`.
    #[inline]
    pub(crate) fn double(self) -> Result<f64, WireError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(WireError::Type),
        }
    }

    /// A `fixed64` or `sfixed64`.
    pub(crate) fn fixed(self) -> Result<u64, WireError> {
        match self {
            Self::Fixed64(number) => Ok(number),
            _ => Err(WireError::Type),
        }
    }

    /// An element of a list of `fixed64`s, or many of them packed.
    pub(crate) fn fixeds(self, into: &mut Vec<u64>) -> Result<(), WireError> {
        match self {
            Self::Bytes(packed) => {
                let (chunks, rest) = packed.as_chunks();
                into.extend(chunks.iter().map(|bytes| u64::from_le_bytes(*bytes)));
                if rest.is_empty() {
                    Ok(())
                } else {
                    Err(WireError::Truncated)
                }
            }
            one => {
                into.push(one.fixed()?);
                Ok(())
            }
        }
    }

    /// An element of a list of `double`s, or many of them packed.
    pub(crate) fn doubles(self, into: &mut Vec<f64>) -> Result<(), WireError> {
        match self {
            Self::Bytes(packed) => {
                let (chunks, rest) = packed.as_chunks();
                into.extend(chunks.iter().map(|bytes| f64::from_le_bytes(*bytes)));
                if rest.is_empty() {
                    Ok(())
                } else {
                    Err(WireError::Truncated)
                }
            }
            one => {
                into.push(one.double()?);
                Ok(())
            }
        }
    }

    /// An element of a list of numbers, or many of them packed.
    #[inline]
    pub(crate) fn numbers(self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self {
            Self::Bytes(packed) => {
                let mut packed = Fields::new(packed);
                while !packed.rest.is_empty() {
                    each(packed.varint()?);
                }
                Ok(())
            }
            one => {
                each(one.unsigned()?);
                Ok(())
            }
        }
    }

    /// An element of a list of `sint64`s, or many of them packed.
    pub(crate) fn zigzags(self, into: &mut Vec<i64>) -> Result<(), WireError> {
        self.numbers(|number| into.push(unzigzag(number)))
    }
}

/// Signed numbers as they stand in `sint64`: small ones of either sign are short.
fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        for (bytes, expected) in [
            (&[0x08, 0x00][..], Ok(0)),
            (&[0x08, 0x96, 0x01], Ok(150)),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                Ok(u64::MAX),
            ),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
                Err(WireError::Varint),
            ),
            (&[0x08, 0xff], Err(WireError::Truncated)),
            (&[0x08], Err(WireError::Truncated)),
            (&[0x0a, 0x02, 0x00], Err(WireError::Truncated)),
            (&[0x00, 0x00], Err(WireError::Tag(0))),
            (&[0x0b], Err(WireError::Tag(0x0b))),
        ] {
            let field = Fields::new(bytes).next().expect("a field");
            assert_eq!(
                field.and_then(|(_, value)| value.unsigned()),
                expected,
                "{bytes:x?}"
            );
        }
        assert_eq!([0, 1, 2, 3, u64::MAX].map(unzigzag), [0, -1, 1, -2, i64::MIN]);
    }
}
