//! The stored state: last values, sums, doubts, what was last said, and the position in the write-ahead log.
//!
//! `MSLO`, one byte of version, the length of the body (8 bytes, little-endian), the body, its SHA-256. The body is a
//! row of sections, each with its tag, its length (8 bytes again) and its bytes: variable-length integers and texts in the order of
//! [`SloEngine::to_bytes`]. A section that is not there is empty; one that is not known is of a later program and refused.
//! Version 1 had the same in one piece, and its sums unpacked. Catalogs are not stored: they are kept by digest elsewhere,
//! and the state is read back into whichever is in force.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Digest, Labels, SloId};

use super::frame::body_of;
use super::install::Former;
use super::judge::{Judged, State};
use super::node::Node;
use super::presence::decode_presence;
use super::source::Sources;
use super::{Ingested, Judge, Series, Settings, Sli, SloCatalog, SloEngine, histogram, slices};
use crate::codec::{Reader, Writer};
use crate::counter::{Counter, Counting, Point};
use crate::coverage::Coverage;
use crate::error::SloError;
use crate::prefix::PrefixSums;
use crate::sli::{Counters, Events, GROUP_LABELS_MAX, Marked, SliDefinition};

pub(super) const MAGIC: &[u8; 4] = b"MSLO";
pub(super) const VERSION: u8 = 2;
/// By how much later than those of version 1 edges must be to lie at or after them, in milliseconds.
const V1_EDGES_MS: i64 = 3_600_000;
pub(super) const HEAD_BYTES: usize = 13;
pub(super) const DIGEST_BYTES: usize = 32;

impl SloEngine {
    /// The whole state, to be stored beside the samples in one write with the log position it includes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // One buffer for all: a state can be hundreds of megabytes.
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.raw(&[VERSION]);
        let body = out.length_later();
        let mut section = |tag: Tag, fill: &dyn Fn(&mut Writer)| {
            out.u64(tag as u64);
            let begin = out.length_later();
            fill(&mut out);
            out.fill_length(begin);
        };
        section(Tag::Progress, &|out| self.encode_progress(out));
        section(Tag::Indicators, &|out| {
            out.len(self.slis.len());
            self.slis.iter().for_each(|sli| encode_sli(out, sli));
        });
        section(Tag::Series, &|out| {
            out.len(self.series.len());
            for series in &self.series {
                encode_labels(out, &series.labels);
                encode_counter(out, &series.counter);
            }
        });
        section(Tag::Judged, &|out| self.encode_judges(out));
        if self.completions_position.is_some() {
            section(Tag::Completions, &|out| self.encode_completions(out));
        }
        if self.judges.iter().any(Judge::says_presence) {
            section(Tag::Presence, &|out| self.encode_presence(out));
        }
        if histogram::are_any(&self.series) {
            section(Tag::Histograms, &|out| histogram::encode(out, &self.series));
        }
        if slices::are_any(&self.slis, &self.series) {
            section(Tag::Slices, &|out| slices::encode(out, &self.slis, &self.series));
        }
        out.fill_length(body);
        let digest = Digest::of(out.since(body));
        out.raw(&digest.0);
        out.into_bytes()
    }

    fn encode_progress(&self, out: &mut Writer) {
        out.bool(self.position.is_some());
        out.u64(self.position.unwrap_or_default());
        out.i64(self.swept_ms);
        for count in self.ingested.as_array() {
            out.u64(count);
        }
    }

    fn encode_judges(&self, out: &mut Writer) {
        out.len(self.judges.len());
        for judge in &self.judges {
            out.text(judge.objective.id.as_str());
            out.text(&judge.objective.sli);
            encode_texts(out, &judge.objective.group_by);
            out.option(judge.never_seen_ms);
            let sli = &self.slis[judge.sli];
            let groups = sli.levels[judge.level].iter().zip(&judge.judged);
            // Only what was said: a group of which nothing was said is as one that is new.
            let said: Vec<_> = groups
                .filter(|(_, judged)| **judged != Judged::default())
                .collect();
            out.len(said.len());
            for (node, judged) in said {
                encode_labels(out, &sli.nodes[*node as usize].group);
                encode_judged(out, judged);
            }
        }
    }

    /// Reads a state back into a catalog; what is new in the catalog starts to count at `now`. Then replay the log after
    /// [`SloEngine::position`].
    ///
    /// # Errors
    /// If the bytes are not a state, are damaged, or are of a later version.
    pub fn from_bytes(
        bytes: &[u8],
        catalog: SloCatalog,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, SloError> {
        let (version, body) = body_of(bytes)?;
        let stored = Stored::decode(version, body)?;
        let mut engine = Self {
            settings,
            slis: stored.slis,
            by_metric: BTreeMap::new(),
            series: stored.series,
            by_labels: BTreeMap::new(),
            judges: Vec::new(),
            position: stored.position,
            completions_position: stored.completions_position,
            started_ms: now.as_millisecond(),
            reached_ms: now.as_millisecond(),
            swept_ms: stored.swept_ms,
            generation: 0,
            ingested: stored.ingested,
            exclusions: Vec::new(),
        };
        engine.install(catalog, stored.judged, now.as_millisecond());
        Ok(engine)
    }
}

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// Up to where it is counted, and what became of the samples.
    Progress = 1,
    /// Indicators, their groups and their sums.
    Indicators = 2,
    /// Watched series and their last samples.
    Series = 3,
    /// What was last said.
    Judged = 4,
    /// Payments: up to where they are counted, those that are remembered, and what is counted beside the sums.
    Completions = 5,
    /// What was last said about traffic and probes.
    Presence = 6,
    /// What time slices count as, and samples that are events; after the indicators and the series that they are of.
    Slices = 7,
    /// The last samples of native histograms; after the series that they are of.
    Histograms = 8,
}

