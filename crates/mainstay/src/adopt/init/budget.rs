//! A first true budget: the raw samples that the Prometheus still has, page by page, counted one by one.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_promql::Series;
use mainstay_promql::dialect::Dialect;
use mainstay_remote::RemoteError;
use mainstay_remote::query::Client;
use mainstay_slo::selector::Selector;
use mainstay_slo::{Objective, RawSample, Settings, SliDefinition, SloCatalog, SloEngine, Status};
use tokio::time::Instant;

use super::pace::Pace;

/// The first page, the newest: it says how dense the samples are and how fast they come.
const PROBE_MS: i64 = 3_600_000;
/// So many samples come in one page, about.
const PAGE_SAMPLES: u64 = 200_000;
/// The shortest page.
const PAGE_MIN_MS: i64 = 60_000;
/// The longest one.
const PAGE_MAX_MS: i64 = 86_400_000;
/// A Prometheus may have that many samples of a series in an hour and more: one a second.
const INTERVAL_MIN_MS: i64 = 1_000;

/// How an objective stands.
#[derive(Debug)]
pub(super) struct Counted {
    /// Its status over what was read.
    pub(super) status: Status,
    /// From when on samples were asked for.
    pub(super) from_ms: i64,
    /// The first sample that there was.
    pub(super) first_ms: Option<i64>,
    /// How many samples were counted.
    pub(super) samples: u64,
}

/// Reads one objective's counters and counts them, in the time that is given: where it is too short for the whole window,
/// the newest part of it that fits.
pub(super) async fn count(
    client: &Client,
    dialect: Dialect,
    objective: &Objective,
    indicator: &SliDefinition,
    now: Timestamp,
    time: Duration,
    pace: &Pace,
) -> Result<Option<Counted>, RemoteError> {
    let now_ms = now.as_millisecond();
    let selectors = needed(indicator);
    let begun = Instant::now();
    let probe = read(client, dialect, &selectors, now_ms - PROBE_MS, now_ms).await?;
    let in_probe: usize = probe.iter().map(|series| series.samples.len()).sum();
    let per_hour = begun.elapsed();
    let window_ms = objective.window.bounds(now).length_ms();
    // Reading and counting an hour again for each hour of the window, with a third to spare.
    let affordable = time.as_millis().saturating_mul(2) / 3 / per_hour.as_millis().max(1);
    let affordable_ms = i64::try_from(affordable)
        .unwrap_or(i64::MAX)
        .saturating_mul(PROBE_MS);
    let read_ms = window_ms.min(affordable_ms.max(PROBE_MS));
    let page_ms = page_ms(in_probe);
    let settings = Settings {
        scrape_interval_ms: interval_ms(&probe),
        ..Settings::default()
    };
    drop(probe);
    let Ok(catalog) = SloCatalog::new(vec![indicator.clone()], vec![objective.clone()]) else {
        return Ok(None);
    };
    let from_ms = now_ms - read_ms;
    let start = Timestamp::from_millisecond(from_ms).unwrap_or(now);
    let mut engine = SloEngine::new(catalog, settings, start);
    let mut first_ms: Option<i64> = None;
    let (mut at_ms, mut length_ms, mut position) = (from_ms, page_ms, 0);
    let mut told = Instant::now();
    while at_ms < now_ms {
        let to_ms = at_ms.saturating_add(length_ms).min(now_ms);
        let series = match read(client, dialect, &selectors, at_ms, to_ms).await {
            Err(RemoteError::TooLarge { .. }) if length_ms > PAGE_MIN_MS => {
                length_ms /= 2;
                continue;
            }
            other => other?,
        };
        let samples = in_order(&series);
        first_ms = first_ms.or(samples.first().map(|(t_ms, ..)| *t_ms));
        position += 1;
        let raw = samples.iter().map(|(t_ms, labels, value)| RawSample {
            labels,
            t_ms: *t_ms,
            value: *value,
            created_ms: None,
        });
        engine.on_samples(position, raw);
        engine.evaluate(Timestamp::from_millisecond(to_ms).unwrap_or(now));
        at_ms = to_ms;
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            let done = (at_ms - from_ms) * 100 / read_ms.max(1);
            pace.say(&format!(
                "{}: {done} % of {} read",
                objective.id,
                super::days_ms(read_ms)
            ));
        }
        if pace.is_over() {
            pace.say(&format!("{}: no time is left: it is not counted", objective.id));
            return Ok(None);
        }
    }
    let samples = engine.ingested().counted;
    let status = engine.status(&objective.id, &Labels::new(), now);
    Ok(status.map(|status| Counted {
        status,
        from_ms,
        first_ms,
        samples,
    }))
}

