//! The private decoders, for the fuzzer alone: whatever an engine answers, they give a value or a reason.

use super::decode::{Envelope, Metric, QueryData};

/// The body of an answer to a query, then of one to a question for series.
pub fn answer(body: &[u8]) {
    if let Ok(Envelope { data: Some(data), .. }) = serde_json::from_slice::<Envelope<'_, QueryData<'_>>>(body)
    {
        drop(data.decoded());
    }
    drop(serde_json::from_slice::<Envelope<'_, Vec<Metric>>>(body));
}