impl Tag {
    fn of(number: u64) -> Option<Self> {
        let known = [
            Self::Progress,
            Self::Indicators,
            Self::Series,
            Self::Judged,
            Self::Completions,
            Self::Presence,
            Self::Slices,
            Self::Histograms,
        ];
        known.into_iter().find(|tag| *tag as u64 == number)
    }
}

/// A state without its catalog.
#[derive(Default)]
struct Stored {
    position: Option<u64>,
    completions_position: Option<u64>,
    swept_ms: i64,
    ingested: Ingested,
    slis: Vec<Sli>,
    series: Vec<Series>,
    judged: BTreeMap<SloId, Former>,
}

impl Stored {
    fn decode(version: u8, body: &[u8]) -> Result<Self, SloError> {
        let mut stored = Self::default();
        let mut input = Reader::new(body);
        if version == 1 {
            for tag in [Tag::Progress, Tag::Indicators, Tag::Series, Tag::Judged] {
                stored.read(tag, version, &mut input)?;
            }
        }
        while version > 1 && !input.is_empty() {
            let tag = Tag::of(input.u64()?).ok_or_else(|| broken("a part of it is of a later program"))?;
            let mut section = Reader::new(input.measured()?);
            stored.read(tag, version, &mut section)?;
            if !section.is_empty() {
                return Err(broken("a part of it is longer than it should be"));
            }
        }
        if !input.is_empty() {
            return Err(broken("there is more than there should be"));
        }
        Ok(stored)
    }

