//! Side by side: most indicators know nothing of each other, so each part of a catalog is replayed by an engine of its own.

use std::collections::BTreeMap;
use std::thread;

use mainstay_kernel::SloId;

use super::{Course, Outcome, Replay, Source};
use crate::engine::{Settings, SloCatalog};
use crate::error::SloError;

/// Divides a catalog into at most `parts` catalogs, each indicator in one of them with all of its objectives, with what it is
/// made of and with their probes: by turns, in the catalog's order, so that the same catalog is always divided alike.
///
/// # Errors
/// None that the whole catalog does not have.
pub fn split(catalog: &SloCatalog, parts: usize) -> Result<Vec<SloCatalog>, SloError> {
    let indicators = catalog.indicators();
    let parts = parts.clamp(1, indicators.len().max(1));
    let part_of = parts_of(catalog, parts);
    (0..parts)
        .map(|part| {
            let is_here = |sli: &str| part_of.get(sli) == Some(&part);
            let mut own = indicators.to_vec();
            own.retain(|indicator| is_here(&indicator.name));
            let mut objectives = catalog.objectives().to_vec();
            objectives.retain(|objective| is_here(&objective.sli));
            SloCatalog::new(own, objectives)
        })
        .collect()
}

/// In which part each indicator is.
fn parts_of(catalog: &SloCatalog, parts: usize) -> BTreeMap<&str, usize> {
    let indicators = catalog.indicators();
    let place = |name: &str| indicators.iter().position(|sli| sli.name == name);
    // The first of those that belong together stands for all of them.
    let mut first: Vec<usize> = (0..indicators.len()).collect();
    let mut join = |one: usize, other: usize| {
        let (kept, gone) = (first[one].min(first[other]), first[one].max(first[other]));
        first
            .iter_mut()
            .filter(|first| **first == gone)
            .for_each(|first| *first = kept);
    };
    for (index, indicator) in indicators.iter().enumerate() {
        let members = indicator.events.members().iter();
        members
            .filter_map(|member| place(&member.sli))
            .for_each(|member| join(index, member));
    }
    for objective in catalog.objectives() {
        let probes = objective.probes.as_deref().and_then(place);
        if let Some((sli, probes)) = place(&objective.sli).zip(probes) {
            join(sli, probes);
        }
    }
    let mut heads: Vec<usize> = first.clone();
    heads.sort_unstable();
    heads.dedup();
    let turn = |head: &usize| heads.binary_search(head).unwrap_or_default() % parts;
    let names = indicators.iter().map(|indicator| indicator.name.as_str());
    names.zip(first.iter().map(turn)).collect()
}

/// Replays a catalog with one thread for each of its parts. `source` opens what a part reads; `progress` hears of which
/// part and how far it is. What comes out is what one engine would have said, whatever the number of parts.
///
/// # Errors
/// As the sources; of several the first part's.
pub fn run_in_shards<S: Source>(
    catalog: &SloCatalog,
    settings: Settings,
    course: Course,
    parts: usize,
    source: impl Fn(&SloCatalog) -> Result<S, S::Error> + Sync,
    progress: impl Fn(usize, i64) + Sync,
) -> Result<Outcome, S::Error>
where
    S::Error: Send + From<SloError>,
{
    let parts = split(catalog, parts)?;
    let run = |(part, own): (usize, SloCatalog)| {
        let mut source = source(&own)?;
        let replay = Replay::new(own, settings, course);
        let (_, outcome) = replay.run(&mut source, |t_ms| progress(part, t_ms))?;
        Ok::<_, S::Error>(outcome)
    };
    let outcomes: Result<Vec<Outcome>, S::Error> = thread::scope(|scope| {
        let running: Vec<_> = parts
            .into_iter()
            .enumerate()
            .map(|part| scope.spawn(|| run(part)))
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let place: BTreeMap<&SloId, usize> = catalog
        .objectives()
        .iter()
        .enumerate()
        .map(|(index, objective)| (&objective.id, index))
        .collect();
    let order = |slo: &SloId| place.get(slo).copied().unwrap_or(usize::MAX);
    Ok(Outcome::merge(outcomes?, order))
}
