//! Label sets in the Prometheus sense: sorted names, each once, no empty values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";

/// Whether it is a label name as every version of Prometheus and Alertmanager takes it.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    !name.starts_with(|char: char| char.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A sorted set of `name="value"` pairs. An empty value is the same as no label and is never held.
///
/// Held as one text, because there are millions of them: names and values in turn, in order of name, each with its
/// length in bytes before it, written as characters (see [`push_text`]). Changing a set copies it.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(Box<str>);

/// A length is written in digits of this base, each a character; a digit that is not the last bears this bit. So a
/// length below it is one character, and no digit is a surrogate.
const LENGTH_DIGIT: u32 = 0x4000;

impl Labels {
    /// No labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of pairs in strictly rising order of name; `None` if they are not.
    #[must_use]
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut text = String::new();
        let mut before: Option<&str> = None;
        for (name, value) in pairs {
            if before.is_some_and(|before| before >= name) {
                return None;
            }
            before = Some(name);
            push_pair(&mut text, name, value);
        }
        Some(Self(text.into_boxed_str()))
    }

    /// The value of `name`, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|held| held.0 == name).map(|held| held.1)
    }

    /// The metric's name, or "".
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Sets `name` to `value`; an empty value removes it.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        let mut text = String::with_capacity(self.0.len() + name.len() + value.len() + 4);
        let mut new = Some((name, value));
        for held in self.iter() {
            if held.0 >= name
                && let Some((name, value)) = new.take()
            {
                push_pair(&mut text, name, value);
            }
            if held.0 != name {
                push_pair(&mut text, held.0, held.1);
            }
        }
        if let Some((name, value)) = new {
            push_pair(&mut text, name, value);
        }
        self.0 = text.into_boxed_str();
    }

    /// The same set with `name` set to `value`.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.set(name, value);
        self
    }

    /// Takes `name` out and gives its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let value = self.get(name)?.to_owned();
        *self = self.filtered(|held| held != name);
        Some(value)
    }

    /// The same set without the labels for which `keep` says no.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut text = String::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            push_pair(&mut text, name, value);
        }
        Self(text.into_boxed_str())
    }

    /// The pairs in order of name.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs { rest: &self.0 }
    }

    /// How many labels there are. O(labels).
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text that holds the set: equal sets, and only they, have equal texts. Its order is not that of sets.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// A digest of the whole set: equal sets, and only they, have equal fingerprints.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let parts: Vec<&[u8]> = self
            .iter()
            .flat_map(|(n, v)| [n.as_bytes(), v.as_bytes()])
            .collect();
        Digest::of_parts(&parts)
    }

    /// The fingerprint by which Prometheus and Alertmanager know the set: FNV-1a over names and values, of 64 bits. Different
    /// sets may share one: show it to others, and tell sets apart by [`Self::fingerprint`].
    #[must_use]
    pub fn fnv_fingerprint(&self) -> u64 {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let parts = self.iter().flat_map(|(name, value)| [name, value]);
        let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
        bytes.fold(OFFSET_BASIS, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        })
    }
}

/// The pairs of a [`Labels`], in order of name.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((take_text(&mut self.rest)?, take_text(&mut self.rest)?))
    }
}

fn push_pair(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        push_text(text, name);
        push_text(text, value);
    }
}

/// Appends `part` with its length before it: digits of 14 bits, the least significant first, each a character.
fn push_text(text: &mut String, part: &str) {
    let mut length = part.len();
    loop {
        let digit = (length % LENGTH_DIGIT as usize) as u32;
        length /= LENGTH_DIGIT as usize;
        let more = if length > 0 { LENGTH_DIGIT } else { 0 };
        text.push(char::from_u32(digit | more).unwrap_or_default());
        if length == 0 {
            break;
        }
    }
    text.push_str(part);
}

/// Takes off what [`push_text`] appended.
fn take_text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (mut length, mut unit) = (0, 1);
    loop {
        let digit = rest.chars().next()?;
        *rest = &rest[digit.len_utf8()..];
        length += (u32::from(digit) % LENGTH_DIGIT) as usize * unit;
        unit *= LENGTH_DIGIT as usize;
        if u32::from(digit) < LENGTH_DIGIT {
            break;
        }
    }
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    /// Of a name given twice, the last value holds.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let map: BTreeMap<String, String> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        map.into()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        let mut text = String::new();
        for (name, value) in &map {
            push_pair(&mut text, name, value);
        }
        Self(text.into_boxed_str())
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl fmt::Display for Labels {
    /// As Prometheus prints a series: `name{a="1", b="2"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        let mut rest = self.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if rest.peek().is_none() && !self.metric_name().is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (index, (name, value)) in rest.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_unique_and_never_empty() {
        let mut labels: Labels = [("job", "b"), ("__name__", "up"), ("job", "a"), ("x", "")]
            .into_iter()
            .collect();
        assert_eq!(labels.to_string(), r#"up{job="a"}"#);
        labels.set("job", "");
        assert_eq!(labels.to_string(), "up");
        assert_eq!(Labels::new().to_string(), "{}");
    }

    #[test]
    fn as_a_map_would() {
        let long = "x".repeat(0x4000 * 3 + 5);
        let values = ["", "a", "é", "\0", long.as_str(), "zz"];
        let mut labels = Labels::new();
        let mut map: BTreeMap<String, String> = BTreeMap::new();
        // Every step sets or removes one of seven names.
        for step in 0..400usize {
            let name = ["b", "a", "ab", "é", "c", "__name__", "B"][step * 5 % 7].to_owned();
            let value = values[step * 7 % 13 % values.len()];
            labels.set(&name, value);
            map.insert(name.clone(), value.to_owned());
            map.retain(|_, value| !value.is_empty());
            assert_eq!(labels, Labels::from(map.clone()));
            assert_eq!(BTreeMap::from(labels.clone()), map);
            assert_eq!(labels.get(&name), map.get(&name).map(String::as_str));
            assert_eq!(labels.len(), map.len());
            assert_eq!(Labels::from_sorted(labels.iter()).as_ref(), Some(&labels));
        }
        assert_eq!(Labels::from_sorted([("b", "1"), ("a", "1")]), None);
        assert!(Labels::from_iter([("a", "é")]) > Labels::from_iter([("a", "zz")]));
    }
}
