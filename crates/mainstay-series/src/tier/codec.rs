//! Records as bytes, column by column.
//!
//! ```text
//! bit-packed, per record:   flags | begin - end of the record before | end - begin
//! of records with a run:    stale marker - last time (where STALE) | count | changes | number of resets; bit-packed
//! values:                   firsts | lasts | smallest | largest (both unless RISING) | sums (where SUM) |
//!                           magnitudes (where EXACT but not POSITIVE), as the values of a chunk
//! resets:                   floats, the resets of all records one after another
//! ```

use mainstay_kernel::Summary;
use mainstay_kernel::summary::Parts;

use super::Record;
use crate::chunk::{decode_values, encode_values};
use crate::codec::{self, Groups, Packing, Reader, put_float};
use crate::error::SeriesError;

const RUN: i64 = 1;
const STALE: i64 = 2;
/// The first value is the smallest and the last the largest.
const RISING: i64 = 4;
/// The sum is known.
const SUM: i64 = 8;
/// It does not depend on the order of adding.
const EXACT: i64 = 16;
/// It is the sum of magnitudes.
const POSITIVE: i64 = 32;

fn flags(record: &Record) -> i64 {
    let flag = |set: bool, flag: i64| if set { flag } else { 0 };
    let stale = flag(record.stale_ms.is_some(), STALE);
    let Some(run) = &record.run else { return stale };
    let rising = run.min.to_bits() == run.first.1.to_bits() && run.max.to_bits() == run.last.1.to_bits();
    let sums = run.sums();
    let exact = sums.is_some_and(|(_, magnitude)| magnitude.is_finite());
    let positive = exact && sums.is_some_and(|(sum, magnitude)| sum.to_bits() == magnitude.to_bits());
    RUN | stale
        | flag(rising, RISING)
        | flag(sums.is_some(), SUM)
        | flag(exact, EXACT)
        | flag(positive, POSITIVE)
}

/// Packs a column.
fn pack(out: &mut Vec<u8>, column: &[i64]) {
    codec::pack(out, column, Groups::Small, Packing::Tight);
}

fn has(flags: i64, flag: i64) -> bool {
    flags & flag != 0
}

/// Appends records, the first of which begins at `min_ms`.
pub(crate) fn encode(out: &mut Vec<u8>, records: &[Record], min_ms: i64) {
    let all_flags: Vec<i64> = records.iter().map(flags).collect();
    pack(out, &all_flags);
    let befores = [min_ms].into_iter().chain(records.iter().map(Record::end_ms));
    let gaps: Vec<i64> = records
        .iter()
        .zip(befores)
        .map(|(record, before_ms)| record.begin_ms().wrapping_sub(before_ms))
        .collect();
    pack(out, &gaps);
    let spans = records
        .iter()
        .map(|record| record.end_ms().wrapping_sub(record.begin_ms()));
    pack(out, &spans.collect::<Vec<_>>());
    let runs: Vec<(i64, &Summary)> = all_flags
        .iter()
        .zip(records)
        .filter_map(|(flags, record)| Some((*flags, record.run.as_ref()?)))
        .collect();
    let stale = records
        .iter()
        .filter_map(|record| Some(record.stale_ms?.wrapping_sub(record.run.as_ref()?.last.0)));
    pack(out, &stale.collect::<Vec<_>>());
    let wholes: [fn(&Summary) -> u64; 3] =
        [|run| run.count, |run| run.changes, |run| run.resets.len() as u64];
    for column in wholes {
        pack(
            out,
            &runs
                .iter()
                .map(|(_, run)| column(run).cast_signed())
                .collect::<Vec<_>>(),
        );
    }
    let mut values = |column: &dyn Fn(i64, &Summary) -> Option<f64>| {
        let values: Vec<(i64, f64)> = runs
            .iter()
            .filter_map(|(flags, run)| Some((0, column(*flags, run)?)))
            .collect();
        if !values.is_empty() {
            encode_values(out, &values, Packing::Tight);
        }
    };
    values(&|_, run| Some(run.first.1));
    values(&|_, run| Some(run.last.1));
    values(&|flags, run| (!has(flags, RISING)).then_some(run.min));
    values(&|flags, run| (!has(flags, RISING)).then_some(run.max));
    values(&|_, run| run.sums().map(|sums| sums.0));
    values(&|flags, run| {
        let apart = has(flags, EXACT) && !has(flags, POSITIVE);
        run.sums().filter(|_| apart).map(|sums| sums.1)
    });
    for (_, run) in &runs {
        run.resets.iter().for_each(|before| put_float(out, *before));
    }
}

