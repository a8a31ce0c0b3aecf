//! Native histograms of remote write: `prometheus.Histogram` and `io.prometheus.write.v2.Histogram`, which number their
//! fields alike.

use mainstay_kernel::histogram::ResetHint;

use super::{HistogramSample, RemoteWriteError};
use crate::native_histogram::{Count, RawHistogram, narrow, read_span};
use crate::wire::Fields;

pub(super) fn read_histogram(message: &[u8]) -> Result<HistogramSample, RemoteWriteError> {
    let mut raw = RawHistogram::default();
    let (mut t_ms, mut start_ms) = (0, None);
    for field in Fields::new(message) {
        match field? {
            (1, value) => raw.count = Count::Whole(value.unsigned()?),
            (2, value) => raw.count = Count::Float(value.double()?),
            (3, value) => raw.sum = value.double()?,
            (4, value) => raw.schema = narrow(value.zigzag()?)?,
            (5, value) => raw.zero_threshold = value.double()?,
            (6, value) => raw.zero_count = Count::Whole(value.unsigned()?),
            (7, value) => raw.zero_count = Count::Float(value.double()?),
            (8, value) => raw.negative.spans.push(read_span(value.bytes()?)?),
            (9, value) => value.zigzags(&mut raw.negative.deltas)?,
            (10, value) => value.doubles(&mut raw.negative.counts)?,
            (11, value) => raw.positive.spans.push(read_span(value.bytes()?)?),
            (12, value) => value.zigzags(&mut raw.positive.deltas)?,
            (13, value) => value.doubles(&mut raw.positive.counts)?,
            (14, value) => {
                raw.reset_hint = match value.unsigned()? {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            (15, value) => t_ms = value.signed()?,
            (16, value) => value.doubles(&mut raw.custom_values)?,
            (17, value) => start_ms = Some(value.signed()?).filter(|start_ms| *start_ms != 0),
            _ => {}
        }
    }
    Ok(HistogramSample {
        t_ms,
        histogram: raw.build()?,
        start_ms,
    })
}