/// The selectors that an indicator needs; one whose series another one selects too is not asked for.
fn needed(indicator: &SliDefinition) -> Vec<&Selector> {
    let all: Vec<&Selector> = indicator.selectors().collect();
    let covers = |wide: &Selector, narrow: &Selector| {
        wide.metric == narrow.metric
            && wide
                .matchers
                .iter()
                .all(|matcher| narrow.matchers.contains(matcher))
    };
    let mut needed: Vec<&Selector> = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let covered = all.iter().enumerate().any(|(other, wide)| {
            let first_of_equals = !covers(one, wide) || other < index;
            other != index && covers(wide, one) && first_of_equals
        });
        if !covered {
            needed.push(one);
        }
    }
    needed
}

async fn read(
    client: &Client,
    dialect: Dialect,
    selectors: &[&Selector],
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Series>, RemoteError> {
    let mut found = Vec::new();
    for selector in selectors {
        found.extend(
            client
                .raw(&selector.to_matchers(), from_ms, to_ms, dialect)
                .await?,
        );
    }
    Ok(found)
}

fn in_order(series: &[Series]) -> Vec<(i64, &Labels, f64)> {
    let of_one = |one: &'_ Series| one.samples.len();
    let mut samples = Vec::with_capacity(series.iter().map(of_one).sum());
    for one in series {
        samples.extend(
            one.samples
                .iter()
                .map(|(t_ms, value)| (*t_ms, &*one.labels, *value)),
        );
    }
    samples.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    samples
}

/// How often samples come: the middle of the distances between them.
fn interval_ms(series: &[Series]) -> i64 {
    let of_one = |one: &Series| {
        let times = one.samples.iter().map(|(t_ms, _)| *t_ms);
        times
            .clone()
            .zip(times.skip(1))
            .map(|(a, b)| b - a)
            .collect::<Vec<i64>>()
    };
    let mut distances: Vec<i64> = series.iter().flat_map(of_one).collect();
    distances.sort_unstable();
    let middle = distances.get(distances.len() / 2).copied();
    middle.map_or(Settings::default().scrape_interval_ms, |middle| {
        middle.max(INTERVAL_MIN_MS)
    })
}

fn page_ms(in_probe: usize) -> i64 {
    let hours = PAGE_SAMPLES / u64::try_from(in_probe).unwrap_or(u64::MAX).max(1);
    let ms = i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(PROBE_MS);
    ms.clamp(PROBE_MS / 4, PAGE_MAX_MS)
}

#[cfg(test)]
mod tests {
    use mainstay_slo::selector::parse_event_count;
    use mainstay_slo::sli::{Counters, Events, Marked};

    use super::*;

    #[test]
    fn what_is_among_all_is_asked_for_once() {
        let asked = |marked: &str, total: &str| {
            let selectors = |query: &str| parse_event_count(query).expect("a count").selectors;
            let indicator = SliDefinition {
                name: "x".to_owned(),
                events: Events::Counters(Counters {
                    marked: Marked::Bad,
                    marked_by: selectors(marked),
                    total: selectors(total),
                }),
                group_by: Vec::new(),
                source: "instance".to_owned(),
                witness: None,
            };
            needed(&indicator)
                .into_iter()
                .map(ToString::to_string)
                .collect::<Vec<String>>()
        };
        assert_eq!(
            asked(r#"a{job="x",code=~"5.."}"#, r#"a{job="x"}"#),
            [r#"a{job="x"}"#]
        );
        assert_eq!(asked(r#"b{le="1"}"#, "c"), [r#"b{le="1"}"#, "c"]);
        assert_eq!(asked("a", "a"), ["a"]);
    }
}
