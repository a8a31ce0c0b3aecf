//! What a series holds in a range of time, in as few pieces as what is known of it allows.

use mainstay_kernel::Summary;
use mainstay_kernel::summary::Point;

use crate::block::{Cursor, Section};
use crate::chunk::{ChunkKind, HistogramPoint};
use crate::error::SeriesError;
use crate::head::{View, in_order, in_range};
use crate::known::Known;
use crate::tier::Record;
use mainstay_kernel::is_stale;

/// A part of a range, in order of time.
#[derive(Debug)]
pub(super) enum Piece {
    /// Samples, without stale markers; never none.
    Samples(Vec<Point>),
    /// What is known of samples that are not at hand.
    Run(Summary),
    /// The same, of a record: it cannot be cut.
    Record(Summary),
}

/// So many records are at hand at a window's beginning: more would cost memory, fewer have a chunk decoded more often.
const MAX_RECORDS: usize = 32;

/// Everything a range holds.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) list: Vec<Piece>,
    /// The newest sample of any kind.
    pub(super) newest_ms: Option<i64>,
    /// There are native histograms, which have no pieces.
    pub(super) histograms: bool,
}

/// Where a part of a series is. Parts that overlap in time are read as one.
enum Part<'p> {
    Section(usize, Section),
    /// Records are never read as samples.
    Records(usize, Section),
    Memory(&'p View),
}

impl Piece {
    pub(super) fn into_summary(self) -> Option<Summary> {
        match self {
            Self::Samples(points) => Summary::of_all(&points),
            Self::Run(run) | Self::Record(run) => Some(run),
        }
    }
}

/// The pieces of a series between the times: in the files of `cursors`, and in memory.
///
/// Cost: one header per file, plus the chunks at the edges and in memory.
pub(super) fn pieces(
    cursors: &mut [Cursor<'_>],
    memory: &[Option<View>; 2],
    id: u32,
    min_exclusive: i64,
    max_inclusive: i64,
) -> Result<Pieces, SeriesError> {
    let whole = |min_ms: i64, max_ms: i64| min_ms > min_exclusive && max_ms <= max_inclusive;
    let mut parts: Vec<(i64, i64, Part<'_>)> = Vec::with_capacity(cursors.len() + 2);
    for (at, cursor) in cursors.iter_mut().enumerate() {
        let inside = |min_ms: i64, max_ms: i64| max_ms > min_exclusive && min_ms <= max_inclusive;
        let section = cursor.section(id, |min_ms, max_ms, known| {
            inside(min_ms, max_ms) && (!whole(min_ms, max_ms) || matches!(known, Known::Unread))
        })?;
        if let Some(section) = section.filter(|section| inside(section.min_ms, section.max_ms)) {
            let (min_ms, max_ms) = (section.min_ms, section.max_ms);
            let part = if cursor.is_condensed() {
                Part::Records
            } else {
                Part::Section
            };
            parts.push((min_ms, max_ms, part(at, section)));
        }
    }
    let mut found = Pieces::default();
    for view in memory.iter().flatten() {
        if let Some((min_ms, max_ms)) = view.span() {
            parts.push((min_ms, max_ms, Part::Memory(view)));
        }
    }
    if parts.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        parts.sort_by_key(|part| part.0);
    }
    let mut parts = parts.into_iter().peekable();
    while let Some((_, mut end_ms, part)) = parts.next() {
        let alone = match &part {
            Part::Section(..) => parts.peek().is_none_or(|next| next.0 > end_ms),
            Part::Records(..) => true,
            Part::Memory(_) => false,
        };
        if let Part::Section(at, section) | Part::Records(at, section) = &part
            && alone
        {
            of_section(&cursors[*at], section, min_exclusive, max_inclusive, &mut found)?;
            continue;
        }
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        let mut read = |part: &Part<'_>| match part {
            Part::Memory(view) => view.decode(&mut samples, &mut histograms),
            Part::Section(at, _) | Part::Records(at, _) => {
                cursors[*at].read(id, min_exclusive, max_inclusive, &mut samples, &mut histograms)
            }
        };
        read(&part)?;
        let joins = |part: &Part<'_>| !matches!(part, Part::Records(..));
        while let Some((_, max_ms, part)) = parts.next_if(|next| next.0 <= end_ms && joins(&next.2)) {
            end_ms = end_ms.max(max_ms);
            read(&part)?;
        }
        found.take(samples, &histograms, min_exclusive, max_inclusive);
    }
    Ok(found)
}

