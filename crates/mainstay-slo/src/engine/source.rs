//! Where counters live (a pod, an instance), and what is lost when one of them ends between two scrapes.
//!
//! What a source counted after its last sample died with it: nobody can know how much that was, so it is never guessed.
//! Where a *witness* (a gateway, say) counts what it sends to each source, what it sent after the last sample is a bound.
//! A request may be under way for up to one scrape interval, so the bound begins that much earlier.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::codec::{Reader, Writer};
use crate::error::SloError;

/// The most increments of a witness kept per source; beyond it the two oldest become one, which may only widen a bound.
const SENT_MAX: usize = 64;

/// What becomes more or less doubtful, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at_ms: i64,
    /// Sources that ended unread.
    pub(super) ended: i64,
    /// Of them, those that no witness knows.
    pub(super) unbounded: i64,
    /// The most events that the others may have taken with them.
    pub(super) unread: i64,
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Source {
    /// When it was last read, and the time before; in milliseconds since the epoch.
    read_ms: Option<i64>,
    read_before_ms: Option<i64>,
    /// What was sent to it lately: until when, and how much.
    sent: VecDeque<(i64, u64)>,
    /// Whether a witness ever spoke of it.
    witnessed: bool,
    /// The doubt that its end left, while it has not come back.
    gone: Option<Change>,
    /// The read that found that it had begun again.
    restart_ms: Option<i64>,
    /// The groups that it counts in, at every level.
    nodes: BTreeSet<u32>,
    /// Whether any of its counters is of marked events.
    marked: bool,
}

impl Source {
    /// The doubt that an end leaves after a read at `read_ms`.
    fn end(&self, read_ms: i64, in_flight_ms: i64) -> Change {
        let since = read_ms.saturating_sub(in_flight_ms);
        let sent = self.sent.iter().filter(|(until_ms, _)| *until_ms > since);
        Change {
            at_ms: read_ms,
            ended: 1,
            unbounded: i64::from(!self.witnessed),
            unread: sent.map(|(_, count)| signed(*count)).sum(),
        }
    }
}

