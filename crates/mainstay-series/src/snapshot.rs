//! `series.idx`: every series with its newest sample, what has been flushed, and how far each consumer of the log has
//! come. Written before the log is truncated, so that what the truncated frames said is not lost.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_segment::{Lsn, Sealed, SealedWriter};

use crate::codec::{Reader, put_bytes, put_int, put_option, put_uint};
use crate::error::SeriesError;
use crate::starts::Steps;
use crate::table::{self, TableEntry};

const MAGIC: [u8; 8] = *b"MSTYSRIX";
/// Version 1 knew one start of a series and no steps.
const VERSION: u32 = 2;
const MAX_INDEX_BYTES: u64 = 4 << 30;
/// The file's name.
pub(crate) const FILE: &str = "series.idx";

/// Samples older than `before_ms` in frames up to `lsn` are in block files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) before_ms: i64,
    pub(crate) lsn: Lsn,
}

impl Flushed {
    pub(crate) fn covers(&self, lsn: Lsn, t_ms: i64) -> bool {
        lsn <= self.lsn && t_ms < self.before_ms
    }
}

/// The file's content.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) next_id: u32,
    pub(crate) flushed: Flushed,
    pub(crate) holds: BTreeMap<String, Lsn>,
    pub(crate) series: Vec<TableEntry>,
    /// Time and bits of each series' newest sample, beside `series`.
    pub(crate) newest: Vec<Option<(i64, u64)>>,
    /// By id, where the starts of a series' samples change.
    pub(crate) starts: Vec<(u32, Steps)>,
}

impl Snapshot {
    pub(crate) fn write(&self, path: &Path) -> Result<(), SeriesError> {
        let mut out = Vec::new();
        put_uint(&mut out, u64::from(self.next_id));
        put_int(&mut out, self.flushed.before_ms);
        put_uint(&mut out, self.flushed.lsn.get());
        put_uint(&mut out, self.holds.len() as u64);
        for (name, lsn) in &self.holds {
            put_bytes(&mut out, name.as_bytes());
            put_uint(&mut out, lsn.get());
        }
        table::write(&mut out, &self.series);
        for newest in &self.newest {
            match newest {
                None => out.push(0),
                Some((t_ms, bits)) => {
                    out.push(1);
                    put_int(&mut out, *t_ms);
                    out.extend_from_slice(&bits.to_le_bytes());
                }
            }
        }
        put_uint(&mut out, self.starts.len() as u64);
        for (id, steps) in &self.starts {
            put_uint(&mut out, u64::from(*id));
            put_uint(&mut out, steps.len() as u64);
            for (from_ms, start_ms) in steps {
                put_int(&mut out, *from_ms);
                put_option(&mut out, *start_ms);
            }
        }
        SealedWriter::create(path, MAGIC, VERSION)?.finish(&out)?;
        Ok(())
    }

    pub(crate) fn read(path: &Path) -> Result<Self, SeriesError> {
        let file = Sealed::open(path, MAGIC, VERSION, MAX_INDEX_BYTES)?;
        Self::decode(file.index(), file.version())
    }

    pub(crate) fn decode(bytes: &[u8], version: u32) -> Result<Self, SeriesError> {
        let mut reader = Reader::new(bytes, "series index");
        let next_id = reader.u32()?;
        let flushed = Flushed {
            before_ms: reader.int()?,
            lsn: Lsn::new(reader.uint()?),
        };
        let holds = (0..reader.count()?)
            .map(|_| Ok((reader.string()?.to_owned(), Lsn::new(reader.uint()?))))
            .collect::<Result<_, SeriesError>>()?;
        let series = table::read(&mut reader)?;
        let newest = series
            .iter()
            .map(|_| match reader.byte()? {
                0 => Ok(None),
                1 => Ok(Some((reader.int()?, reader.u64_fixed()?))),
                _ => Err(reader.corrupt()),
            })
            .collect::<Result<_, SeriesError>>()?;
        let starts = match version {
            1 => Vec::new(),
            _ => (0..reader.count()?)
                .map(|_| {
                    let id = reader.u32()?;
                    let steps = (0..reader.count()?)
                        .map(|_| Ok((reader.int()?, reader.option()?)))
                        .collect::<Result<Steps, SeriesError>>()?;
                    Ok((id, steps))
                })
                .collect::<Result<_, SeriesError>>()?,
        };
        Ok(Self {
            starts,
            next_id,
            flushed,
            holds,
            series,
            newest,
        })
    }
}
