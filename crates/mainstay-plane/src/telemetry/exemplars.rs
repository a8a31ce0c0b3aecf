//! Exemplars: of every kind of thing counted a few, with the trace that tells its story. As in Prometheus they are in
//! memory only, the newest of all series, and what is older or the same as a series' newest one is no news.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use mainstay_ingest::{Exemplar, SeriesSample};
use mainstay_kernel::{Labels, Matcher};

use super::Telemetry;

/// How many exemplars are kept of all series, Prometheus' default: at most about 100 MB.
const EXEMPLARS_MAX: usize = 100_000;
/// The most characters of an exemplar's labels, as OpenMetrics demands.
const LABEL_CHARS_MAX: usize = 128;

/// The exemplars of samples, taken out of them.
pub(super) fn examples(samples: &mut [SeriesSample]) -> impl Iterator<Item = (Arc<Labels>, Exemplar, i64)> {
    samples.iter_mut().flat_map(|sample| {
        let (labels, t_ms) = (&sample.labels, sample.t_ms);
        let exemplars = std::mem::take(&mut sample.exemplars).into_iter();
        exemplars.map(move |exemplar| (Arc::clone(labels), exemplar, t_ms))
    })
}

/// The exemplars of one series, in order of time.
pub type SeriesExemplars = (Arc<Labels>, Vec<StoredExemplar>);

/// An exemplar that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredExemplar {
    /// Its labels: `trace_id` and the like.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its time in milliseconds since 1970: that of its sample, if it came with none of its own.
    pub t_ms: i64,
}

/// The newest exemplars of all series.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    series: BTreeMap<Arc<Labels>, VecDeque<StoredExemplar>>,
    /// Whose each of them is, in order of arrival: of each series the oldest came first.
    arrivals: VecDeque<Arc<Labels>>,
}

impl Exemplars {
    /// Keeps an exemplar of a sample at `sample_ms`; says whether it is kept, now or before. O(log series).
    fn add(&mut self, series: &Arc<Labels>, exemplar: Exemplar, sample_ms: i64, max: usize) -> bool {
        let pairs = exemplar.labels.iter();
        let chars: usize = pairs
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum();
        if chars > LABEL_CHARS_MAX {
            return false;
        }
        let Exemplar { labels, value, t_ms } = exemplar;
        let (has_time, t_ms) = (t_ms.is_some(), t_ms.unwrap_or(sample_ms));
        let known = self.series.get_key_value(series);
        if let Some(newest) = known.and_then(|(_, exemplars)| exemplars.back()) {
            let same = newest.labels == labels && newest.value.to_bits() == value.to_bits();
            // Exposed without a time it is exposed again and again.
            if same && (!has_time || t_ms == newest.t_ms) {
                return true;
            }
            if t_ms < newest.t_ms {
                return false;
            }
        }
        let series = known.map_or(series, |(series, _)| series);
        let series = Arc::clone(series);
        self.arrivals.push_back(Arc::clone(&series));
        let stored = StoredExemplar { labels, value, t_ms };
        self.series.entry(series).or_default().push_back(stored);
        while self.arrivals.len() > max {
            self.drop_oldest();
        }
        true
    }

    fn drop_oldest(&mut self) {
        let Some(series) = self.arrivals.pop_front() else {
            return;
        };
        if let Some(exemplars) = self.series.get_mut(&series) {
            exemplars.pop_front();
            if exemplars.is_empty() {
                self.series.remove(&series);
            }
        }
    }

    /// Those of the series that at least one selector means, from one time to another, both included. O(series + found).
    fn select(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Vec<SeriesExemplars> {
        let of_series = |(labels, exemplars): (&Arc<Labels>, &VecDeque<StoredExemplar>)| {
            let within = exemplars
                .iter()
                .filter(|exemplar| (start_ms..=end_ms).contains(&exemplar.t_ms));
            let within: Vec<StoredExemplar> = within.cloned().collect();
            (!within.is_empty()).then(|| (Arc::clone(labels), within))
        };
        let meant = self
            .series
            .iter()
            .filter(|(labels, _)| is_meant(labels, selectors));
        meant.filter_map(of_series).collect()
    }

    /// Drops those that [`Exemplars::select`] gives. O(all).
    fn erase(&mut self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) {
        let mut stay: BTreeMap<Arc<Labels>, VecDeque<bool>> = BTreeMap::new();
        for (labels, exemplars) in &mut self.series {
            if is_meant(labels, selectors) {
                let stays = |exemplar: &StoredExemplar| !(start_ms..=end_ms).contains(&exemplar.t_ms);
                stay.insert(Arc::clone(labels), exemplars.iter().map(stays).collect());
                exemplars.retain(stays);
            }
        }
        self.series.retain(|_, exemplars| !exemplars.is_empty());
        self.arrivals.retain(|series| {
            let stays = stay.get_mut(series).and_then(VecDeque::pop_front);
            stays.unwrap_or(true)
        });
    }
}

fn is_meant(labels: &Labels, selectors: &[Vec<Matcher>]) -> bool {
    let mut selectors = selectors.iter();
    selectors.any(|matchers| matchers.iter().all(|matcher| matcher.matches(labels)))
}

impl Telemetry {
    pub(super) fn erase_exemplars(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) {
        self.kept_exemplars().erase(selectors, start_ms, end_ms);
    }