fn of_section(
    cursor: &Cursor<'_>,
    section: &Section,
    min_exclusive: i64,
    max_inclusive: i64,
    found: &mut Pieces,
) -> Result<(), SeriesError> {
    if section.min_ms > min_exclusive && section.max_ms <= max_inclusive {
        match &section.known {
            Known::Unread => {}
            Known::Nothing => {
                found.saw(section.max_ms);
                return Ok(());
            }
            Known::Run(run) => {
                found.saw(section.max_ms);
                found.list.push(Piece::Run(run.clone()));
                return Ok(());
            }
        }
    }
    for placed in &section.chunks {
        if !placed.overlaps(min_exclusive, max_inclusive) {
            continue;
        }
        found.histograms |= placed.kind == ChunkKind::Histogram;
        let inside = placed.min_ms > min_exclusive && placed.max_ms <= max_inclusive;
        match &placed.known {
            _ if placed.kind == ChunkKind::Records => {
                found.take_records(&cursor.load(placed)?.records()?, min_exclusive, max_inclusive);
            }
            Known::Nothing => found.saw(placed.max_ms.min(max_inclusive)),
            Known::Run(run) if inside => {
                found.saw(placed.max_ms);
                found.list.push(Piece::Run(run.clone()));
            }
            _ => {
                let (mut samples, mut histograms) = (Vec::new(), Vec::new());
                let chunk = cursor.load(placed)?;
                chunk.decode(&mut samples)?;
                chunk.decode_histograms(&mut histograms)?;
                found.take(samples, &histograms, min_exclusive, max_inclusive);
            }
        }
    }
    Ok(())
}

impl Pieces {
    fn saw(&mut self, t_ms: i64) {
        self.newest_ms = self.newest_ms.max(Some(t_ms));
    }

    /// A record is in the range if its last sample is: what cannot be cut stands at its end. Where the range begins in
    /// them, the first are told apart; the others are one run.
    fn take_records(&mut self, records: &[Record], min_exclusive: i64, max_inclusive: i64) {
        let inside = |t_ms: i64| t_ms > min_exclusive && t_ms <= max_inclusive;
        for record in records {
            for point in record.points().filter(|point| inside(point.0)) {
                self.saw(point.0);
            }
        }
        let begins = records
            .first()
            .is_some_and(|first| first.begin_ms() <= min_exclusive);
        let runs = records.iter().filter_map(|record| record.run.as_ref());
        let mut runs = runs.filter(|run| inside(run.last.0));
        let apart = runs.by_ref().take(if begins { MAX_RECORDS } else { 0 });
        self.list.extend(apart.cloned().map(Piece::Record));
        if let Some(mut rest) = runs.next().cloned() {
            runs.for_each(|run| rest.join(run));
            self.list.push(Piece::Run(rest));
        }
    }

    fn take(
        &mut self,
        mut samples: Vec<Point>,
        histograms: &[HistogramPoint],
        min_exclusive: i64,
        max_inclusive: i64,
    ) {
        let mut times: Vec<(i64, ())> = histograms.iter().map(|held| (held.0, ())).collect();
        in_range(&mut times, min_exclusive, max_inclusive);
        self.histograms |= !times.is_empty();
        in_range(&mut samples, min_exclusive, max_inclusive);
        in_order(&mut samples);
        if let Some(last) = samples.last() {
            self.saw(last.0);
        }
        samples.retain(|sample| !is_stale(sample.1));
        if !samples.is_empty() {
            self.list.push(Piece::Samples(samples));
        }
    }
}
