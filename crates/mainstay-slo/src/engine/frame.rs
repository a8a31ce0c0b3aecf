//! The frame of the stored state: what it is, of which version, how long, and its digest.

use mainstay_kernel::Digest;

use super::SloEngine;
use super::snapshot::{DIGEST_BYTES, HEAD_BYTES, MAGIC, VERSION, broken};
use crate::error::SloError;

impl SloEngine {
    /// Whether bytes are a whole state of a version that is known. Cost: their digest.
    ///
    /// # Errors
    /// If they are of a later version, or damaged.
    pub fn verify(bytes: &[u8]) -> Result<(), SloError> {
        body_of(bytes).map(|_| ())
    }
}

/// Checks the frame; gives the version and the body.
pub(super) fn body_of(bytes: &[u8]) -> Result<(u8, &[u8]), SloError> {
    let head = bytes.get(..HEAD_BYTES).ok_or_else(|| broken("it is too short"))?;
    if &head[..4] != MAGIC {
        return Err(broken("it does not begin with MSLO"));
    }
    let version = head[4];
    if version == 0 {
        return Err(broken("it is of no version"));
    }
    if version > VERSION {
        return Err(SloError::LaterState(version));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&head[5..]);
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let rest = &bytes[HEAD_BYTES..];
    if rest.len() != length.saturating_add(DIGEST_BYTES) {
        return Err(broken("it is cut short or too long"));
    }
    let (body, digest) = rest.split_at(length);
    if Digest::of(body).0 != digest {
        return Err(broken("its digest does not match: it is damaged"));
    }
    Ok((version, body))
}