impl Change {
    fn undone(self) -> Self {
        Self {
            at_ms: self.at_ms,
            ended: -self.ended,
            unbounded: -self.unbounded,
            unread: -self.unread,
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The sources of one indicator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sources {
    all: Vec<Source>,
    by_name: BTreeMap<String, u32>,
}

impl Sources {
    /// The index of a source, made where it is new.
    pub(super) fn index(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(Source::default());
        self.by_name.insert(name.to_owned(), index);
        index
    }

    /// Notes the groups that a counter of this source counts in. Gives those that it did not count in before.
    pub(super) fn joins(&mut self, source: u32, nodes: &[u32]) -> Vec<u32> {
        let known = &mut self.all[source as usize].nodes;
        nodes.iter().copied().filter(|node| known.insert(*node)).collect()
    }

    /// Notes that one of its counters is of marked events; `true` for the first.
    pub(super) fn marks(&mut self, source: u32) -> bool {
        !std::mem::replace(&mut self.all[source as usize].marked, true)
    }

    /// Whether any of its counters is of marked events.
    pub(super) fn is_marked(&self, source: u32) -> bool {
        self.all[source as usize].marked
    }

    /// The groups that a source counts in.
    pub(super) fn nodes(&self, source: u32) -> impl Iterator<Item = u32> + '_ {
        self.all[source as usize].nodes.iter().copied()
    }

    /// A counter of the source was read. What its silence put in doubt is known now, unless the counter began again.
    pub(super) fn on_read(
        &mut self,
        source: u32,
        t_ms: i64,
        restarted: bool,
        in_flight_ms: i64,
    ) -> [Option<Change>; 2] {
        let source = &mut self.all[source as usize];
        let mut changes = [None, None];
        if source.read_ms.is_none_or(|read_ms| t_ms > read_ms) {
            source.read_before_ms = source.read_ms;
            source.read_ms = Some(t_ms);
            changes[0] = source.gone.take().map(Change::undone);
            if let Some(before_ms) = source.read_before_ms {
                let edge = before_ms.saturating_sub(in_flight_ms);
                source.sent.retain(|(until_ms, _)| *until_ms > edge);
            }
        }
        // All counters of a source begin again together: that is one end.
        if restarted
            && source.restart_ms != Some(t_ms)
            && let Some(before_ms) = source.read_before_ms
        {
            source.restart_ms = Some(t_ms);
            changes[1] = Some(source.end(before_ms, in_flight_ms));
        }
        changes
    }

    /// The source was not there when it was to be read, at `t_ms`.
    pub(super) fn on_silence(&mut self, source: u32, t_ms: i64, in_flight_ms: i64) -> Option<Change> {
        let source = &mut self.all[source as usize];
        let read_ms = source.read_ms.filter(|read_ms| *read_ms < t_ms)?;
        if source.gone.is_some() {
            return None;
        }
        source.gone = Some(source.end(read_ms, in_flight_ms));
        source.gone
    }

    /// A witness says that `count` more events were sent to the source up to `t_ms`.
    pub(super) fn on_sent(&mut self, source: u32, t_ms: i64, count: u64) -> Option<Change> {
        let source = &mut self.all[source as usize];
        let first = !std::mem::replace(&mut source.witnessed, true);
        if count > 0 {
            source.sent.push_back((t_ms, count));
        }
        if source.sent.len() > SENT_MAX
            && let Some((_, oldest)) = source.sent.pop_front()
            && let Some(next) = source.sent.front_mut()
        {
            next.1 = next.1.saturating_add(oldest);
        }
        let gone = source.gone.as_mut()?;
        let more = Change {
            at_ms: gone.at_ms,
            ended: 0,
            unbounded: if first { -gone.unbounded } else { 0 },
            unread: signed(count),
        };
        gone.unbounded += more.unbounded;
        gone.unread = gone.unread.saturating_add(more.unread);
        (more.unbounded != 0 || more.unread != 0).then_some(more)
    }

    /// Lets sources go of which nothing was heard since `edge_ms`, before their counters are linked anew. The doubt that
    /// they left stays.
    pub(super) fn unlink(&mut self, edge_ms: i64) {
        let names = std::mem::take(&mut self.by_name);
        let all = std::mem::take(&mut self.all);
        for (name, index) in names {
            let mut source = all[index as usize].clone();
            let heard_ms = source
                .sent
                .back()
                .map(|(until_ms, _)| *until_ms)
                .max(source.read_ms);
            if heard_ms.is_some_and(|heard_ms| heard_ms >= edge_ms) {
                source.nodes.clear();
                source.marked = false;
                let kept = self.index(&name);
                self.all[kept as usize] = source;
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.len(self.by_name.len());
        for (name, index) in &self.by_name {
            let source = &self.all[*index as usize];
            out.text(name);
            out.option(source.read_ms);
            out.option(source.read_before_ms);
            out.option(source.restart_ms);
            out.bool(source.witnessed);
            out.len(source.sent.len());
            for (until_ms, count) in &source.sent {
                out.i64(*until_ms);
                out.u64(*count);
            }
            out.bool(source.gone.is_some());
            if let Some(gone) = source.gone {
                for number in [gone.at_ms, gone.ended, gone.unbounded, gone.unread] {
                    out.i64(number);
                }
            }
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let mut sources = Self::default();
        for _ in 0..input.len()? {
            let index = sources.index(input.text()?);
            let mut source = Source {
                read_ms: input.option()?,
                read_before_ms: input.option()?,
                restart_ms: input.option()?,
                witnessed: input.bool()?,
                ..Source::default()
            };
            for _ in 0..input.len()? {
                source.sent.push_back((input.i64()?, input.u64()?));
            }
            if input.bool()? {
                source.gone = Some(Change {
                    at_ms: input.i64()?,
                    ended: input.i64()?,
                    unbounded: input.i64()?,
                    unread: input.i64()?,
                });
            }
            sources.all[index as usize] = source;
        }
        Ok(sources)
    }
}
