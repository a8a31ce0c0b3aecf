//! Typed names. A tenant id cannot be passed where a cell id is wanted.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Entropy;

/// The longest name accepted, in bytes.
pub const NAME_MAX_BYTES: usize = 128;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name must not be empty")]
    Empty,
    /// More than [`NAME_MAX_BYTES`].
    #[error("a name has at most {NAME_MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A character other than letters, digits, `-`, `_`, `.`, `:`, `/` or `#`.
    #[error("a name has letters, digits and - _ . : / #, not {0:?}")]
    BadCharacter(char),
}

fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX_BYTES {
        return Err(NameError::TooLong(text.len()));
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "-_.:/#".contains(*c)))
    {
        Some(bad) => Err(NameError::BadCharacter(bad)),
        None => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            /// If it is empty, too long or has a character that names do not have.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check_name(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A bank that uses the platform.
    TenantId,
    /// One isolated copy of the platform.
    CellId,
    /// A cloud region.
    RegionId,
    /// An availability zone.
    ZoneId,
    /// A service of the platform.
    ServiceId,
    /// A team that owns services.
    TeamId,
    /// A person, by a handle that is not their name: the name is a personal field.
    PersonId,
    /// An incident, such as `2025-01-15-001`.
    IncidentId,
    /// One page: a request that a human take something on.
    PageId,
    /// A service level objective.
    SloId,
    /// A runbook.
    RunbookId,
    /// A chat channel, such as `#alerts`.
    ChannelName,
}

/// The identity of one event: 48 bits of milliseconds since the epoch, then 80 random bits, written in 26 characters
/// of Crockford's base 32 (the ULID format), so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl EventId {
    /// A new id for an event decided at `at`.
    pub fn generate(at: Timestamp, entropy: &(impl Entropy + ?Sized)) -> Self {
        let mut random = [0; 16];
        entropy.fill(&mut random[..10]);
        let millis = u128::from(at.as_millisecond().max(0).unsigned_abs()) & ((1 << 48) - 1);
        Self((millis << 80) | (u128::from_le_bytes(random) & ((1 << 80) - 1)))
    }

    /// When the event was decided.
    #[must_use]
    pub fn at(self) -> Timestamp {
        let millis = i64::try_from(self.0 >> 80).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// The sixteen bytes, most significant first: their order is the order of ids.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`EventId::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; 26];
        for (index, slot) in text.iter_mut().enumerate() {
            let shift = 5 * (25 - index);
            *slot = CROCKFORD[((self.0 >> shift) & 31) as usize];
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not an event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id is 26 characters of Crockford's base 32")]
pub struct EventIdError;

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        if text.len() != 26 {
            return Err(EventIdError);
        }
        text.bytes()
            .try_fold(0_u128, |value, byte| {
                let digit = CROCKFORD
                    .iter()
                    .position(|c| *c == byte.to_ascii_uppercase())
                    .ok_or(EventIdError)?;
                value
                    .checked_mul(32)
                    .map(|v| v | digit as u128)
                    .ok_or(EventIdError)
            })
            .map(Self)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn event_ids_sort_by_time_and_survive_text() {
        let entropy = SeededEntropy::new(1);
        let early = EventId::generate(Timestamp::from_millisecond(1_000).expect("in range"), &entropy);
        let late = EventId::generate(Timestamp::from_millisecond(1_001).expect("in range"), &entropy);
        assert_eq!(
            (early.at().as_millisecond(), late.at().as_millisecond()),
            (1_000, 1_001)
        );
        assert_eq!(EventId::from_bytes([255; 16]).at(), Timestamp::MAX);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse(), Ok(late));
        assert_eq!(EventId::from_bytes(late.to_bytes()), late);
        assert!("not an id".parse::<EventId>().is_err());
    }

    #[test]
    fn names_refuse_what_would_break_a_url_or_a_label() {
        assert!(CellId::new("cell-5").is_ok());
        assert_eq!(CellId::new(""), Err(NameError::Empty));
        assert_eq!(CellId::new("a b"), Err(NameError::BadCharacter(' ')));
        assert_eq!(CellId::new("x".repeat(129)), Err(NameError::TooLong(129)));
    }
}
