//! A series of a request: what it is called, and what it brings.

use std::borrow::Cow;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;

use super::histogram::read_histogram;
use super::request::{Symbol, metric_kind, text};
use super::{Exemplar, HistogramSample, Metadata, RemoteWriteError, Sample, Version};
use crate::exposition::MetricKind;
use crate::series_key::SeriesKey;
use crate::wire::{Fields, WireError};

/// Where the two versions have the same things.
#[derive(Debug)]
pub(super) struct Layout {
    /// Field of the request, and its tag.
    pub(super) series: u32,
    pub(super) series_tag: u8,
    pub(super) has_symbols: bool,
    // Fields of a series.
    histograms: u32,
    exemplars: u32,
}

impl Layout {
    pub(super) fn of(version: Version) -> &'static Self {
        match version {
            Version::V1 => &Self {
                series: 1,
                series_tag: 0x0a,
                has_symbols: false,
                exemplars: 3,
                histograms: 4,
            },
            Version::V2 => &Self {
                series: 5,
                series_tag: 0x2a,
                has_symbols: true,
                histograms: 3,
                exemplars: 4,
            },
        }
    }

    /// Whether a field of a series is a sample, a histogram or an exemplar.
    pub(super) fn is_entry(&self, field: u32) -> bool {
        field == SAMPLES || field == self.histograms || field == self.exemplars
    }
}

/// How long names and values of one series may be, together. A store allows less; this keeps what a few references of 2.0
/// stand for from being built.
const LABELS_MAX_BYTES: usize = 64 << 10;

/// Labels, or in 2.0 the references to symbols that stand for them, are this field of a series and of an exemplar.
const LABELS: u32 = 1;
/// Its tag; in 2.0 if they are packed.
const LABELS_TAG: u8 = 0x0a;
/// Float samples, in both versions.
const SAMPLES: u32 = 2;
const SAMPLES_TAG: u8 = 0x12;
// Further fields of a 2.0 series.
const METADATA: u32 = 5;
const CREATED_TIMESTAMP: u32 = 6;

/// What labels a series may bear, before it is looked at: senders write the same series in the same order again and again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guess {
    key: SeriesKey,
    /// How many bytes the labels have; 0 for no guess.
    labels_bytes: u32,
}

impl Guess {
    /// The labels of a series of 1.0, if it begins with them.
    #[inline]
    fn begins(self, message: &[u8]) -> bool {
        let (labels, rest) = message
            .split_at_checked(self.labels_bytes as usize)
            .unwrap_or_default();
        !labels.is_empty() && rest.first() == Some(&SAMPLES_TAG) && SeriesKey::of(labels) == self.key
    }
}

/// One series of a request.
#[derive(Debug, Clone)]
pub struct Series<'r> {
    /// What identifies its label set, if that was guessed.
    key: Option<SeriesKey>,
    /// All fields of labels, one after another, as they stand.
    labels: Cow<'r, [u8]>,
    /// The fields from the first that is no label.
    rest: &'r [u8],
    start_ms: Option<i64>,
    /// Whether it has a sample or a histogram.
    brings: bool,
    /// What 2.0 says of its metric, as it stands.
    metadata: Option<&'r [u8]>,
    /// What follows the labels and the samples behind them, mostly nothing: only here can other things stand.
    more: &'r [u8],
    layout: &'static Layout,
    symbols: &'r [Symbol<'r>],
}