    fn kept_exemplars(&self) -> MutexGuard<'_, Exemplars> {
        self.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps exemplars, each with the labels of its series and the time of its sample; gives how many are kept.
    pub(super) fn note_exemplars(
        &self,
        exemplars: impl Iterator<Item = (Arc<Labels>, Exemplar, i64)>,
    ) -> u64 {
        let mut exemplars = exemplars.peekable();
        if exemplars.peek().is_none() {
            return 0;
        }
        let mut kept = self.kept_exemplars();
        exemplars
            .map(|(series, exemplar, t_ms)| u64::from(kept.add(&series, exemplar, t_ms, EXEMPLARS_MAX)))
            .sum()
    }

    /// The exemplars that are kept of the series that at least one selector means, from one time to another, both
    /// included; in order of series and time.
    #[must_use]
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Vec<SeriesExemplars> {
        self.kept_exemplars().select(selectors, start_ms, end_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Arc<Labels> {
        Arc::new(Labels::from_iter([("__name__", name)]))
    }

    fn exemplar(trace: &str, value: f64, t_ms: Option<i64>) -> Exemplar {
        Exemplar {
            labels: Labels::from_iter([("trace_id", trace)]),
            value,
            t_ms,
        }
    }

    fn times(found: &[SeriesExemplars]) -> Vec<(&str, Vec<i64>)> {
        let times = |exemplars: &[StoredExemplar]| exemplars.iter().map(|exemplar| exemplar.t_ms).collect();
        found
            .iter()
            .map(|(labels, exemplars)| (labels.metric_name(), times(exemplars)))
            .collect()
    }

    #[test]
    fn what_is_deleted_goes_and_the_others_keep_their_turn() {
        let mut kept = Exemplars::default();
        for t_ms in 1..=6 {
            let of = if t_ms % 2 == 0 { "a" } else { "b" };
            assert!(kept.add(&series(of), exemplar("x", t_ms as f64, Some(t_ms)), 0, 6));
        }
        kept.erase(&[vec![Matcher::equal("__name__", "a")]], 2, 4);
        let all = [Vec::new()];
        assert_eq!(
            times(&kept.select(&all, 0, 9)),
            [("a", vec![6]), ("b", vec![1, 3, 5])]
        );
        // There are four: the next that comes drives out the oldest that is left.
        assert!(kept.add(&series("a"), exemplar("x", 7.0, Some(7)), 0, 4));
        assert_eq!(
            times(&kept.select(&all, 0, 9)),
            [("a", vec![6, 7]), ("b", vec![3, 5])]
        );
    }

    #[test]
    fn the_newest_of_all_series_stay() {
        let mut kept = Exemplars::default();
        for t_ms in 1..=4 {
            assert!(kept.add(&series("a"), exemplar("x", 1.0, Some(t_ms)), 0, 4));
        }
        for t_ms in 1..=2 {
            assert!(kept.add(&series("b"), exemplar("x", 1.0, Some(t_ms)), 0, 4));
        }
        let all = kept.select(&[Vec::new()], i64::MIN, i64::MAX);
        assert_eq!(times(&all), [("a", vec![3, 4]), ("b", vec![1, 2])]);
        let some = kept.select(&[Vec::new()], 2, 3);
        assert_eq!(times(&some), [("a", vec![3]), ("b", vec![2])]);
        for t_ms in 3..=6 {
            kept.add(&series("b"), exemplar("x", 1.0, Some(t_ms)), 0, 4);
        }
        assert_eq!((kept.series.len(), kept.arrivals.len()), (1, 4));
    }

    #[test]
    fn what_is_no_news_is_not_kept_twice() {
        let mut kept = Exemplars::default();
        let a = series("a");
        let mut add = |exemplar, sample_ms| kept.add(&a, exemplar, sample_ms, 10);
        assert!(add(exemplar("x", 1.0, None), 10));
        // Exposed again by the next scrape.
        assert!(add(exemplar("x", 1.0, None), 20));
        assert!(add(exemplar("y", 1.0, Some(30)), 20));
        assert!(add(exemplar("y", 1.0, Some(30)), 40));
        assert!(!add(exemplar("z", 1.0, Some(29)), 40), "it is older");
        assert!(!add(exemplar(&"long".repeat(40), 1.0, Some(50)), 50));
        let all = kept.select(&[Vec::new()], i64::MIN, i64::MAX);
        assert_eq!(times(&all), [("a", vec![10, 30])]);
    }
}
