//! What the write-ahead log holds.
//!
//! ```text
//! 1 series:  id | created option | count | (name | value)…
//! 2 samples: count | base time int | (id difference int | time - base int | value float)…
//! 3 created: id | time int
//! ```

use mainstay_kernel::Labels;

use crate::append::Sample;
use crate::codec::{Reader, put_bytes, put_float, put_int, put_option, put_uint};
use crate::error::SeriesError;
use crate::index::SeriesRef;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const CREATED: u8 = 3;

/// One frame of the log.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// A new series.
    Series {
        id: u32,
        labels: Labels,
        created_ms: Option<i64>,
    },
    /// Accepted samples, in the order in which they were accepted.
    Samples(Vec<Sample>),
    /// A series' counter began at this time.
    Created { id: u32, created_ms: i64 },
}

pub(crate) fn series(id: u32, labels: &Labels, created_ms: Option<i64>) -> Vec<u8> {
    let mut out = vec![SERIES];
    put_uint(&mut out, u64::from(id));
    put_option(&mut out, created_ms);
    put_uint(&mut out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    out
}

pub(crate) fn samples(samples: &[Sample]) -> Vec<u8> {
    let base = samples.first().map_or(0, |sample| sample.t_ms);
    let mut out = Vec::with_capacity(8 + samples.len() * 8);
    out.push(SAMPLES);
    put_uint(&mut out, samples.len() as u64);
    put_int(&mut out, base);
    let mut before = 0;
    for sample in samples {
        let id = i64::from(sample.series.0);
        put_int(&mut out, id - before);
        before = id;
        put_int(&mut out, sample.t_ms.wrapping_sub(base));
        put_float(&mut out, sample.value);
    }
    out
}

pub(crate) fn created(id: u32, created_ms: i64) -> Vec<u8> {
    let mut out = vec![CREATED];
    put_uint(&mut out, u64::from(id));
    put_int(&mut out, created_ms);
    out
}

pub(crate) fn read(frame: &[u8]) -> Result<Record, SeriesError> {
    let mut reader = Reader::new(frame, "record in the write-ahead log");
    match reader.byte()? {
        SERIES => {
            let id = reader.u32()?;
            let created_ms = reader.option()?;
            let labels = (0..reader.count()?)
                .map(|_| Ok((reader.string()?, reader.string()?)))
                .collect::<Result<Labels, SeriesError>>()?;
            Ok(Record::Series {
                id,
                labels,
                created_ms,
            })
        }
        SAMPLES => {
            let count = reader.count()?;
            let base = reader.int()?;
            let mut id = 0i64;
            let mut samples = Vec::with_capacity(count);
            for _ in 0..count {
                id = id.wrapping_add(reader.int()?);
                samples.push(Sample {
                    series: SeriesRef(u32::try_from(id).map_err(|_| reader.corrupt())?),
                    t_ms: base.wrapping_add(reader.int()?),
                    value: reader.float()?,
                });
            }
            Ok(Record::Samples(samples))
        }
        CREATED => Ok(Record::Created {
            id: reader.u32()?,
            created_ms: reader.int()?,
        }),
        _ => Err(reader.corrupt()),
    }
}
