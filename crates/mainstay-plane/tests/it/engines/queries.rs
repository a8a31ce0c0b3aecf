//! Queries mean the same on every engine, or the dialect says why not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_plane::telemetry::StoreSamples;
use mainstay_plane::telemetry::remote::RemoteSamples;
use mainstay_promql::ast::ValueType;
use mainstay_promql::dialect::{Dialect, Effect, Rule, differences};
use mainstay_promql::function::FUNCTIONS;
use mainstay_promql::{Limits, Samples, Value, VectorSample, parse};
use mainstay_remote::query::Client;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::data::{self, END_MS, STEP_MS};
use super::peer::{Kind, Peer};

#[derive(Deserialize)]
struct Published {
    test_cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    #[serde(default)]
    variant_args: Vec<String>,
    #[serde(default)]
    should_fail: bool,
}

/// The values that the tester of the published queries puts in for a variable.
fn variants(name: &str) -> &'static [&'static str] {
    match name {
        "range" => &["1s", "15s", "1m", "5m", "15m", "1h"],
        "offset" => &["1m", "5m", "10m"],
        "instance" => &["demo.promlabs.com:10000"],
        "simpleAggrOp" => &["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
        "simpleTimeAggrOp" => &[
            "sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last",
        ],
        "topBottomOp" => &["topk", "bottomk"],
        "quantile" => &["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
        "arithBinOp" => &["+", "-", "*", "/", "%", "^"],
        "compBinOp" => &["==", "!=", "<", ">", "<=", ">="],
        "binOp" => &["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="],
        "simpleMathFunc" => &[
            "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round",
        ],
        "extrapolatedRateFunc" => &["delta", "rate", "increase"],
        "clampFunc" => &["clamp_min", "clamp_max"],
        "instantRateFunc" => &["idelta", "irate"],
        "dateFunc" => &[
            "day_of_month",
            "day_of_week",
            "days_in_month",
            "hour",
            "minute",
            "month",
            "year",
        ],
        other => panic!("an unknown variable {other}"),
    }
}

/// A query, and whether every engine should refuse it.
fn published() -> Option<Vec<(String, bool)>> {
    let text =
        std::fs::read_to_string(conformance()?.join("promql/compliance-queries.yml")).expect("queries");
    let published: Published = serde_saphyr::from_str(&text).expect("they are YAML");
    let mut queries = Vec::new();
    for case in published.test_cases {
        let mut texts = vec![case.query];
        for name in &case.variant_args {
            let variable = format!("{{{{.{name}}}}}");
            texts = texts
                .iter()
                .flat_map(|text| variants(name).iter().map(|value| text.replace(&variable, value)))
                .collect();
        }
        queries.extend(texts.into_iter().map(|text| (text, case.should_fail)));
    }
    Some(queries)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the published data is"
)]
fn conformance() -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    if root.is_dir() {
        return Some(root);
    }
    let required = std::env::var("MAINSTAY_CONFORMANCE_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "no conformance data at {}", root.display());
    eprintln!("skipped: no conformance data at {}", root.display());
    None
}

/// What the published queries leave out: staleness, gaps, subqueries without a resolution, names.
const OURS: &[&str] = &[
    "demo_ended_total",
    "demo_gappy_total",
    "count(demo_ended_total)",
    "absent(demo_ended_total)",
    "count_over_time(demo_intermittent_metric[10m])",
    "present_over_time(demo_ended_total[2m])",
    "rate(demo_gappy_total[10m])",
    "increase(demo_ended_total[3m])",
    "sum by (mode) (irate(demo_cpu_usage_seconds_total[1m]))",
    "sum(rate(demo_api_request_duration_seconds_count[5m])) / sum(rate(demo_api_request_duration_seconds_sum[5m]))",
    "max_over_time(demo_num_cpus[10m:])",
    "sum_over_time(demo_num_cpus[10m:])",
    "quantile_over_time(0.5, demo_gappy_total[30m:1m])",
    "sum by (__name__) (rate({__name__=~\"demo_(cpu|disk)_usage_.+\"}[5m]))",
    "rate({__name__=~\"demo_(ended|gappy)_total\"}[5m])",
    "label_replace(rate(demo_gappy_total[5m]), \"was\", \"$1\", \"__name__\", \"(.+)\")",
    "demo_memory_usage_bytes @ 1736938000 - demo_memory_usage_bytes offset 2m",
    "topk(2, demo_memory_usage_bytes) by (type)",
    "bottomk by (instance) (1, max_over_time(demo_memory_usage_bytes[1m]))",
    "demo_num_cpus / (demo_num_cpus - 4)",
    "(demo_num_cpus - 4) / (demo_num_cpus - 4)",
    "demo_num_cpus - 4 > 0 or demo_num_cpus * 2",
    "demo_memory_usage_bytes and on (instance) demo_num_cpus == 4",
    "demo_memory_usage_bytes unless on (instance) demo_num_cpus{instance=~\".*10000\"}",
    "group by (job) (demo_num_cpus)",
    "count_values by (job) (\"cpus\", demo_num_cpus)",
    "stddev by (type) (demo_memory_usage_bytes)",
    "histogram_quantile(0.9, sum by (le) (rate(demo_api_request_duration_seconds_bucket[5m])))",
    "sum(demo_num_cpus) by (job) * on (job) group_right demo_disk_usage_bytes",
    "scalar(demo_num_cpus{instance=\"demo.promlabs.com:10000\"}) + 1",
    "scalar(demo_num_cpus)",
    "clamp_max(time() - demo_batch_last_success_timestamp_seconds, 100)",
    "day_of_year(demo_batch_last_success_timestamp_seconds)",
    "sgn(demo_num_cpus - 5) + pi()",
    "demo_num_cpus ^ 0.5 % 2",
    "demo_num_cpus atan2 demo_num_cpus",
    "limitk(1, demo_num_cpus)",
    "demo_cpu_usage_seconds_total[5m + 1m]",
    "demo_num_cpus + fill(0) demo_ended_total",
    "rate(demo_cpu_usage_seconds_total[5m] anchored)",
    "info(demo_num_cpus)",
    "holt_winters(demo_disk_usage_bytes[5m], 0.5, 0.5)",
    "double_exponential_smoothing(demo_disk_usage_bytes[5m], 0.5, 0.5)",
    "{\"demo.cpu\"}",
    "demo_num_cpus{\"http.path\"=\"\"}",
    "histogram_quantile(0.9, demo_api_request_duration_seconds_bucket)",
    "demo_cpu_usage_seconds_total[20s]",
    "demo_cpu_usage_seconds_total[1m:20s]",
];

/// When an answer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Scrapes of one instance stand on the edges of windows.
    OnAScrape,
    /// No scrape stands on any edge.
    BetweenScrapes,
    /// A range of ten minutes whose steps are on scrapes.
    Range,
}

