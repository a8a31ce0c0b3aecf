//! Where samples come from.

use std::sync::Arc;

use mainstay_kernel::histogram::Histogram;
pub use mainstay_kernel::is_stale;
use mainstay_kernel::{Labels, Matcher, STALE_NAN, Summary};

use crate::error::SourceError;

/// The value that marks the end of a series.
#[must_use]
pub fn stale_marker() -> f64 {
    STALE_NAN
}

/// Whether a histogram marks the end of a series: its sum is the stale marker.
#[must_use]
pub fn is_stale_histogram(histogram: &Histogram) -> bool {
    is_stale(histogram.sum)
}

/// The samples of one series: `(milliseconds since 1970, value)`, both lists in order of time, a time in one of them
/// and once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its labels, the metric's name among them.
    pub labels: Arc<Labels>,
    /// Its samples that are numbers.
    pub samples: Vec<(i64, f64)>,
    /// Its samples that are native histograms.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// In what detail a source knows a range of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The oldest first: up to which time, in milliseconds since 1970 and exclusive, samples are known only by records of
    /// which width in milliseconds. A record is in a window if its last sample is, and where samples are selected, that
    /// sample stands for it. Summaries know all samples of a record. Empty where all samples are at hand.
    pub records: Vec<(i64, i64)>,
    /// How long anything is kept, in milliseconds, if the range begins before that.
    pub kept_ms: Option<i64>,
}

/// A store that can be queried.
pub trait Samples {
    /// The samples with `min_ms_exclusive < time <= max_ms_inclusive` of every series that all matchers hold for,
    /// stale markers included. A series without such samples may be left out. Series come in order of labels.
    ///
    /// # Errors
    /// When the store cannot answer.
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError>;

    /// Hands `visit` every series that all matchers hold for, in order of labels, with the summary of its samples in the
    /// window of this length that ends at `end_ms`; series without samples there are left out. Says no, having handed
    /// out nothing, where it has no summaries: samples are then selected.
    ///
    /// # Errors
    /// When the store cannot answer.
    fn summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        let _ = (matchers, range_ms, end_ms, visit);
        Ok(false)
    }

    /// [`Samples::summaries`] at each of these times, which are in rising order: `visit` is told the number of the time,
    /// too. `cancelled` is asked before each; if it says yes, the answer is no. Having said no, it may have handed out
    /// something. Asked where a range of time is known by records only.
    ///
    /// # Errors
    /// When the store cannot answer.
    fn moving_summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        ends_ms: &[i64],
        cancelled: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(usize, &Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        for (at, end_ms) in ends_ms.iter().enumerate() {
            let mut visit_one = |labels: &Arc<Labels>, summary: &Summary| visit(at, labels, summary);
            if cancelled() || !self.summaries(matchers, range_ms, *end_ms, &mut visit_one)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// In what detail the samples with `min_ms_exclusive < time <= max_ms_inclusive` are known.
    fn resolution(&self, min_ms_exclusive: i64, max_ms_inclusive: i64) -> Resolution {
        let _ = (min_ms_exclusive, max_ms_inclusive);
        Resolution::default()
    }

    /// When the counts that samples of a series go on with began: `(time of a sample, start)`, in order of time, of the
    /// samples with `min_ms_exclusive < time <= max_ms_inclusive` whose start is known. Asked only where a query may
    /// look at them.
    ///
    /// # Errors
    /// When the store cannot answer.
    fn starts(
        &self,
        labels: &Labels,
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        let _ = (labels, min_ms_exclusive, max_ms_inclusive);
        Ok(Vec::new())
    }
}