    fn read(&mut self, tag: Tag, version: u8, input: &mut Reader<'_>) -> Result<(), SloError> {
        match tag {
            Tag::Progress => {
                let has_position = input.bool()?;
                self.position = Some(input.u64()?).filter(|_| has_position);
                self.swept_ms = input.i64()?;
                let mut ingested = [0; 7];
                for count in &mut ingested {
                    *count = input.u64()?;
                }
                self.ingested = Ingested::from_array(ingested);
            }
            Tag::Indicators => {
                for _ in 0..input.len()? {
                    self.slis.push(decode_sli(version, input)?);
                }
            }
            Tag::Series => {
                for _ in 0..input.len()? {
                    self.series.push(Series {
                        labels: decode_labels(input)?,
                        counter: decode_counter(input)?,
                        readings: None,
                        observed: Vec::new(),
                        links: Vec::new(),
                    });
                }
            }
            Tag::Judged => {
                for _ in 0..input.len()? {
                    let (slo, former) = decode_former(input)?;
                    self.judged.insert(slo, former);
                }
            }
            Tag::Completions => {
                self.completions_position = Some(input.u64()?);
                for _ in 0..input.len()? {
                    let name = input.text()?;
                    let sli = self.slis.iter_mut().find(|sli| sli.definition.name == name);
                    sli.ok_or_else(|| broken("payments are of no indicator"))?
                        .decode_completions(input)?;
                }
            }
            Tag::Presence => decode_presence(&mut self.judged, input)?,
            Tag::Histograms => histogram::decode(input, &mut self.series)?,
            Tag::Slices => slices::decode(input, &mut self.slis, &mut self.series)?,
        }
        Ok(())
    }
}

pub(super) fn broken(what: &str) -> SloError {
    SloError::Snapshot(what.to_owned())
}

impl Ingested {
    fn as_array(self) -> [u64; 7] {
        [
            self.counted,
            self.duplicate,
            self.conflict,
            self.too_late,
            self.stale,
            self.not_a_count,
            self.over_limit,
        ]
    }

    fn from_array(counts: [u64; 7]) -> Self {
        let [
            counted,
            duplicate,
            conflict,
            too_late,
            stale,
            not_a_count,
            over_limit,
        ] = counts;
        Self {
            counted,
            duplicate,
            conflict,
            too_late,
            stale,
            not_a_count,
            over_limit,
        }
    }
}

fn encode_texts(out: &mut Writer, texts: &[String]) {
    out.len(texts.len());
    texts.iter().for_each(|text| out.text(text));
}

fn decode_texts(input: &mut Reader<'_>) -> Result<Vec<String>, SloError> {
    let length = input.len()?;
    (0..length).map(|_| Ok(input.text()?.to_owned())).collect()
}

pub(super) fn encode_labels(out: &mut Writer, labels: &Labels) {
    out.len(labels.len());
    for (name, value) in labels.iter() {
        out.text(name);
        out.text(value);
    }
}

pub(super) fn decode_labels(input: &mut Reader<'_>) -> Result<Labels, SloError> {
    let length = input.len()?;
    (0..length).map(|_| Ok((input.text()?, input.text()?))).collect()
}

pub(super) fn encode_counter(out: &mut Writer, counter: &Counter) {
    out.bool(counter.trimmed);
    out.len(counter.recent.len());
    for point in &counter.recent {
        out.i64(point.t_ms);
        out.u64(point.value);
        out.option(point.created_ms());
    }
}

pub(super) fn decode_counter(input: &mut Reader<'_>) -> Result<Counter, SloError> {
    let trimmed = input.bool()?;
    let length = input.len()?;
    let points = (0..length).map(|_| Ok(Point::new(input.i64()?, input.u64()?, input.option()?)));
    Ok(Counter {
        recent: points.collect::<Result<_, SloError>>()?,
        trimmed,
    })
}

fn encode_sli(out: &mut Writer, sli: &Sli) {
    out.text(&sli.definition.name);
    encode_texts(out, &sli.definition.group_by);
    out.i64(sli.counting.since_ms);
    out.i64(sli.counting.warm_until_ms);
    out.i64(sli.thinned_ms);
    // The groups of a composite are those of its members.
    let is_composite = !sli.definition.events.members().is_empty();
    let nodes = if is_composite { &[] } else { sli.nodes.as_slice() };
    out.len(nodes.len());
    for node in nodes {
        encode_labels(out, &node.group);
        node.counts.encode(out);
        node.doubt.encode(out);
        node.coverage.encode(out);
        out.bool(node.retired);
    }
    sli.sources.encode(out);
}

