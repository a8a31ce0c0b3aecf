//! Values that remember where they were written.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a file: where a value starts and how long it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct At {
    /// The line, from 1; 0 if nobody knows.
    pub line: u32,
    /// The column in characters, from 1; 0 if nobody knows.
    pub column: u32,
    /// The first byte, counted from the start of the file.
    pub offset_bytes: u32,
    /// How many bytes.
    pub len_bytes: u32,
}

impl At {
    /// The place of `bytes` in `source`, the text of a whole file.
    #[must_use]
    pub fn of_bytes(source: &str, bytes: std::ops::Range<usize>) -> Self {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let before = source.get(..bytes.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: narrow(before.bytes().filter(|byte| *byte == b'\n').count() + 1),
            column: narrow(before[line_start..].chars().count() + 1),
            offset_bytes: narrow(bytes.start),
            len_bytes: narrow(bytes.len()),
        }
    }

    /// Where the first line of `part` stands in `source`, the text of a whole file, from this place on; else this place.
    /// For a piece of a longer text, such as a word of a description.
    #[must_use]
    pub fn of_part(self, source: &str, part: &str) -> Self {
        self.of_nth_part(source, part, 0)
    }

    /// Where the bytes of `whole`, a text that was read at this place, stand in `source`, the text of a whole file: the
    /// first line of them. However a YAML scalar is written, its words come in the same order.
    #[must_use]
    pub fn of_bytes_within(self, source: &str, whole: &str, bytes: std::ops::Range<usize>) -> Self {
        let start = bytes.start;
        let part = whole.get(bytes).map(first_line).unwrap_or_default();
        let before = whole.match_indices(part).take_while(|(at, _)| *at < start);
        let nth = if part.is_empty() { 0 } else { before.count() };
        self.of_nth_part(source, part, nth)
    }

    fn of_nth_part(self, source: &str, part: &str, nth: usize) -> Self {
        let part = first_line(part);
        let start = self.offset_bytes as usize;
        let found = source
            .get(start..)
            .and_then(|rest| rest.match_indices(part).nth(nth));
        match found {
            Some((found, _)) if !part.is_empty() => {
                Self::of_bytes(source, start + found..start + found + part.len())
            }
            _ => self,
        }
    }

    /// One character of `source`, the text of a whole file, by line and column.
    pub(crate) fn of_line_column(source: &str, line: u32, column: u32) -> Self {
        let before: usize = source
            .split_inclusive('\n')
            .take(line.saturating_sub(1) as usize)
            .map(str::len)
            .sum();
        let rest = &source[before..];
        let within = rest
            .char_indices()
            .nth(column.saturating_sub(1) as usize)
            .map_or(rest.len(), |(byte, _)| byte);
        Self::of_bytes(source, before + within..before + within + 1)
    }

    /// The bytes of the file.
    pub(crate) fn bytes(self) -> std::ops::Range<usize> {
        let start = self.offset_bytes as usize;
        start..start.saturating_add(self.len_bytes as usize)
    }

    pub(crate) fn from_yaml(location: serde_saphyr::Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let span = location.span();
        Self {
            line: narrow(location.line()),
            column: narrow(location.column()),
            offset_bytes: narrow(span.byte_offset().map_or(0, Into::into)),
            len_bytes: narrow(span.byte_len().map_or(0, Into::into)),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

/// A value and the place where it was written. It reads like the value itself; two are equal when their values are,
/// wherever they stand. Positions exist only for values read from YAML.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: At,
}

impl<T> Spanned<T> {
    /// A value that was written nowhere.
    pub fn nowhere(value: T) -> Self {
        Self {
            value,
            at: At::default(),
        }
    }

    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            value: change(self.value),
            at: self.at,
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let inner = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self {
            value: inner.value,
            at: At::from_yaml(inner.referenced),
        })
    }
}
