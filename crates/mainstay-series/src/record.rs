//! What the write-ahead log holds.
//!
//! ```text
//! 1 series:     id | created option | count | (name | value)…
//! 2 samples:    count | base time int | (id difference int | time - base int | value float)…
//! 3 created:    id | time int
//! 4 samples:    base time int | (id difference int | time - base int | value float)… up to the end
//! 5 histograms: count | (id | time int)… | the histograms, as in chunks
//! 6 deletion:   min int | max int | last file uint | id differences… up to the end
//! 7 start:      id | from int | alone u8 | start option
//! ```
//! Kinds 2 and 3 are read but not written any more.

use std::sync::Arc;

use mainstay_kernel::Labels;

use crate::append::{HistogramSample, Sample};
use crate::codec::{Reader, put_bytes, put_float, put_int, put_option, put_uint};
use crate::error::SeriesError;
use crate::histogram;
use crate::index::SeriesRef;

const SERIES: u8 = 1;
const COUNTED_SAMPLES: u8 = 2;
const CREATED: u8 = 3;
const SAMPLES: u8 = 4;
const HISTOGRAMS: u8 = 5;
const DELETION: u8 = 6;
const START: u8 = 7;

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
    /// Accepted native histograms, likewise.
    Histograms(Vec<HistogramSample>),
    /// A series' counter began at this time.
    Created { id: u32, created_ms: i64 },
    /// When the counts of samples began.
    Start(Start),
    /// Samples are deleted.
    Deletion(Deletion),
}

/// Deletes what is in memory and in block files at this place in the log; what comes later stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// Of these series, in rising order.
    pub(crate) ids: Vec<u32>,
    /// From this time to that, both included.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    /// In the block files of up to this number.
    pub(crate) last_file: u64,
}

pub(crate) fn deletion(deletion: &Deletion) -> Vec<u8> {
    let mut out = vec![DELETION];
    put_int(&mut out, deletion.min_ms);
    put_int(&mut out, deletion.max_ms);
    put_uint(&mut out, deletion.last_file);
    let mut before = 0;
    for id in &deletion.ids {
        put_uint(&mut out, u64::from(id.wrapping_sub(before)));
        before = *id;
    }
    out
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

/// A frame of samples while it is made.
#[derive(Debug, Default)]
pub(crate) struct SampleFrame {
    bytes: Vec<u8>,
    base_ms: i64,
    id: i64,
    /// How many samples it has, and the newest of them.
    pub(crate) count: usize,
    pub(crate) max_ms: i64,
}

impl SampleFrame {
    /// Begins an empty one in the same memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.base_ms, self.id, self.count, self.max_ms) = (0, 0, 0, i64::MIN);
    }

    pub(crate) fn push(&mut self, sample: &Sample) {
        if self.count == 0 {
            self.bytes.push(SAMPLES);
            self.base_ms = sample.t_ms;
            put_int(&mut self.bytes, sample.t_ms);
        }
        let id = i64::from(sample.series.0);
        put_int(&mut self.bytes, id - self.id);
        self.id = id;
        put_int(&mut self.bytes, sample.t_ms.wrapping_sub(self.base_ms));
        put_float(&mut self.bytes, sample.value);
        self.count += 1;
        self.max_ms = self.max_ms.max(sample.t_ms);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn histograms(samples: &[&HistogramSample]) -> Vec<u8> {
    let mut out = vec![HISTOGRAMS];
    put_uint(&mut out, samples.len() as u64);
    for sample in samples {
        put_uint(&mut out, u64::from(sample.series.0));
        put_int(&mut out, sample.t_ms);
    }
    histogram::encode(&mut out, samples.iter().map(|sample| &*sample.value));
    out
}

/// From when on the samples of a series go on with which count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) id: u32,
    pub(crate) from_ms: i64,
    /// Only the sample of that time, which came late.
    pub(crate) alone: bool,
    /// When the count began, if that is known.
    pub(crate) start_ms: Option<i64>,
}

pub(crate) fn start(start: &Start) -> Vec<u8> {
    let mut out = vec![START];
    put_uint(&mut out, u64::from(start.id));
    put_int(&mut out, start.from_ms);
    out.push(u8::from(start.alone));
    put_option(&mut out, start.start_ms);
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
        kind @ (SAMPLES | COUNTED_SAMPLES) => {
            let counted = if kind == COUNTED_SAMPLES {
                Some(reader.count()?)
            } else {
                None
            };
            let base = reader.int()?;
            let mut id = 0i64;
            let mut samples = Vec::with_capacity(counted.unwrap_or(reader.left() / 4));
            while counted.map_or(reader.left() > 0, |counted| samples.len() < counted) {
                id = id.wrapping_add(reader.int()?);
                samples.push(Sample {
                    series: SeriesRef(u32::try_from(id).map_err(|_| reader.corrupt())?),
                    t_ms: base.wrapping_add(reader.int()?),
                    value: reader.float()?,
                });
            }
            Ok(Record::Samples(samples))
        }
        HISTOGRAMS => {
            let places = (0..reader.count()?)
                .map(|_| Ok((SeriesRef(reader.u32()?), reader.int()?)))
                .collect::<Result<Vec<_>, SeriesError>>()?;
            let mut samples = Vec::with_capacity(places.len());
            histogram::decode(&mut reader, places.len(), |value| {
                if let Some((series, t_ms)) = places.get(samples.len()).copied() {
                    samples.push(HistogramSample {
                        series,
                        t_ms,
                        value: Arc::new(value),
                    });
                }
            })?;
            Ok(Record::Histograms(samples))
        }
        DELETION => {
            let (min_ms, max_ms, last_file) = (reader.int()?, reader.int()?, reader.uint()?);
            let mut ids = Vec::new();
            let mut id = 0u32;
            while reader.left() > 0 {
                id = id.wrapping_add(reader.u32()?);
                ids.push(id);
            }
            Ok(Record::Deletion(Deletion {
                ids,
                min_ms,
                max_ms,
                last_file,
            }))
        }
        START => Ok(Record::Start(Start {
            id: reader.u32()?,
            from_ms: reader.int()?,
            alone: reader.byte()? != 0,
            start_ms: reader.option()?,
        })),
        CREATED => Ok(Record::Created {
            id: reader.u32()?,
            created_ms: reader.int()?,
        }),
        _ => Err(reader.corrupt()),
    }
}
