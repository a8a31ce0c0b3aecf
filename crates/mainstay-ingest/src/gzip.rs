//! What came packed with gzip.

use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;

/// Unpacks, but no more than this many bytes; `None` if there are more.
pub(crate) fn unpack(packed: &[u8], limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed).take(limit).read_to_end(&mut body)?;
    Ok((body.len() <= limit_bytes).then_some(body))
}
