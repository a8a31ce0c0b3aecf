//! One frame of the course of judging.

use jiff::Timestamp;
use mainstay_kernel::Digest;
use mainstay_kernel::fact::AlertFact;
use mainstay_segment::Lsn;
use mainstay_slo::adjust::Exclusion;

/// One thing that happened to the counts besides samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Its place in the log of steps; none of one that is not written yet.
    pub(super) number: Lsn,
    /// When, by the clock that it was done by.
    pub(super) now: Timestamp,
    /// The position of the store's log up to which samples were counted.
    pub(super) counted: Lsn,
    /// The position of the log of completions up to which they were counted.
    pub(super) completed: Lsn,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// The counts were made, or read back, and installed into the catalog in force; how often samples were expected, in
    /// milliseconds.
    Opened(i64),
    /// Everything was judged.
    Evaluated,
    /// Another catalog came into force.
    Reconfigured,
    /// Alerts that only the journal knew were taken over.
    Adopted(Vec<AlertFact>),
    /// The counts were written down as they stood after the step `upto` and the samples up to `counted`; `digest` is that of
    /// the file. Other steps may have come between.
    Kept { upto: Lsn, digest: Digest },
    /// These stretches do not count from now on, and no others.
    Excluded(Vec<Exclusion>),
}

impl What {
    fn kind(&self) -> u8 {
        match self {
            Self::Opened(_) => 0,
            Self::Evaluated => 1,
            Self::Reconfigured => 2,
            Self::Adopted(_) => 3,
            Self::Kept { .. } => 4,
            Self::Excluded(_) => 5,
        }
    }
}

impl Step {
    /// One byte of kind, the instant and the two positions (8 bytes each, little-endian), and what the kind needs besides: the
    /// interval of samples (8 bytes), alerts or exclusions as JSON, the step (8 bytes) and the 32 bytes of the digest.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.what.kind()];
        bytes.extend_from_slice(&self.now.as_millisecond().to_le_bytes());
        bytes.extend_from_slice(&self.counted.get().to_le_bytes());
        bytes.extend_from_slice(&self.completed.get().to_le_bytes());
        match &self.what {
            What::Adopted(alerts) => {
                // Facts are plain data: they always have a text.
                bytes.extend(serde_json::to_vec(alerts).unwrap_or_default());
            }
            What::Excluded(stretches) => bytes.extend(serde_json::to_vec(stretches).unwrap_or_default()),
            What::Kept { upto, digest } => {
                bytes.extend_from_slice(&upto.get().to_le_bytes());
                bytes.extend_from_slice(&digest.0);
            }
            What::Opened(interval_ms) => bytes.extend_from_slice(&interval_ms.to_le_bytes()),
            What::Evaluated | What::Reconfigured => {}
        }
        bytes
    }

    pub(super) fn is_start(&self) -> bool {
        matches!(self.what, What::Opened(_))
    }

    /// `None`: of a kind that this program does not know, or damaged.
    pub(super) fn read(number: Lsn, bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (now, rest) = rest.split_first_chunk::<8>()?;
        let (counted, rest) = rest.split_first_chunk::<8>()?;
        let (completed, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            number,
            now: Timestamp::from_millisecond(i64::from_le_bytes(*now)).ok()?,
            counted: Lsn::new(u64::from_le_bytes(*counted)),
            completed: Lsn::new(u64::from_le_bytes(*completed)),
            what: match kind {
                0 => What::Opened(i64::from_le_bytes(rest.try_into().ok()?)),
                1 => What::Evaluated,
                2 => What::Reconfigured,
                3 => What::Adopted(serde_json::from_slice(rest).ok()?),
                4 => {
                    let (upto, digest) = rest.split_first_chunk::<8>()?;
                    What::Kept {
                        upto: Lsn::new(u64::from_le_bytes(*upto)),
                        digest: Digest(digest.try_into().ok()?),
                    }
                }
                5 => What::Excluded(serde_json::from_slice(rest).ok()?),
                _ => return None,
            },
        })
    }
}
