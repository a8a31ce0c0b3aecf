//! Parts of a chunk.

use super::{Chunk, ChunkKind};
use crate::codec::Packing;
use crate::error::SeriesError;
use crate::known::Known;
use crate::state::HISTOGRAM_BITS;

impl Chunk {
    /// The chunk without what lies between two times, both included, that are `gone`, and what is known of the rest;
    /// `None` if nothing is left. A record goes whole: what of it is gone cannot be told from what is not.
    pub(crate) fn without(
        &self,
        gone: impl Fn(i64, i64) -> bool,
    ) -> Result<Option<(Self, Known)>, SeriesError> {
        match self.kind {
            ChunkKind::Float => {
                let mut samples = Vec::new();
                self.decode(&mut samples)?;
                samples.retain(|held| !gone(held.0, held.0));
                Ok((!samples.is_empty())
                    .then(|| (Self::encode(&samples, Packing::Fast), Known::of(&samples))))
            }
            ChunkKind::Histogram => {
                let mut samples = Vec::new();
                self.decode_histograms(&mut samples)?;
                samples.retain(|held| !gone(held.0, held.0));
                Ok((!samples.is_empty()).then(|| (Self::encode_histograms(&samples), Known::Unread)))
            }
            ChunkKind::Records => {
                let mut records = self.records()?;
                records.retain(|record| !gone(record.begin_ms(), record.end_ms()));
                Ok((!records.is_empty()).then(|| (Self::encode_records(&records), Known::Unread)))
            }
        }
    }

    /// Time and bits of its last sample.
    pub(crate) fn last(&self) -> Result<Option<(i64, u64)>, SeriesError> {
        match self.kind {
            ChunkKind::Float | ChunkKind::Records => {
                let mut samples = Vec::new();
                self.decode(&mut samples)?;
                Ok(samples.last().map(|held| (held.0, held.1.to_bits())))
            }
            ChunkKind::Histogram => Ok(Some((self.max_ms, HISTOGRAM_BITS))),
        }
    }
}
