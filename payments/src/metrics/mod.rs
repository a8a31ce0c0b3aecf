//! A small metrics registry: counters, gauges and histograms with labels, in the Prometheus text format and OpenMetrics.
//!
//! Series can be declared at 0 before anything happens ([`Counters::with`] declares), and every series knows when it
//! was created: OpenMetrics shows it as `_created`, so that a reader can count from the first increment on.

mod render;

pub use render::Format;

use crate::clock;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Most series one family holds. What comes after is counted in `metrics_series_refused_total`, not shown.
pub const MAX_SERIES: usize = 10_000;

/// Upper bounds of the request-duration histograms, in seconds.
pub const DURATION_BUCKETS_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    label_names: &'static [&'static str],
    bounds: &'static [f64],
    series: RwLock<BTreeMap<Vec<String>, Arc<Series>>>,
}

#[derive(Debug)]
struct Series {
    created_ms: i64,
    /// Counter: the count. Gauge: the bits of an `f64`. Histogram: the bits of the sum.
    value: AtomicU64,
    /// Histogram only: observations per bucket, not cumulative, the last one is +Inf.
    buckets: Vec<AtomicU64>,
}

impl Family {
    fn series(&self, labels: &[&str]) -> Arc<Series> {
        debug_assert_eq!(labels.len(), self.label_names.len(), "labels of {}", self.name);
        let key: Vec<String> = labels.iter().map(|&l| l.to_owned()).collect();
        if let Some(series) = self
            .series
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Arc::clone(series);
        }
        let buckets = if self.kind == Kind::Histogram {
            self.bounds.len() + 1
        } else {
            0
        };
        let new = || {
            Arc::new(Series {
                created_ms: clock::unix_ms(),
                value: AtomicU64::new(0),
                buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            })
        };
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_SERIES {
            return new();
        }
        Arc::clone(all.entry(key).or_insert_with(new))
    }
}

/// A family of counters.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Family>);

/// One counter.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Series>);

impl Counters {
    /// The counter with these label values; declared at 0 when it is new.
    pub fn with(&self, labels: &[&str]) -> Counter {
        Counter(self.0.series(labels))
    }
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.value.fetch_add(1, Ordering::Relaxed);
    }
}

/// A family of gauges.
#[derive(Clone, Debug)]
pub struct Gauges(Arc<Family>);

/// One gauge.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Series>);

impl Gauges {
    /// The gauge with these label values; declared at 0 when it is new.
    pub fn with(&self, labels: &[&str]) -> Gauge {
        Gauge(self.0.series(labels))
    }
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.value.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A family of histograms.
#[derive(Clone, Debug)]
pub struct Histograms(Arc<Family>);

/// One histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    series: Arc<Series>,
    bounds: &'static [f64],
}

impl Histograms {
    /// The histogram with these label values; declared empty when it is new.
    pub fn with(&self, labels: &[&str]) -> Histogram {
        Histogram {
            series: self.0.series(labels),
            bounds: self.0.bounds,
        }
    }
}

impl Histogram {
    /// Adds one observation.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.series.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |bits: u64| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self
            .series
            .value
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

type Collector = Box<dyn Fn() + Send + Sync>;

/// All families of one process.
#[derive(Default)]
pub struct Registry {
    families: Mutex<Vec<Arc<Family>>>,
    collectors: Mutex<Vec<Collector>>,
}

impl Registry {
    fn family(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        label_names: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Arc<Family> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = families.iter().find(|f| f.name == name) {
            return Arc::clone(known);
        }
        let family = Arc::new(Family {
            name,
            help,
            kind,
            label_names,
            bounds,
            series: RwLock::default(),
        });
        families.push(Arc::clone(&family));
        family
    }

    /// A family of counters; `name` ends in `_total`.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Counters {
        debug_assert!(name.ends_with("_total"), "{name}");
        Counters(self.family(Kind::Counter, name, help, labels, &[]))
    }

    /// A family of gauges.
    pub fn gauges(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Gauges {
        Gauges(self.family(Kind::Gauge, name, help, labels, &[]))
    }

    /// A family of histograms with these upper bounds.
    pub fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Histograms {
        Histograms(self.family(Kind::Histogram, name, help, labels, bounds))
    }

    /// Runs `collect` before every exposition, for gauges that are read rather than kept.
    pub fn on_collect(&self, collect: impl Fn() + Send + Sync + 'static) {
        self.collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(collect));
    }

    /// The exposition of everything.
    pub fn render(&self, format: Format) -> String {
        for collect in self
            .collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            collect();
        }
        let mut out = String::with_capacity(16 * 1024);
        for family in self
            .families
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            render::family(&mut out, family, format);
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_show_a_declared_series_at_zero() {
        let registry = Registry::default();
        let requests = registry.counters("http_requests_total", "Requests.", &["tenant", "status"]);
        requests.with(&["a\"b", "500"]);
        requests.with(&["acme", "200"]).increment();
        let text = registry.render(Format::Prometheus);
        assert_eq!(
            text,
            "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
             http_requests_total{tenant=\"a\\\"b\",status=\"500\"} 0\n\
             http_requests_total{tenant=\"acme\",status=\"200\"} 1\n"
        );
        let open = registry.render(Format::OpenMetrics);
        assert!(open.contains("# TYPE http_requests counter\n"), "{open}");
        assert!(
            open.contains("http_requests_created{tenant=\"acme\",status=\"200\"} "),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"), "{open}");
    }

    #[test]
    fn histogram_buckets_are_cumulative() {
        let registry = Registry::default();
        let durations = registry.histograms("d_seconds", "Durations.", &[], &[0.1, 0.5]);
        let one = durations.with(&[]);
        for seconds in [0.1, 0.2, 9.0] {
            one.observe(seconds);
        }
        let text = registry.render(Format::Prometheus);
        for line in [
            "le=\"0.1\"} 1",
            "le=\"0.5\"} 2",
            "le=\"+Inf\"} 3",
            "d_seconds_count 3",
            "d_seconds_sum 9.3",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
