//! The values of native histograms in a chunk, without loss.
//!
//! ```text
//! per histogram: flags u8 | layout, unless the same as before | count, zero count, buckets… | sum
//! layout: schema int | zero threshold float | spans of both sides | own bounds
//! counts: whole (every count is a whole number below 2^53, and so are those before): zigzag differences to the
//!         histogram before of the same layout; else floats
//! sum:    xor with the sum before, as a float
//! ```

use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::{BucketSpan, ResetHint};

use crate::codec::{Reader, put_float, put_int, put_uint};
use crate::error::SeriesError;

const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

const SAME_LAYOUT: u8 = 1;
const WHOLE: u8 = 2;
const HINT_SHIFT: u8 = 2;

/// The most buckets a histogram may have.
pub(crate) const MAX_BUCKETS: usize = 1 << 16;

/// The counts of a histogram: all, zero, positive, negative.
fn counts(histogram: &Histogram) -> impl Iterator<Item = f64> {
    let all = [histogram.count, histogram.zero_count];
    all.into_iter()
        .chain(histogram.positive_buckets.iter().copied())
        .chain(histogram.negative_buckets.iter().copied())
}

fn whole(count: f64) -> Option<i64> {
    let fits = count.abs() < MAX_EXACT
        && count.trunc().to_bits() == count.to_bits()
        && count.to_bits() != (-0.0f64).to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    fits.then_some(count as i64)
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    let bits = |floats: &[f64]| floats.iter().map(|bound| bound.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && bits(&a.custom_values) == bits(&b.custom_values)
}

/// Appends the values of a chunk.
pub(crate) fn encode<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a Histogram>) {
    let mut before: Option<&Histogram> = None;
    for value in values {
        let earlier = before.filter(|before| same_layout(before, value));
        let wholes: Option<Vec<i64>> = counts(value).map(whole).collect();
        let base: Option<Vec<i64>> = match earlier {
            Some(earlier) => counts(earlier).map(whole).collect(),
            None => Some(vec![
                0;
                value.positive_buckets.len()
                    + value.negative_buckets.len()
                    + 2
            ]),
        };
        let exact = wholes.zip(base);
        let hint = match value.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        };
        let layout = if earlier.is_some() { SAME_LAYOUT } else { 0 };
        out.push(layout | if exact.is_some() { WHOLE } else { 0 } | (hint << HINT_SHIFT));
        if earlier.is_none() {
            put_layout(out, value);
        }
        match exact {
            Some((wholes, base)) => {
                for (count, base) in wholes.iter().zip(&base) {
                    put_int(out, count - base);
                }
            }
            None => counts(value).for_each(|count| put_float(out, count)),
        }
        let sum_before = before.map_or(0, |before| before.sum.to_bits());
        put_float(out, f64::from_bits(value.sum.to_bits() ^ sum_before));
        before = Some(value);
    }
}

fn put_layout(out: &mut Vec<u8>, value: &Histogram) {
    put_int(out, i64::from(value.schema));
    put_float(out, value.zero_threshold);
    for spans in [&value.positive_spans, &value.negative_spans] {
        put_uint(out, spans.len() as u64);
        for span in spans {
            put_int(out, i64::from(span.offset));
            put_uint(out, u64::from(span.length));
        }
    }
    put_uint(out, value.custom_values.len() as u64);
    for bound in &value.custom_values {
        put_float(out, *bound);
    }
}

/// Hands `count` histograms to `each`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    mut each: impl FnMut(Histogram),
) -> Result<(), SeriesError> {
    let mut before: Option<Histogram> = None;
    for _ in 0..count {
        let flags = reader.byte()?;
        let mut value = match &before {
            Some(before) if flags & SAME_LAYOUT != 0 => before.clone(),
            None if flags & SAME_LAYOUT != 0 => return Err(reader.corrupt()),
            _ => layout(reader)?,
        };
        value.reset_hint = match flags >> HINT_SHIFT {
            0 => ResetHint::Unknown,
            1 => ResetHint::Reset,
            2 => ResetHint::NotReset,
            3 => ResetHint::Gauge,
            _ => return Err(reader.corrupt()),
        };
        let all = [&mut value.count, &mut value.zero_count].into_iter();
        for slot in all
            .chain(&mut value.positive_buckets)
            .chain(&mut value.negative_buckets)
        {
            *slot = if flags & WHOLE == 0 {
                reader.float()?
            } else {
                let base = whole(*slot).ok_or_else(|| reader.corrupt())?;
                #[expect(clippy::cast_precision_loss, reason = "only numbers below 2^53 are written")]
                let count = base.wrapping_add(reader.int()?) as f64;
                count
            };
        }
        let sum_before = before.as_ref().map_or(0, |before| before.sum.to_bits());
        value.sum = f64::from_bits(reader.float()?.to_bits() ^ sum_before);
        before = Some(value.clone());
        each(value);
    }
    Ok(())
}

