//! What Prometheus' HTTP API shows beside queries: rules, targets, the store, the program.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_kernel::Labels;

/// A group of rules and how its last evaluation went.
#[derive(Debug, Clone)]
pub struct RuleGroup {
    /// Its file.
    pub file: String,
    /// Its name, unique in the file.
    pub name: String,
    /// How often it is evaluated, in milliseconds.
    pub interval_ms: i64,
    /// How many series or alerts one rule may give; 0 is no limit.
    pub limit: usize,
    /// Its last evaluation.
    pub evaluated: Option<Evaluated>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// When something was evaluated, and how long that took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluated {
    /// When.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub took_s: f64,
}

/// A rule and how its last evaluation went.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name of the series or of the alert.
    pub name: String,
    /// Its expression, as PromQL prints it.
    pub query: String,
    /// The labels that it adds, as written.
    pub labels: Labels,
    /// Its last evaluation.
    pub evaluated: Option<Evaluated>,
    /// Why that failed, if it did.
    pub last_error: Option<String>,
    /// What an alerting rule has; a recording rule has none.
    pub alerting: Option<Alerting>,
}

/// What only alerting rules have.
#[derive(Debug, Clone)]
pub struct Alerting {
    /// How long the expression must hold before an alert fires, in milliseconds.
    pub for_ms: i64,
    /// How long an alert keeps firing after that, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// Its texts, as written.
    pub annotations: Labels,
    /// Its alerts that are pending or fire.
    pub alerts: Vec<RuleAlert>,
}

/// An alert of a rule.
#[derive(Debug, Clone)]
pub struct RuleAlert {
    /// Its labels.
    pub labels: Labels,
    /// Its texts.
    pub annotations: Labels,
    /// Whether it fires; else it is pending.
    pub firing: bool,
    /// Since when the expression holds.
    pub active_at: Timestamp,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<Timestamp>,
    /// The value of the expression when it last held.
    pub value: f64,
}

/// What is scraped, and what is not.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// What is scraped, in order of job and address.
    pub active: Vec<ScrapedTarget>,
    /// What relabelling dropped, by the name of the configuration: every one that scrapes, in order.
    pub dropped: BTreeMap<String, DroppedTargets>,
}

/// What relabelling dropped of one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DroppedTargets {
    /// How many.
    pub count: usize,
    /// What was known of them, of as many as are remembered.
    pub discovered: Vec<Labels>,
}

/// A target that is scraped.
#[derive(Debug, Clone)]
pub struct ScrapedTarget {
    /// What was known of it before any processing.
    pub discovered: Labels,
    /// The labels of everything scraped there.
    pub labels: Labels,
    /// Its `job`.
    pub job: String,
    /// The name of the configuration that scrapes it.
    pub pool: String,
    /// Where.
    pub url: String,
    /// How often, in milliseconds.
    pub interval_ms: i64,
    /// How long a scrape may take, in milliseconds.
    pub timeout_ms: i64,
    /// The last scrape.
    pub last: Option<LastScrape>,
}

/// How the last scrape of a target went.
#[derive(Debug, Clone, PartialEq)]
pub struct LastScrape {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// How many series there are.
    pub series: usize,
    /// How many different label pairs they have.
    pub label_pairs: usize,
    /// The metrics with the most series.
    pub series_by_metric: Vec<(String, usize)>,
    /// The labels with the most values.
    pub values_by_label: Vec<(String, usize)>,
    /// The labels whose values take the most bytes.
    pub bytes_by_label: Vec<(String, usize)>,
    /// The pairs of label and value, `name=value`, that the most series have.
    pub series_by_pair: Vec<(String, usize)>,
}

/// How the program runs.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// When it started.
    pub started_at: Timestamp,
    /// Its working directory.
    pub directory: String,
    /// How long samples are kept, in milliseconds.
    pub retention_ms: i64,
    /// How many threads evaluate.
    pub threads: usize,
    /// Its options, as given or by default.
    pub flags: Arc<Vec<(String, String)>>,
    /// What is scraped and judged, in the form of a Prometheus configuration, without secrets.
    pub configuration: String,
}

/// What a target or a sender said about a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricMetadata {
    /// The metric's family.
    pub metric: String,
    /// The labels of the target; none if it was sent.
    pub target: Labels,
    /// What it is: `counter`, `gauge`, `histogram`, `summary`, `unknown`…
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Its unit.
    pub unit: String,
}
