//! Histograms in both their forms.

use std::sync::Arc;

use mainstay_kernel::SampleValue;
use mainstay_kernel::histogram::ResetHint;

use super::{Names, Out, Refusal, exemplar, float, timestamp_ms};
use crate::exposition::{Exemplar, HistogramForm, Item, MetricKind};
use crate::native_histogram::{Count, RawHistogram, narrow, read_span};
use crate::wire::Fields;

/// A bucket of a classic histogram: its upper bound, and the observations up to there.
struct Bucket<'a> {
    bound: f64,
    count: f64,
    exemplar: Option<Exemplar<'a>>,
}

/// Both forms of a histogram.
#[derive(Default)]
pub(super) struct Histogram<'a> {
    raw: RawHistogram,
    count: u64,
    count_float: f64,
    zero_count: u64,
    zero_count_float: f64,
    buckets: Vec<Bucket<'a>>,
    exemplars: Vec<Exemplar<'a>>,
    created_ms: Option<i64>,
}

impl<'a> Histogram<'a> {
    pub(super) fn read(message: &'a [u8], kind: MetricKind) -> Result<Self, Refusal> {
        let mut histogram = Self::default();
        let raw = &mut histogram.raw;
        for field in Fields::new(message) {
            match field? {
                (1, value) => histogram.count = value.unsigned()?,
                (2, value) => raw.sum = value.double()?,
                (3, value) => histogram.buckets.push(bucket(value.bytes()?)?),
                (4, value) => histogram.count_float = value.double()?,
                (5, value) => raw.schema = narrow(value.zigzag()?)?,
                (6, value) => raw.zero_threshold = value.double()?,
                (7, value) => histogram.zero_count = value.unsigned()?,
                (8, value) => histogram.zero_count_float = value.double()?,
                (9, value) => raw.negative.spans.push(read_span(value.bytes()?)?),
                (10, value) => value.zigzags(&mut raw.negative.deltas)?,
                (11, value) => value.doubles(&mut raw.negative.counts)?,
                (12, value) => raw.positive.spans.push(read_span(value.bytes()?)?),
                (13, value) => value.zigzags(&mut raw.positive.deltas)?,
                (14, value) => value.doubles(&mut raw.positive.counts)?,
                (15, value) => histogram.created_ms = Some(timestamp_ms(value.bytes()?)?),
                (16, value) => histogram.exemplars.push(exemplar(value.bytes()?)?),
                _ => {}
            }
        }
        if kind == MetricKind::GaugeHistogram {
            raw.reset_hint = ResetHint::Gauge;
        }
        // A float count, if there is one, stands in for the whole count.
        if histogram.count_float > 0.0 || histogram.zero_count_float > 0.0 {
            raw.count = Count::Float(histogram.count_float);
            raw.zero_count = Count::Float(histogram.zero_count_float);
        } else {
            raw.count = Count::Whole(histogram.count);
            raw.zero_count = Count::Whole(histogram.zero_count);
        }
        Ok(histogram)
    }

    /// Whether anything native is said, if only by an empty span.
    fn is_native(&self) -> bool {
        let raw = &self.raw;
        let spans = raw.positive.spans.len() + raw.negative.spans.len();
        spans > 0 || raw.zero_threshold > 0.0 || self.zero_count > 0 || self.zero_count_float > 0.0
    }

    pub(super) fn hand_out<F: FnMut(Item<'_>)>(
        mut self,
        form: HistogramForm,
        names: &Names<'_>,
        out: &mut Out<'_, '_, F>,
    ) -> Result<(), Refusal> {
        out.created(self.created_ms);
        let native = form != HistogramForm::Classic && self.is_native();
        if native {
            let histogram = Arc::new(std::mem::take(&mut self.raw).build()?);
            let of_buckets = self.buckets.iter().filter_map(|bucket| bucket.exemplar.clone());
            let mut exemplars = std::mem::take(&mut self.exemplars);
            if exemplars.is_empty() {
                exemplars.extend(of_buckets);
            }
            // Those of native histograms must bear a time.
            exemplars.retain(|exemplar| exemplar.timestamp_ms.is_some());
            out.sample(names.plain, SampleValue::Histogram(histogram.clone()), exemplars);
            self.raw.sum = histogram.sum;
        }
        if !native || form == HistogramForm::Both && !self.buckets.is_empty() {
            self.hand_out_classic(names, out);
        }
        Ok(())
    }

    fn hand_out_classic<F: FnMut(Item<'_>)>(self, names: &Names<'_>, out: &mut Out<'_, '_, F>) {
        let count = if self.count_float == 0.0 {
            float(self.count)
        } else {
            self.count_float
        };
        out.sample(&names.count, count.into(), Vec::new());
        out.sample(&names.sum, self.raw.sum.into(), Vec::new());
        let mut infinite = false;
        for bucket in self.buckets {
            infinite |= bucket.bound == f64::INFINITY;
            out.sample_of(&names.bucket, ("le", bucket.bound), bucket.count, bucket.exemplar);
        }
        if !infinite {
            out.sample_of(&names.bucket, ("le", f64::INFINITY), count, None);
        }
    }
}

fn bucket(message: &[u8]) -> Result<Bucket<'_>, Refusal> {
    let (mut count, mut count_float) = (0, 0.0);
    let mut bucket = Bucket {
        bound: 0.0,
        count: 0.0,
        exemplar: None,
    };
    for field in Fields::new(message) {
        match field? {
            (1, value) => count = value.unsigned()?,
            (2, value) => bucket.bound = value.double()?,
            (3, value) => bucket.exemplar = Some(exemplar(value.bytes()?)?),
            (4, value) => count_float = value.double()?,
            _ => {}
        }
    }
    bucket.count = if count_float == 0.0 {
        float(count)
    } else {
        count_float
    };
    Ok(bucket)
}