/// An indicator without its selectors: the catalog gives them.
fn decode_sli(version: u8, input: &mut Reader<'_>) -> Result<Sli, SloError> {
    let definition = SliDefinition {
        name: input.text()?.to_owned(),
        events: Events::Counters(Counters {
            marked: Marked::Bad,
            marked_by: Vec::new(),
            total: Vec::new(),
        }),
        group_by: decode_texts(input)?,
        source: String::new(),
        witness: None,
    };
    if definition.group_by.len() > GROUP_LABELS_MAX {
        return Err(broken("an indicator has too many group labels"));
    }
    let counting = Counting {
        since_ms: input.i64()?,
        warm_until_ms: input.i64()?,
    };
    let mut sli = Sli::new(definition, counting);
    // Where tiers of version 1 met at a quarter of an hour, they now meet at the full hour before that.
    let later_ms = if version == 1 { V1_EDGES_MS } else { 0 };
    sli.thin_out_from(input.i64()?.saturating_add(later_ms));
    for _ in 0..input.len()? {
        let index = sli.node(decode_labels(input)?) as usize;
        if index + 1 != sli.nodes.len() {
            return Err(broken("a group is there twice"));
        }
        let node: &mut Node = &mut sli.nodes[index];
        if version == 1 {
            node.counts = PrefixSums::decode_v1(input)?;
            node.doubt = PrefixSums::decode_v1(input)?;
        } else {
            node.counts = PrefixSums::decode(input)?;
            node.doubt = PrefixSums::decode(input)?;
        }
        node.coverage = Coverage::decode(input)?;
        node.retired = input.bool()?;
    }
    sli.sources = Sources::decode(input)?;
    sli.find_parts();
    Ok(sli)
}

fn encode_judged(out: &mut Writer, judged: &Judged) {
    out.u64(match judged.state.0 {
        BudgetState::Unknown => 0,
        BudgetState::Healthy => 1,
        BudgetState::Warning => 2,
        BudgetState::Critical => 3,
        BudgetState::Exhausted => 4,
    });
    out.option(judged.period_ms);
    out.option(judged.blind_ms);
    out.len(judged.firing.len());
    for ((long_ms, short_ms), since_ms) in &judged.firing {
        out.i64(*long_ms);
        out.i64(*short_ms);
        out.i64(*since_ms);
    }
}

fn decode_judged(input: &mut Reader<'_>) -> Result<Judged, SloError> {
    let state = State(match input.u64()? {
        0 => BudgetState::Unknown,
        1 => BudgetState::Healthy,
        2 => BudgetState::Warning,
        3 => BudgetState::Critical,
        4 => BudgetState::Exhausted,
        _ => return Err(broken("a budget is in no known state")),
    });
    let period_ms = input.option()?;
    let blind_ms = input.option()?;
    let length = input.len()?;
    let firing = (0..length).map(|_| Ok(((input.i64()?, input.i64()?), input.i64()?)));
    let firing = firing.collect::<Result<_, SloError>>()?;
    Ok(Judged {
        state,
        period_ms,
        firing,
        blind_ms,
        low_ms: None,
        unreachable_ms: None,
    })
}

fn decode_former(input: &mut Reader<'_>) -> Result<(SloId, Former), SloError> {
    let slo = SloId::new(input.text()?).map_err(|error| broken(&error.to_string()))?;
    let sli = input.text()?.to_owned();
    let group_by = decode_texts(input)?;
    let never_seen_ms = input.option()?;
    let length = input.len()?;
    let judged = (0..length).map(|_| Ok((decode_labels(input)?, decode_judged(input)?)));
    let judged = judged.collect::<Result<_, SloError>>()?;
    let former = Former {
        sli,
        group_by,
        judged,
        never_seen_ms,
    };
    Ok((slo, former))
}
