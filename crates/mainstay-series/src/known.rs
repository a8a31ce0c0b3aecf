//! What block files know of a run of samples without decoding them: a [`Summary`], written small.
//!
//! ```text
//! flags u8 (0 unread | 1 nothing but stale markers | 2 a summary, and the bits below)
//! unless PLAIN: count | first time - min | max - last time
//! first value float | last value float | changes uint
//! unless RISING: min float | max float
//! if SUMS: sum float, and unless POSITIVE the sum of magnitudes
//! if RESETS: count | floats
//! ```

use mainstay_kernel::Summary;
use mainstay_kernel::summary::Parts;

use crate::codec::{Reader, put_float, put_uint};
use crate::error::SeriesError;
use mainstay_kernel::is_stale;

/// More resets than this are not written down: the samples are read instead.
const MAX_RESETS: usize = 32;

const NOTHING: u8 = 1;
const SUMMARY: u8 = 2;
/// The summary's times and count are those of the run.
const PLAIN: u8 = 4;
/// The first value is the smallest and the last the largest.
const RISING: u8 = 8;
const SUMS: u8 = 16;
/// The sum is the sum of magnitudes.
const POSITIVE: u8 = 32;
const RESETS: u8 = 64;

/// What is known of a run of samples.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// Nothing: the samples must be read.
    Unread,
    /// It has only stale markers.
    Nothing,
    /// This.
    Run(Summary),
}

impl Known {
    /// Of samples in order of time.
    pub(crate) fn of(samples: &[(i64, f64)]) -> Self {
        let mut summary: Option<Summary> = None;
        for sample in samples.iter().filter(|sample| !is_stale(sample.1)) {
            match &mut summary {
                None => summary = Some(Summary::of(*sample)),
                Some(summary) => summary.push(*sample),
            }
        }
        match summary {
            None => Self::Nothing,
            Some(summary) if summary.resets.len() > MAX_RESETS => Self::Unread,
            Some(summary) => Self::Run(summary),
        }
    }

    /// Adds the run that comes next.
    pub(crate) fn join(&mut self, next: &Self) {
        match (&mut *self, next) {
            (Self::Unread, _) | (_, Self::Nothing) => {}
            (_, Self::Unread) => *self = Self::Unread,
            (Self::Nothing, Self::Run(_)) => *self = next.clone(),
            (Self::Run(run), Self::Run(next)) => {
                run.join(next);
                if run.resets.len() > MAX_RESETS {
                    *self = Self::Unread;
                }
            }
        }
    }

    /// Writes it down, for a run of so many samples between these times.
    pub(crate) fn write(&self, out: &mut Vec<u8>, min_ms: i64, max_ms: i64, count: u64) {
        let run = match self {
            Self::Unread => return out.push(0),
            Self::Nothing => return out.push(NOTHING),
            Self::Run(run) => run,
        };
        let plain = run.first.0 == min_ms && run.last.0 == max_ms && run.count == count;
        let rising = run.min.to_bits() == run.first.1.to_bits() && run.max.to_bits() == run.last.1.to_bits();
        let sums = run.sums();
        let positive = sums.is_some_and(|(sum, magnitude)| sum.to_bits() == magnitude.to_bits());
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            SUMMARY
                | flag(plain, PLAIN)
                | flag(rising, RISING)
                | flag(sums.is_some(), SUMS)
                | flag(positive, POSITIVE)
                | flag(!run.resets.is_empty(), RESETS),
        );
        if !plain {
            put_uint(out, run.count);
            put_uint(out, run.first.0.wrapping_sub(min_ms).cast_unsigned());
            put_uint(out, max_ms.wrapping_sub(run.last.0).cast_unsigned());
        }
        put_float(out, run.first.1);
        put_float(out, run.last.1);
        put_uint(out, run.changes);
        if !rising {
            put_float(out, run.min);
            put_float(out, run.max);
        }
        if let Some((sum, magnitude)) = sums {
            put_float(out, sum);
            if !positive {
                put_float(out, magnitude);
            }
        }
        if !run.resets.is_empty() {
            put_uint(out, run.resets.len() as u64);
            run.resets.iter().for_each(|before| put_float(out, *before));
        }
    }

    /// Reads what [`Known::write`] wrote of a run of so many samples between these times.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        min_ms: i64,
        max_ms: i64,
        count: u64,
    ) -> Result<Self, SeriesError> {
        let flags = reader.byte()?;
        match flags {
            0 => return Ok(Self::Unread),
            NOTHING => return Ok(Self::Nothing),
            _ if flags & SUMMARY == 0 => return Err(reader.corrupt()),
            _ => {}
        }
        let has = |flag: u8| flags & flag != 0;
        let (mut seen, mut first_ms, mut last_ms) = (count, min_ms, max_ms);
        if !has(PLAIN) {
            seen = reader.uint()?;
            first_ms = min_ms.wrapping_add(reader.uint()?.cast_signed());
            last_ms = max_ms.wrapping_sub(reader.uint()?.cast_signed());
        }
        let (first, last) = (reader.float()?, reader.float()?);
        let changes = reader.uint()?;
        let (mut min, mut max) = (first, last);
        if !has(RISING) {
            (min, max) = (reader.float()?, reader.float()?);
        }
        let mut sums = None;
        if has(SUMS) {
            let sum = reader.float()?;
            sums = Some((sum, if has(POSITIVE) { sum } else { reader.float()? }));
        }
        let resets = match has(RESETS) {
            true => (0..reader.count()?)
                .map(|_| reader.float())
                .collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        Ok(Self::Run(Summary::from_parts(Parts {
            count: seen,
            first: (first_ms, first),
            last: (last_ms, last),
            resets,
            changes,
            min,
            max,
            sums,
        })))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use mainstay_kernel::STALE_NAN;

    /// Everything that means something.
    fn shown(known: &Known, sums: impl Fn(&Summary) -> Option<(f64, f64)>) -> String {
        match known {
            Known::Run(run) => {
                let Summary {
                    count,
                    first,
                    last,
                    resets,
                    changes,
                    min,
                    max,
                    ..
                } = run;
                format!(
                    "{count} {first:?} {last:?} {resets:?} {changes} {min:?} {max:?} {:?}",
                    sums(run)
                )
            }
            other => format!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn written_and_read_it_is_the_same(values in prop::collection::vec(prop_oneof![
            6 => (0u32..9).prop_map(f64::from),
            1 => prop::sample::select(vec![STALE_NAN, f64::NAN, -0.0, -3.0, 0.1, 1e300, f64::INFINITY]),
        ], 1..40), split in 0usize..40) {
            let samples: Vec<(i64, f64)> = (0..).map(|at| at * 10 - 50).zip(values).collect();
            let (min_ms, max_ms) = (samples[0].0, samples[samples.len() - 1].0);
            let known = Known::of(&samples);
            let mut bytes = Vec::new();
            known.write(&mut bytes, min_ms, max_ms, samples.len() as u64);
            let read = Known::read(&mut Reader::new(&bytes, "test"), min_ms, max_ms, samples.len() as u64).expect("reads");
            prop_assert_eq!(shown(&read, Summary::sums), shown(&known, Summary::sums));
            let (left, right) = samples.split_at(split.min(samples.len()));
            let mut joined = Known::of(left);
            joined.join(&Known::of(right));
            // Rounded sums depend on where they were joined.
            let exact = |run: &Summary| run.sums().filter(|sums| sums.1.is_finite());
            prop_assert_eq!(shown(&joined, exact), shown(&known, exact));
        }
    }
}
