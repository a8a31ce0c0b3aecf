//! Who is on call by what was written, and by what the other system says itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_catalog::response::Rota;
use mainstay_oncall::Override;
use mainstay_oncall::rota;

use crate::build::AHEAD;
use crate::{Moved, Schedule};

/// A stretch of time that the two do not see alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; not included.
    pub until: Timestamp,
    /// Who is on call there.
    pub theirs: BTreeSet<String>,
    /// Who is on call here.
    pub ours: BTreeSet<String>,
}

/// What came of the comparison of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The export does not say who is on call when.
    NotRendered,
    /// What it says is over.
    Past,
    /// From when until when was compared, and what differs.
    Over {
        /// The beginning: now, or the first that the export says.
        from: Timestamp,
        /// The end: in 90 days, or the last that the export says.
        until: Timestamp,
        /// In order of time.
        differences: Vec<Difference>,
    },
}

/// Compares the next 90 days of a schedule. `rotas` are those of the catalog as it was written and read back.
#[must_use]
pub fn compare(
    moved: &Moved,
    schedule: &Schedule,
    rotas: &BTreeMap<String, Rota>,
    now: Timestamp,
) -> Compared {
    let begin = schedule.rendered.iter().map(|span| span.from).min();
    let end = schedule.rendered.iter().map(|span| span.until).max();
    let (Some(begin), Some(end)) = (begin, end) else {
        return Compared::NotRendered;
    };
    let from = begin.max(now);
    let until = end.min(now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX));
    if until <= from {
        return Compared::Past;
    }
    let theirs = schedule
        .rendered
        .iter()
        .map(|span| (span.person.clone(), span.from, span.until));
    let theirs: Vec<_> = theirs.collect();
    let own = schedule
        .rotas
        .iter()
        .filter_map(|(name, _)| Some((name, rotas.get(name)?)));
    let ours: Vec<_> = own
        .flat_map(|(name, rota)| shifts(name, rota, &moved.overrides, from, until))
        .collect();
    Compared::Over {
        from,
        until,
        differences: differences(&theirs, &ours, from, until),
    }
}

type Stretch = (String, Timestamp, Timestamp);

fn shifts(
    name: &str,
    rota: &Rota,
    overrides: &[Override],
    from: Timestamp,
    until: Timestamp,
) -> Vec<Stretch> {
    let shifts = rota::schedule(name, rota, overrides, from, until).into_iter();
    shifts
        .map(|shift| (shift.person.to_string(), shift.from, shift.until))
        .collect()
}

fn differences(theirs: &[Stretch], ours: &[Stretch], from: Timestamp, until: Timestamp) -> Vec<Difference> {
    /// A sweep over the beginnings and ends of both.
    #[derive(Default)]
    struct Side(BTreeMap<String, i32>);
    impl Side {
        fn turn(&mut self, person: &str, by: i32) {
            let count = self.0.entry(person.to_owned()).or_default();
            *count += by;
            if *count == 0 {
                self.0.remove(person);
            }
        }
        fn names(&self) -> BTreeSet<String> {
            self.0.keys().cloned().collect()
        }
    }
    let mut edges: Vec<(Timestamp, bool, &str, i32)> = Vec::new();
    for (is_ours, stretches) in [(false, theirs), (true, ours)] {
        for (person, begins, ends) in stretches {
            let (begins, ends) = ((*begins).max(from), (*ends).min(until));
            if begins < ends {
                edges.push((begins, is_ours, person, 1));
                edges.push((ends, is_ours, person, -1));
            }
        }
    }
    edges.sort_unstable_by_key(|(at, ..)| *at);
    let (mut there, mut here) = (Side::default(), Side::default());
    let mut found: Vec<Difference> = Vec::new();
    let mut at = from;
    let mut close = |at: Timestamp, end: Timestamp, there: &Side, here: &Side| {
        let (theirs, ours) = (there.names(), here.names());
        if at >= end || theirs == ours {
            return;
        }
        match found.last_mut() {
            Some(last) if last.until == at && last.theirs == theirs && last.ours == ours => last.until = end,
            _ => found.push(Difference {
                from: at,
                until: end,
                theirs,
                ours,
            }),
        }
    };
    for (edge, is_ours, person, by) in edges {
        if edge > at {
            close(at, edge, &there, &here);
            at = edge;
        }
        let side = if is_ours { &mut here } else { &mut there };
        side.turn(person, by);
    }
    close(at, until, &there, &here);
    found
}
