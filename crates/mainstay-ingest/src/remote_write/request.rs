//! A request: its series, one after another.

use std::str;

use super::series::{Guess, Layout, Series};
use super::{Metadata, RemoteWriteError, Version};
use crate::exposition::MetricKind;
use crate::series_key::SeriesKey;
use crate::wire::Fields;

/// Metadata, in 1.0.
const METADATA: u32 = 3;
/// How many symbols a request may have. On the wire an empty one takes two bytes, here thirty-two.
const SYMBOLS_MAX: usize = 1 << 20;

/// How many series, samples, histograms, exemplars and metadata a request may have, all together. On the wire one of
/// nothing takes two bytes, here up to 250.
const ENTRIES_MAX: usize = 1 << 20;

/// A string of the table that 2.0 has, and what stands for it in a series' key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub(super) text: &'a [u8],
    pub(super) key: SeriesKey,
}

/// A message of remote write, either version.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    message: &'a [u8],
    layout: &'static Layout,
    symbols: Vec<Symbol<'a>>,
}

impl<'a> Request<'a> {
    /// Reads the frame of an unpacked body: of 2.0 the table of symbols, of 1.0 nothing. Of one that is long enough to have
    /// too much in it, everything is counted before any of it is looked at.
    ///
    /// # Errors
    /// If it has too much in it, if it is no 2.0 message or its first symbol is not "". What is wrong with a 1.0 message, or with a series, is
    /// found by [`series`](Self::series).
    pub fn parse(version: Version, message: &'a [u8]) -> Result<Self, RemoteWriteError> {
        let mut request = Self {
            message,
            layout: Layout::of(version),
            symbols: Vec::new(),
        };
        if version == Version::V2 {
            for field in Fields::new(message) {
                let (4, text) = field? else { continue };
                let text = text.bytes()?;
                if request.symbols.len() == SYMBOLS_MAX {
                    return Err(RemoteWriteError::TooManySymbols { limit: SYMBOLS_MAX });
                }
                let key = SeriesKey::of(text);
                request.symbols.push(Symbol { text, key });
            }
            let first_is_empty = request.symbols.first().is_some_and(|first| first.text.is_empty());
            // A request that says nothing needs no symbols.
            if !first_is_empty && !message.is_empty() {
                return Err(RemoteWriteError::Symbols);
            }
        }
        // One takes two bytes at least: most messages need not be counted.
        if message.len() > 2 * ENTRIES_MAX && request.entries()? > ENTRIES_MAX {
            return Err(RemoteWriteError::TooManyEntries { limit: ENTRIES_MAX });
        }
        Ok(request)
    }

    /// How many series, samples, histograms, exemplars and metadata there are, counted to a little over the limit.
    /// O(fields).
    fn entries(&self) -> Result<usize, RemoteWriteError> {
        let mut entries = 0;
        for field in Fields::new(self.message) {
            let (number, value) = field?;
            if number == self.layout.series {
                entries += 1;
                for field in Fields::new(value.bytes()?) {
                    let (number, _) = field?;
                    entries += usize::from(self.layout.is_entry(number));
                    if entries > ENTRIES_MAX {
                        return Ok(entries);
                    }
                }
            } else if number == METADATA && !self.layout.has_symbols {
                entries += 1;
            }
            if entries > ENTRIES_MAX {
                break;
            }
        }
        Ok(entries)
    }

    /// The series, in order. After an error comes nothing more.
    #[must_use]
    pub fn series(&self) -> SeriesIter<'_> {
        SeriesIter {
            fields: Fields::new(self.message),
            layout: self.layout,
            symbols: &self.symbols,
        }
    }

    /// What 1.0 says of metric families. (2.0 says it in each series.)
    pub fn metadata(&self) -> impl Iterator<Item = Result<Metadata<'a>, RemoteWriteError>> {
        let fields = Fields::new(if self.layout.has_symbols {
            &[]
        } else {
            self.message
        });
        fields.filter_map(|field| match field {
            Ok((METADATA, value)) => Some(
                value
                    .bytes()
                    .map_err(RemoteWriteError::from)
                    .and_then(family_metadata),
            ),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        })
    }
}

/// `prometheus.MetricMetadata`
fn family_metadata(message: &[u8]) -> Result<Metadata<'_>, RemoteWriteError> {
    let mut metadata = Metadata {
        family: "",
        kind: MetricKind::Unknown,
        help: "",
        unit: "",
    };
    for field in Fields::new(message) {
        match field? {
            (1, value) => metadata.kind = metric_kind(value.unsigned()?),
            (2, value) => metadata.family = text(value.bytes()?)?,
            (4, value) => metadata.help = text(value.bytes()?)?,
            (5, value) => metadata.unit = text(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(metadata)
}

/// `MetricType`, which both versions number alike; 0 is unknown.
const TYPES: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

pub(super) fn metric_kind(number: u64) -> MetricKind {
    let kind = usize::try_from(number).ok().and_then(|at| TYPES.get(at));
    kind.copied().unwrap_or(MetricKind::Unknown)
}

/// The number of a kind in `MetricType`.
#[must_use]
pub fn type_number(kind: MetricKind) -> u64 {
    TYPES.iter().position(|known| *known == kind).unwrap_or_default() as u64
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, RemoteWriteError> {
    str::from_utf8(bytes).map_err(|_| RemoteWriteError::NotUtf8)
}

/// The series of a [`Request`].
#[derive(Debug, Clone)]
pub struct SeriesIter<'r> {
    fields: Fields<'r>,
    layout: &'static Layout,
    symbols: &'r [Symbol<'r>],
}

impl<'r> Iterator for SeriesIter<'r> {
    type Item = Result<Series<'r>, RemoteWriteError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_guessed(Guess::default())
    }
}

impl<'r> SeriesIter<'r> {
    /// The next series, which may be the one guessed. A right guess spares a look at each label, a wrong one costs a hash.
    #[inline]
    pub fn next_guessed(&mut self, guess: Guess) -> Option<Result<Series<'r>, RemoteWriteError>> {
        loop {
            let message = match self.fields.take_bytes(self.layout.series_tag) {
                Some(message) => Ok(message),
                None => match self.fields.next()? {
                    Ok((number, value)) if number == self.layout.series => value.bytes(),
                    Ok(_) => continue,
                    Err(error) => Err(error),
                },
            };
            let series = message.and_then(|message| Series::read(message, guess, self.layout, self.symbols));
            if series.is_err() {
                self.fields = Fields::new(&[]);
            }
            return Some(series.map_err(RemoteWriteError::from));
        }
    }
}
