//! What stands for a label set in a table.

use xxhash_rust::xxh3::xxh3_128;

/// What identifies a label set as a sender writes it: a 128-bit hash of its bytes. Two writings of one label set have
/// two keys; that two label sets have one is not to be expected of any number of series.
///
/// The hash is fast and no seal: whoever wants to can find two label sets with one key. So a cache belongs to one
/// tenant, who then mixes up series of his own only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    high: u64,
    low: u64,
}

impl SeriesKey {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let hash = xxh3_128(bytes);
        Self {
            high: (hash >> 64) as u64,
            low: hash as u64,
        }
    }

    /// The key of a sequence of texts: that of those so far, followed by another.
    #[inline]
    pub(crate) fn then(self, next: Self) -> Self {
        // A polynomial of hashes in each half; the factors are any odd numbers with well mixed bits.
        Self {
            high: self
                .high
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(next.high),
            low: self
                .low
                .wrapping_mul(0xd1b5_4a32_d192_ed03)
                .wrapping_add(next.low),
        }
    }

    /// Enough of it for a hash table.
    #[inline]
    pub(crate) fn hash(self) -> u64 {
        self.low
    }
}
