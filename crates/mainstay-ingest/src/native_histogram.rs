//! Native histograms as messages hold them: counts whole or float, buckets as differences.

use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::{BucketSpan, HistogramError, ResetHint};

use crate::wire::{Fields, WireError};

/// The largest whole count: floats hold all whole numbers up to here.
const COUNT_MAX: u64 = 1 << 53;

/// Why a histogram is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistogramRefusal {
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] HistogramError),
    /// A whole count that a float does not hold exactly.
    #[error("a histogram has a count above 2^53")]
    CountTooLarge,
    /// Whole counts that do not add up.
    #[error("a histogram's buckets hold {buckets} observations and its count is {count}")]
    CountMismatch {
        /// The sum of its buckets.
        buckets: u64,
        /// What it says.
        count: u64,
    },
}

/// A count in either flavour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Whole(u64),
    Float(f64),
}

/// The buckets of one side: whole counts as differences from the one before, or float counts.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    pub(crate) spans: Vec<BucketSpan>,
    pub(crate) deltas: Vec<i64>,
    pub(crate) counts: Vec<f64>,
}

/// A histogram as it stands in protobuf messages: whole or float.
#[derive(Debug)]
pub(crate) struct RawHistogram {
    pub(crate) count: Count,
    pub(crate) zero_count: Count,
    pub(crate) sum: f64,
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
    pub(crate) custom_values: Vec<f64>,
    pub(crate) reset_hint: ResetHint,
}

impl Default for RawHistogram {
    fn default() -> Self {
        Self {
            count: Count::Whole(0),
            zero_count: Count::Whole(0),
            sum: 0.0,
            schema: 0,
            zero_threshold: 0.0,
            positive: Buckets::default(),
            negative: Buckets::default(),
            custom_values: Vec::new(),
            reset_hint: ResetHint::Unknown,
        }
    }
}

impl RawHistogram {
    /// The histogram that it is. As in Prometheus the flavour of the count is that of all counts.
    pub(crate) fn build(self) -> Result<Histogram, HistogramRefusal> {
        let (count, zero_count, positive_buckets, negative_buckets) = match self.count {
            Count::Float(count) => {
                let zero_count = match self.zero_count {
                    Count::Float(count) => count,
                    Count::Whole(_) => 0.0,
                };
                (count, zero_count, self.positive.counts, self.negative.counts)
            }
            Count::Whole(count) => {
                let zero_count = match self.zero_count {
                    Count::Whole(count) => count,
                    Count::Float(_) => 0,
                };
                let mut total = zero_count;
                let positive = absolute(&self.positive.deltas, &mut total)?;
                let negative = absolute(&self.negative.deltas, &mut total)?;
                // Observations of NaN are in no bucket, and make the sum NaN.
                if total > count || total < count && !self.sum.is_nan() {
                    let buckets = total;
                    return Err(HistogramRefusal::CountMismatch { buckets, count });
                }
                (whole(count)?, whole(zero_count)?, positive, negative)
            }
        };
        let histogram = Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count,
            count,
            sum: self.sum,
            positive_spans: self.positive.spans,
            positive_buckets,
            negative_spans: self.negative.spans,
            negative_buckets,
            custom_values: self.custom_values,
        };
        histogram.validate()?;
        Ok(histogram)
    }
}

/// Whole counts, each given as the difference from the one before; they are added to `total`.
fn absolute(deltas: &[i64], total: &mut u64) -> Result<Vec<f64>, HistogramRefusal> {
    let mut count = 0i64;
    deltas
        .iter()
        .map(|delta| {
            count = count.checked_add(*delta).ok_or(HistogramRefusal::CountTooLarge)?;
            let whole_count = u64::try_from(count).map_err(|_| HistogramError::NegativeCount)?;
            *total = total.saturating_add(whole_count);
            whole(whole_count)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "checked")]
fn whole(count: u64) -> Result<f64, HistogramRefusal> {
    if count > COUNT_MAX {
        return Err(HistogramRefusal::CountTooLarge);
    }
    Ok(count as f64)
}

/// `BucketSpan`, the same wherever Prometheus has it.
pub(crate) fn read_span(message: &[u8]) -> Result<BucketSpan, WireError> {
    let mut span = BucketSpan { offset: 0, length: 0 };
    for field in Fields::new(message) {
        match field? {
            (1, value) => span.offset = narrow(value.zigzag()?)?,
            (2, value) => span.length = u32::try_from(value.unsigned()?).map_err(|_| WireError::Varint)?,
            _ => {}
        }
    }
    Ok(span)
}

/// A number of a field that has 32 bits.
pub(crate) fn narrow(number: i64) -> Result<i32, WireError> {
    i32::try_from(number).map_err(|_| WireError::Varint)
}