/// A histogram of this layout, all counts zero.
fn layout(reader: &mut Reader<'_>) -> Result<Histogram, SeriesError> {
    let schema = i32::try_from(reader.int()?).map_err(|_| reader.corrupt())?;
    let zero_threshold = reader.float()?;
    let (positive_spans, positive) = spans(reader)?;
    let (negative_spans, negative) = spans(reader)?;
    let custom_values = (0..reader.count()?)
        .map(|_| reader.float())
        .collect::<Result<_, _>>()?;
    Ok(Histogram {
        schema,
        zero_threshold,
        positive_spans,
        positive_buckets: vec![0.0; positive],
        negative_spans,
        negative_buckets: vec![0.0; negative],
        custom_values,
        ..Histogram::default()
    })
}

fn spans(reader: &mut Reader<'_>) -> Result<(Vec<BucketSpan>, usize), SeriesError> {
    let mut buckets = 0usize;
    let mut spans = Vec::new();
    for _ in 0..reader.count()? {
        let offset = i32::try_from(reader.int()?).map_err(|_| reader.corrupt())?;
        let length = reader.u32()?;
        buckets = buckets.saturating_add(length as usize);
        if buckets > MAX_BUCKETS {
            return Err(reader.corrupt());
        }
        spans.push(BucketSpan { offset, length });
    }
    Ok((spans, buckets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram() -> impl Strategy<Value = Histogram> {
        let count = prop_oneof![
            6 => (0u32..1000).prop_map(f64::from),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => prop::sample::select(vec![-0.0, 0.5, 1e300]),
        ];
        let spans = prop::collection::vec((-5i32..5, 0u32..4), 0..4);
        (
            spans,
            prop::collection::vec(count, 40),
            0u8..4,
            -4i32..9,
            any::<u64>(),
        )
            .prop_map(|(spans, counts, hint, schema, sum)| {
                let spans: Vec<BucketSpan> = spans
                    .into_iter()
                    .map(|(offset, length)| BucketSpan { offset, length })
                    .collect();
                let buckets: usize = spans.iter().map(|span| span.length as usize).sum();
                Histogram {
                    reset_hint: [
                        ResetHint::Unknown,
                        ResetHint::Reset,
                        ResetHint::NotReset,
                        ResetHint::Gauge,
                    ][usize::from(hint)],
                    schema,
                    zero_threshold: 0.001,
                    zero_count: counts[0],
                    count: counts[1],
                    sum: f64::from_bits(sum),
                    positive_spans: spans.clone(),
                    positive_buckets: counts[2..2 + buckets].to_vec(),
                    negative_spans: spans,
                    negative_buckets: counts[20..20 + buckets].to_vec(),
                    custom_values: if schema == 3 { vec![1.0, 2.5] } else { Vec::new() },
                }
            })
    }

    proptest! {
        #[test]
        fn bit_for_bit(values in prop::collection::vec(histogram(), 0..12), again in 0usize..12) {
            // Neighbours of one layout are the rule.
            let mut values = values;
            if let Some(value) = values.get(again).cloned() {
                values.insert(again, value);
            }
            let mut bytes = Vec::new();
            encode(&mut bytes, values.iter());
            let mut back = Vec::new();
            decode(&mut Reader::new(&bytes, "test"), values.len(), |value| back.push(value)).expect("decodes");
            prop_assert_eq!(back.len(), values.len());
            for (back, value) in back.iter().zip(&values) {
                prop_assert!(back.same_bits(value), "{:?} {:?}", back, value);
            }
        }
    }
}