impl<'r> Series<'r> {
    /// Delimits the fields of a series.
    #[inline]
    pub(super) fn read(
        message: &'r [u8],
        guess: Guess,
        layout: &'static Layout,
        symbols: &'r [Symbol<'r>],
    ) -> Result<Self, WireError> {
        let guessed = guess.begins(message);
        let mut fields = match guessed {
            true => Fields::new(&message[guess.labels_bytes as usize..]),
            false => Fields::new(message),
        };
        // Senders write the labels first: their bytes are the key as they stand.
        while fields.take_bytes(LABELS_TAG).is_some() {}
        let rest = fields.rest();
        let mut series = Self {
            key: guessed.then_some(guess.key),
            labels: Cow::Borrowed(&message[..message.len() - rest.len()]),
            rest,
            start_ms: None,
            brings: false,
            metadata: None,
            more: rest,
            layout,
            symbols,
        };
        while fields.take_bytes(SAMPLES_TAG).is_some() {
            series.brings = true;
        }
        series.more = fields.rest();
        if !fields.rest().is_empty() {
            series.read_rest(fields)?;
        }
        Ok(series)
    }

    fn read_rest(&mut self, mut fields: Fields<'r>) -> Result<(), WireError> {
        loop {
            let before = fields.rest();
            let Some((number, value)) = fields.next().transpose()? else {
                return Ok(());
            };
            self.brings |= number == SAMPLES || number == self.layout.histograms;
            if number == LABELS {
                let field = &before[..before.len() - fields.rest().len()];
                self.labels.to_mut().extend_from_slice(field);
                self.key = None;
            } else if number == CREATED_TIMESTAMP && self.layout.has_symbols {
                self.start_ms = unless_zero(value.signed()?);
            } else if number == METADATA && self.layout.has_symbols {
                self.metadata = Some(value.bytes()?);
            }
        }
    }

    /// What identifies its label set. O(bytes of its labels).
    ///
    /// # Errors
    /// In 2.0 if references are odd in number or lead nowhere, or the series brings neither sample nor histogram: it
    /// is refused, whether its labels are known or not.
    #[inline]
    pub fn key(&self) -> Result<SeriesKey, RemoteWriteError> {
        if !self.layout.has_symbols {
            Ok(self.key.unwrap_or_else(|| SeriesKey::of(&self.labels)))
        } else if self.brings {
            key_of_references(&self.labels, self.symbols)
        } else {
            Err(RemoteWriteError::NoSamples)
        }
    }

    /// What to guess where this series, whose key that is, is expected again. In 2.0 the bytes of labels say nothing.
    #[inline]
    #[must_use]
    pub fn guess(&self, key: SeriesKey) -> Guess {
        match (&self.labels, u32::try_from(self.labels.len())) {
            (Cow::Borrowed(_), Ok(labels_bytes)) if !self.layout.has_symbols => Guess { key, labels_bytes },
            _ => Guess::default(),
        }
    }

    /// Its labels: checked, sorted, without those that are empty. In any order of names, as Prometheus takes them.
    ///
    /// # Errors
    /// As Prometheus refuses them: a name twice or empty, no metric name, text that is not UTF-8.
    pub fn labels(&self) -> Result<Labels, RemoteWriteError> {
        let mut pairs = self.pairs(&self.labels)?;
        sort(&mut pairs)?;
        let named = pairs
            .iter()
            .any(|(name, value)| *name == METRIC_NAME && !value.is_empty());
        let labels = Labels::from_sorted(pairs).unwrap_or_default();
        if named {
            Ok(labels)
        } else {
            Err(RemoteWriteError::NoMetricName(labels.to_string()))
        }
    }

    /// Its float samples, in order.
    #[must_use]
    #[inline]
    pub fn samples(&self) -> Samples<'r> {
        Samples {
            fields: Fields::new(self.rest),
            start_ms: self.start_ms,
        }
    }

    /// Its native histograms, in order. Those after one that is refused follow.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramSample, RemoteWriteError>> + use<'r> {
        let start_ms = self.start_ms;
        messages(self.more, self.layout.histograms).map(move |message| {
            let mut sample = read_histogram(message?)?;
            sample.start_ms = sample.start_ms.or(start_ms);
            Ok(sample)
        })
    }

    /// Its exemplars, in order. Those after one that is refused follow.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<Exemplar, RemoteWriteError>> {
        messages(self.more, self.layout.exemplars).map(|message| self.exemplar(message?))
    }

    /// How many samples, histograms and exemplars it has: what is refused with it. O(fields).
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for (number, _) in Fields::new(self.rest).map_while(Result::ok) {
            let layout = self.layout;
            let which = [SAMPLES, layout.histograms, layout.exemplars];
            if let Some(at) = which.iter().position(|held| *held == number) {
                counts[at] += 1;
            }
        }
        counts
    }

    /// What 2.0 says of its metric. (1.0 says it apart: [`Request::metadata`](super::Request::metadata).)
    ///
    /// # Errors
    /// If it refers to text that is not there or is not UTF-8.
    pub fn metadata(&self) -> Result<Option<Metadata<'r>>, RemoteWriteError> {
        let Some(message) = self.metadata else {
            return Ok(None);
        };
        let mut metadata = Metadata {
            family: "",
            kind: MetricKind::Unknown,
            help: "",
            unit: "",
        };
        for field in Fields::new(message) {
            match field.map_err(RemoteWriteError::from)? {
                (1, value) => metadata.kind = metric_kind(value.unsigned()?),
                (3, value) => metadata.help = text(symbol(self.symbols, value.unsigned()?)?.text)?,
                (4, value) => metadata.unit = text(symbol(self.symbols, value.unsigned()?)?.text)?,
                _ => {}
            }
        }
        Ok(Some(metadata))
    }

    /// A hash of what [`metadata`](Self::metadata) says, so that it need not be read again; `None` if it says nothing.
    ///
    /// # Errors
    /// If it refers to text that is not there.
    pub fn metadata_hash(&self) -> Result<Option<u64>, RemoteWriteError> {
        let Some(message) = self.metadata else {
            return Ok(None);
        };
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        for field in Fields::new(message) {
            match field? {
                (1, value) => kind = value.unsigned()?,
                (3, value) => help = value.unsigned()?,
                (4, value) => unit = value.unsigned()?,
                _ => {}
            }
        }
        let key = SeriesKey::of(&kind.to_le_bytes())
            .then(symbol(self.symbols, help)?.key)
            .then(symbol(self.symbols, unit)?.key);
        Ok(Some(key.hash()))
    }

    /// Names and values of the labels that these fields are.
    fn pairs<'f>(&self, labels: &'f [u8]) -> Result<Vec<(&'f str, &'f str)>, RemoteWriteError>
    where
        'r: 'f,
    {
        let mut pairs = Vec::new();
        let mut left_bytes = LABELS_MAX_BYTES;
        let mut add = |name: &'f str, value: &'f str| {
            // Two for the lengths: nothing, often enough, is much too.
            left_bytes = left_bytes.checked_sub(name.len() + value.len() + 2).ok_or(
                RemoteWriteError::LabelsTooLong {
                    limit_bytes: LABELS_MAX_BYTES,
                },
            )?;
            pairs.push((name, value));
            Ok::<(), RemoteWriteError>(())
        };
        if self.layout.has_symbols {
            let mut name = None;
            for_references(labels, self.symbols, |symbol| {
                let part = text(symbol.text)?;
                match name.take() {
                    None => name = Some(part),
                    Some(name) => add(name, part)?,
                }
                Ok(())
            })?;
            if name.is_some() {
                return Err(RemoteWriteError::OddReferences(pairs.len() * 2 + 1));
            }
            return Ok(pairs);
        }
        for label in messages(labels, LABELS) {
            let (mut name, mut value) = ("", "");
            for field in Fields::new(label?) {
                match field? {
                    (1, field) => name = text(field.bytes()?)?,
                    (2, field) => value = text(field.bytes()?)?,
                    _ => {}
                }
            }
            add(name, value)?;
        }
        Ok(pairs)
    }

    fn exemplar(&self, message: &[u8]) -> Result<Exemplar, RemoteWriteError> {
        let (mut labels, mut value, mut t_ms) = (Vec::new(), 0.0, None);
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest();
            let Some(field) = fields.next().transpose()? else {
                break;
            };
            match field {
                (LABELS, _) => labels.extend_from_slice(&before[..before.len() - fields.rest().len()]),
                (2, field) => value = field.double()?,
                (3, field) => t_ms = unless_zero(field.signed()?),
                _ => {}
            }
        }
        let mut pairs = self.pairs(&labels)?;
        sort(&mut pairs)?;
        Ok(Exemplar {
            labels: Labels::from_sorted(pairs).unwrap_or_default(),
            value,
            t_ms,
        })
    }
}

