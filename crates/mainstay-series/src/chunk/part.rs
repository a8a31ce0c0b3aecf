//! Parts of a chunk.

use super::{Chunk, ChunkKind};
use crate::codec::Packing;
use crate::error::SeriesError;
use crate::known::Known;
use crate::state::HISTOGRAM_BITS;

impl Chunk {
    /// The chunk without the samples of the times that are `gone`, and what is known of the others; `None` if none is
    /// left.
    pub(crate) fn without(&self, gone: impl Fn(i64) -> bool) -> Result<Option<(Self, Known)>, SeriesError> {
        match self.kind {
            ChunkKind::Float => {
                let mut samples = Vec::new();
                self.decode(&mut samples)?;
                samples.retain(|held| !gone(held.0));
                Ok((!samples.is_empty())
                    .then(|| (Self::encode(&samples, Packing::Fast), Known::of(&samples))))
            }
            ChunkKind::Histogram => {
                let mut samples = Vec::new();
                self.decode_histograms(&mut samples)?;
                samples.retain(|held| !gone(held.0));
                Ok((!samples.is_empty()).then(|| (Self::encode_histograms(&samples), Known::Unread)))
            }
        }
    }

    /// Time and bits of its last sample.
    pub(crate) fn last(&self) -> Result<Option<(i64, u64)>, SeriesError> {
        match self.kind {
            ChunkKind::Float => {
                let mut samples = Vec::new();
                self.decode(&mut samples)?;
                Ok(samples.last().map(|held| (held.0, held.1.to_bits())))
            }
            ChunkKind::Histogram => Ok(Some((self.max_ms, HISTOGRAM_BITS))),
        }
    }
}