impl When {
    const ALL: [Self; 3] = [Self::OnAScrape, Self::BetweenScrapes, Self::Range];
    const STEP_MS: i64 = 2 * STEP_MS;

    fn at_ms(self) -> i64 {
        match self {
            Self::OnAScrape | Self::Range => END_MS,
            Self::BetweenScrapes => END_MS + 700,
        }
    }

    fn ours(self, query: &str, samples: &dyn Samples) -> Result<Value, String> {
        let expr = parse(query).map_err(|error| error.to_string())?;
        let (at_ms, limits) = (self.at_ms(), Limits::default());
        let outcome = match self {
            Self::Range => {
                mainstay_promql::range(&expr, at_ms - 600_000, at_ms, Self::STEP_MS, samples, &limits)
            }
            _ => mainstay_promql::instant(&expr, at_ms, samples, &limits),
        };
        outcome
            .map(|outcome| outcome.value)
            .map_err(|error| error.to_string())
    }

    async fn theirs(self, query: &str, client: &Client) -> Result<Value, String> {
        let at_ms = self.at_ms();
        let answer = match self {
            Self::Range => client.range(query, at_ms - 600_000, at_ms, Self::STEP_MS).await,
            _ => client.instant(query, at_ms).await,
        };
        answer
            .map(|answer| answer.value)
            .map_err(|error| error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_mean_the_same_or_the_dialect_says_why_not() {
    let Some(published) = published() else { return };
    assert_eq!(published.len(), 539);
    let place = tempfile::tempdir().expect("a directory");
    let (store, count) = data::store(place.path());
    let ours = StoreSamples::new(Arc::clone(&store));
    // Every published query in the full tier, every third one else.
    let full = is_full();
    let mut queries: Vec<(String, bool)> = published.into_iter().step_by(if full { 1 } else { 3 }).collect();
    queries.extend(OURS.iter().map(|query| ((*query).to_owned(), false)));
    for kind in Kind::ALL {
        let Some(peer) = Peer::start(kind).await else {
            continue;
        };
        peer.take_all_of(&store, place.path(), count).await;
        let client = peer.client();
        let theirs = RemoteSamples::new(peer.client(), kind.dialect(), Handle::current());
        let mut unexplained = Vec::new();
        let mut witnessed: BTreeMap<Rule, usize> = BTreeMap::new();
        let (mut same, mut other) = (0, 0);
        for (query, should_fail) in &queries {
            for when in When::ALL {
                let wanted = when.ours(query, &ours);
                if when != When::Range {
                    // Our evaluator over their samples.
                    let over_theirs = when.ours(query, &theirs);
                    let missing = compare(&wanted, &over_theirs);
                    let names = rules(query, kind.dialect(), when).contains(&Rule::AsciiNames);
                    if !missing.is_empty() && !names {
                        unexplained.push(format!("{when:?} over raw samples {query}: {missing:?}"));
                    }
                }
                let found = compare(&wanted, &when.theirs(query, &client).await);
                if found.is_empty() {
                    same += 1;
                    continue;
                }
                other += 1;
                let rules = rules(query, kind.dialect(), when);
                for (effect, example) in found {
                    let able: Vec<Rule> = rules
                        .iter()
                        .copied()
                        .filter(|rule| rule.effects().contains(&effect))
                        .collect();
                    match &able[..] {
                        [] if is_laxer(kind, query, *should_fail, when, effect) => {}
                        [] => unexplained.push(format!("{when:?} {query}: {effect:?} {example}")),
                        [only] => *witnessed.entry(*only).or_default() += 1,
                        _ => {}
                    }
                }
            }
        }
        println!("{kind:?}: {same} answers are the same, {other} differ as the dialect says: {witnessed:?}");
        if full {
            // Of each rule there is an answer that nothing else explains.
            let seen = |rule: &&Rule| witnessed.contains_key(*rule);
            let without: Vec<&Rule> = witnesses(kind).iter().filter(|rule| !seen(rule)).collect();
            assert!(without.is_empty(), "{kind:?}: {without:?}");
        }
        assert!(
            unexplained.is_empty(),
            "{kind:?}: {} unexplained\n{}",
            unexplained.len(),
            unexplained.join("\n")
        );
    }
}

/// The rules that the queries must show to be true.
fn witnesses(kind: Kind) -> &'static [Rule] {
    use Rule::{
        AsciiNames, ClampReversed, ClosedWindow, HistogramRepair, KeepsName, NameRemovedAtOnce,
        NoExtrapolation, NoNan, OtherChoice, SampleBeforeWindow, SeriesLimit, ShortLookback, SubqueryStep,
        TimestampOfComputed, UnknownFunction, UnknownSyntax, VectorForScalar,
    };
    match kind {
        Kind::Prometheus => &[
            ClosedWindow,
            UnknownFunction,
            UnknownSyntax,
            AsciiNames,
            NameRemovedAtOnce,
            KeepsName,
        ],
        Kind::VictoriaMetrics => &[
            UnknownFunction,
            UnknownSyntax,
            AsciiNames,
            NameRemovedAtOnce,
            NoExtrapolation,
            SampleBeforeWindow,
            KeepsName,
            NoNan,
            VectorForScalar,
            TimestampOfComputed,
            ShortLookback,
            ClampReversed,
            HistogramRepair,
            SubqueryStep,
            SeriesLimit,
            OtherChoice,
        ],
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how much to run"
)]
fn is_full() -> bool {
    std::env::var("MAINSTAY_FULL").is_ok_and(|value| value == "1")
}

/// The differences that can show in this query at this time.
fn rules(query: &str, dialect: Dialect, when: When) -> BTreeSet<Rule> {
    let Ok(expr) = parse(query) else {
        return BTreeSet::new();
    };
    // The steps of a subquery stand on full seconds whenever it is asked.
    let on_an_edge = when != When::BetweenScrapes || query.contains(':');
    differences(&expr, dialect)
        .into_iter()
        .map(|difference| difference.rule)
        .filter(|rule| *rule != Rule::ClosedWindow || on_an_edge)
        .filter(|rule| !rule.is_of_ranges() || when == When::Range)
        .collect()
}

/// Queries that are none here, or that fail here as they should, and are answered there.
fn is_laxer(kind: Kind, query: &str, should_fail: bool, when: When, effect: Effect) -> bool {
    let is_victoria = kind == Kind::VictoriaMetrics;
    let fails_here = match parse(query) {
        Err(_) => true,
        Ok(expr) => is_victoria && when == When::Range && expr.value_type() == ValueType::Matrix,
    };
    effect == Effect::Extra && (fails_here || should_fail && is_victoria)
}

/// Every function is known there, or said not to be.
#[tokio::test]
async fn functions_are_known_or_said_not_to_be() {
    for kind in Kind::ALL {
        let Some(peer) = Peer::start(kind).await else {
            continue;
        };
        for function in FUNCTIONS {
            let argument = |index: usize| match function.argument(index) {
                ValueType::Scalar => "0.5",
                ValueType::String => "\"a\"",
                ValueType::Vector => "x",
                ValueType::Matrix => "x[5m]",
            };
            let call = |count: usize| {
                let arguments: Vec<&str> = (0..count).map(argument).collect();
                format!("{}({})", function.name, arguments.join(", "))
            };
            // With every argument, unless that takes a special one.
            let mut calls = (0..=function.args.len()).rev().map(call);
            let query = calls.find(|query| parse(query).is_ok()).expect("a call");
            let refused = peer.client().instant(&query, END_MS).await.is_err();
            let said = rules(&query, kind.dialect(), When::OnAScrape).contains(&Rule::UnknownFunction);
            assert_eq!(refused, said, "{kind:?} {query}");
        }
    }
}

/// How two answers differ, with an example of each kind.
fn compare(ours: &Result<Value, String>, theirs: &Result<Value, String>) -> BTreeMap<Effect, String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return BTreeMap::new(),
        (Ok(_), Err(error)) => return BTreeMap::from([(Effect::Refused, error.clone())]),
        (Err(error), Ok(_)) => return BTreeMap::from([(Effect::Extra, format!("refused here: {error}"))]),
    };
    let mut effects = BTreeMap::new();
    if ours.value_type() != theirs.value_type() {
        effects.insert(Effect::Type, format!("{} there", theirs.value_type()));
    }
    let (mut here, mut there) = (points(ours, true), points(theirs, true));
    if !here.keys().eq(there.keys()) {
        let (bare_here, bare_there) = (points(ours, false), points(theirs, false));
        let distinct = bare_here.len() == here.len() && bare_there.len() == there.len();
        let common = |a: &Points, b: &Points| a.keys().filter(|key| b.contains_key(*key)).count();
        if distinct && common(&bare_here, &bare_there) > common(&here, &there) {
            effects.insert(Effect::Name, "a name more or less".to_owned());
            (here, there) = (bare_here, bare_there);
        }
    }
    for (key, value) in &here {
        let effect = match there.get(key) {
            None if value.is_nan() => Effect::MissingNan,
            None => Effect::Missing,
            Some(other) if same(*value, *other) => continue,
            Some(_) => Effect::Value,
        };
        effects
            .entry(effect)
            .or_insert_with(|| format!("{key:?}: {value} here, {:?} there", there.get(key)));
    }
    if let Some(extra) = there.iter().find(|(key, _)| !here.contains_key(*key)) {
        effects.insert(Effect::Extra, format!("{extra:?}"));
    }
    effects
}

/// Values by series and time.
type Points = BTreeMap<(String, i64), f64>;

fn points(value: &Value, named: bool) -> Points {
    let name = |labels: &Labels| {
        let shown = labels.filtered(|name| named || name != "__name__");
        shown.to_string()
    };
    match value {
        // Times of scalars are not shown; a vector of one is what MetricsQL makes of them.
        Value::Scalar(value) => BTreeMap::from([(("{}".to_owned(), 0), *value)]),
        Value::String(text) => BTreeMap::from([((text.clone(), 0), 0.0)]),
        Value::Vector(samples) => {
            let one = |sample: &VectorSample| Some(((name(&sample.labels), 0), sample.value.float()?));
            samples.iter().filter_map(one).collect()
        }
        Value::Matrix(series) => series
            .iter()
            .flat_map(|series| {
                let name = name(&series.labels);
                series
                    .samples
                    .iter()
                    .map(move |(at_ms, value)| ((name.clone(), *at_ms), *value))
            })
            .collect(),
    }
}

/// Equal, or as near as sums in another order come.
fn same(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