/// Reads `count` records that [`encode`] wrote.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, min_ms: i64) -> Result<Vec<Record>, SeriesError> {
    let all_flags = column(reader, count)?;
    let gaps = column(reader, count)?;
    let spans = column(reader, count)?;
    let number = |wanted: &dyn Fn(i64) -> bool| all_flags.iter().filter(|flags| wanted(**flags)).count();
    let runs = number(&|flags| has(flags, RUN));
    let mut stale = column(reader, number(&|flags| has(flags, RUN) && has(flags, STALE)))?.into_iter();
    let mut counts = column(reader, runs)?.into_iter();
    let mut changes = column(reader, runs)?.into_iter();
    let mut resets = column(reader, runs)?.into_iter();
    let turning = number(&|flags| has(flags, RUN) && !has(flags, RISING));
    let mut firsts = floats(reader, runs)?.into_iter();
    let mut lasts = floats(reader, runs)?.into_iter();
    let mut smallest = floats(reader, turning)?.into_iter();
    let mut largest = floats(reader, turning)?.into_iter();
    let mut sums = floats(reader, number(&|flags| has(flags, RUN) && has(flags, SUM)))?.into_iter();
    let apart = |flags| has(flags, RUN) && has(flags, SUM) && has(flags, EXACT) && !has(flags, POSITIVE);
    let mut magnitudes = floats(reader, number(&apart))?.into_iter();
    let mut records = Vec::with_capacity(count);
    let mut end_ms = min_ms;
    for ((flags, gap), span) in all_flags.iter().zip(gaps).zip(spans) {
        let (flags, begin_ms) = (*flags, end_ms.wrapping_add(gap));
        end_ms = begin_ms.wrapping_add(span);
        let mut record = Record {
            run: None,
            stale_ms: has(flags, STALE).then_some(end_ms),
        };
        if has(flags, RUN) {
            let last_ms = match record.stale_ms {
                Some(stale_ms) => stale_ms.wrapping_sub(stale.next().unwrap_or_default()),
                None => end_ms,
            };
            // Every column has as many values as are asked of it here.
            let value = |values: &mut std::vec::IntoIter<f64>| values.next().unwrap_or_default();
            let (first, last) = (value(&mut firsts), value(&mut lasts));
            let (min, max) = match has(flags, RISING) {
                true => (first, last),
                false => (value(&mut smallest), value(&mut largest)),
            };
            let sums = has(flags, SUM).then(|| {
                let sum = value(&mut sums);
                let magnitude = match (has(flags, EXACT), has(flags, POSITIVE)) {
                    (false, _) => f64::INFINITY,
                    (true, true) => sum,
                    (true, false) => value(&mut magnitudes),
                };
                (sum, magnitude)
            });
            let falls = usize::try_from(resets.next().unwrap_or_default()).map_err(|_| reader.corrupt())?;
            if falls > reader.left() {
                return Err(reader.corrupt());
            }
            record.run = Some(Summary::from_parts(Parts {
                count: counts.next().unwrap_or_default().cast_unsigned(),
                first: (begin_ms, first),
                last: (last_ms, last),
                resets: (0..falls).map(|_| reader.float()).collect::<Result<_, _>>()?,
                changes: changes.next().unwrap_or_default().cast_unsigned(),
                min,
                max,
                sums,
            }));
        }
        records.push(record);
    }
    Ok(records)
}

fn column(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, SeriesError> {
    let mut column = Vec::with_capacity(count);
    reader.unpack(count, Groups::Small, |value| column.push(value))?;
    Ok(column)
}

fn floats(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, SeriesError> {
    let mut floats = Vec::with_capacity(count);
    if count > 0 {
        decode_values(reader, count, |value| floats.push(value))?;
    }
    Ok(floats)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tier::{of_records, of_samples};
    use mainstay_kernel::STALE_NAN;

    fn shown(records: &[Record]) -> Vec<String> {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let of_run = |run: &Summary| {
            let sums = run.sums().map(|(sum, magnitude)| bits(&[sum, magnitude]));
            format!(
                "{} {:?} {:?} {} {:?} {sums:?}",
                run.count,
                (run.first.0, run.last.0),
                bits(&[run.first.1, run.last.1, run.min, run.max]),
                run.changes,
                bits(&run.resets),
            )
        };
        records
            .iter()
            .map(|record| format!("{:?} {:?}", record.run.as_ref().map(of_run), record.stale_ms))
            .collect()
    }

    proptest! {
        #[test]
        fn bit_for_bit(start in -100_000i64..100_000, pieces in prop::collection::vec((1i64..200_000, prop_oneof![
            6 => (0u32..900).prop_map(f64::from),
            1 => prop::sample::select(vec![STALE_NAN, f64::NAN, -0.0, -3.0, 0.1, 1e300, f64::INFINITY]),
        ]), 1..200)) {
            let mut time = start;
            let samples: Vec<(i64, f64)> = pieces.into_iter().map(|(step, value)| { time += step; (time, value) }).collect();
            let records = of_samples(&samples, 300_000);
            let mut bytes = Vec::new();
            encode(&mut bytes, &records, records[0].begin_ms());
            let mut reader = Reader::new(&bytes, "test");
            let back = decode(&mut reader, records.len(), records[0].begin_ms()).expect("decodes");
            prop_assert_eq!(reader.left(), 0);
            prop_assert_eq!(shown(&back), shown(&records));
            // Joined from finer ones they are those of the samples, but for sums that are rounded.
            let (joined, direct) = (of_records(&records, 3_600_000), of_samples(&samples, 3_600_000));
            prop_assert_eq!(joined.len(), direct.len());
            for (a, b) in joined.iter().zip(&direct) {
                prop_assert_eq!(a.run.as_ref().map(Summary::exact_sum), b.run.as_ref().map(Summary::exact_sum));
                prop_assert_eq!(a.run.as_ref().map(|run| run.increase().to_bits()), b.run.as_ref().map(|run| run.increase().to_bits()));
                prop_assert_eq!((a.begin_ms(), a.end_ms(), a.stale_ms), (b.begin_ms(), b.end_ms(), b.stale_ms));
            }
        }
    }

    /// What the guide to the store says of disk.
    #[test]
    fn a_record_of_a_scraped_counter_takes_few_bytes() {
        let samples: Vec<(i64, f64)> = (0..2880)
            .map(|i| {
                (
                    i * 30_000 + 7,
                    f64::from(i32::try_from(i * 50 + i % 7).expect("small")),
                )
            })
            .collect();
        let records = of_samples(&samples, 300_000);
        let mut bytes = Vec::new();
        encode(&mut bytes, &records, records[0].begin_ms());
        let per_record = bytes.len() / records.len();
        println!("{} bytes for {} records", bytes.len(), records.len());
        assert!(per_record < 10, "{per_record} bytes");
    }
}