/// Puts labels in order of name, which senders should have done, and refuses what makes no label set.
fn sort(pairs: &mut [(&str, &str)]) -> Result<(), RemoteWriteError> {
    if !pairs.is_sorted() {
        pairs.sort_unstable();
    }
    if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err(RemoteWriteError::EmptyLabelName);
    }
    match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(RemoteWriteError::DuplicateLabel(pair[0].0.to_owned())),
        None => Ok(()),
    }
}

/// The messages that stand in field `number`.
fn messages(fields: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields::new(fields).filter_map(move |field| match field {
        Ok((found, value)) if found == number => Some(value.bytes()),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

fn symbol<'r>(symbols: &'r [Symbol<'r>], reference: u64) -> Result<&'r Symbol<'r>, RemoteWriteError> {
    usize::try_from(reference)
        .ok()
        .and_then(|at| symbols.get(at))
        .ok_or(RemoteWriteError::Reference {
            reference,
            symbols: symbols.len(),
        })
}

/// Hands out every symbol that these fields refer to, in order.
#[inline]
fn for_references<'r>(
    fields: &[u8],
    symbols: &'r [Symbol<'r>],
    mut each: impl FnMut(&'r Symbol<'r>) -> Result<(), RemoteWriteError>,
) -> Result<(), RemoteWriteError> {
    let mut outcome = Ok(());
    for field in Fields::new(fields) {
        let (_, value) = field?;
        value.numbers(|reference| {
            if outcome.is_ok() {
                outcome = symbol(symbols, reference).and_then(&mut each);
            }
        })?;
    }
    outcome
}

/// References are numbered anew in each request, so a key is made of what they lead to.
fn key_of_references(fields: &[u8], symbols: &[Symbol<'_>]) -> Result<SeriesKey, RemoteWriteError> {
    let mut key = SeriesKey::default();
    let mut references = 0;
    for_references(fields, symbols, |symbol| {
        key = key.then(symbol.key);
        references += 1;
        Ok(())
    })?;
    if references % 2 == 1 {
        return Err(RemoteWriteError::OddReferences(references));
    }
    Ok(key)
}

/// Zero means that a time is not given.
fn unless_zero(t_ms: i64) -> Option<i64> {
    (t_ms != 0).then_some(t_ms)
}

/// The float samples of a [`Series`].
#[derive(Debug, Clone)]
pub struct Samples<'r> {
    fields: Fields<'r>,
    start_ms: Option<i64>,
}

impl Iterator for Samples<'_> {
    type Item = Result<Sample, RemoteWriteError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(message) = self.fields.take_bytes(SAMPLES_TAG) {
            return Some(read_sample(message, self.start_ms).map_err(RemoteWriteError::from));
        }
        loop {
            match self.fields.next()? {
                Ok((SAMPLES, value)) => {
                    let sample = value
                        .bytes()
                        .and_then(|message| read_sample(message, self.start_ms));
                    return Some(sample.map_err(RemoteWriteError::from));
                }
                Ok(_) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// Tags of a sample's fields.
const VALUE_TAG: u8 = 0x09;
const TIME_TAG: u8 = 0x10;

#[inline]
fn read_sample(message: &[u8], start_ms: Option<i64>) -> Result<Sample, WireError> {
    let mut sample = Sample {
        t_ms: 0,
        value: 0.0,
        start_ms,
    };
    let mut fields = Fields::new(message);
    // Senders write value and time, in this order; what else there may be is read below.
    if let Some(([VALUE_TAG, bits @ .., TIME_TAG], time)) = message.split_first_chunk::<10>() {
        fields = Fields::new(time);
        sample.value = f64::from_le_bytes(*bits);
        sample.t_ms = fields.number()?.cast_signed();
    }
    for field in fields {
        match field? {
            (1, value) => sample.value = value.double()?,
            (2, value) => sample.t_ms = value.signed()?,
            (3, value) => sample.start_ms = unless_zero(value.signed()?).or(start_ms),
            _ => {}
        }
    }
    Ok(sample)
}
