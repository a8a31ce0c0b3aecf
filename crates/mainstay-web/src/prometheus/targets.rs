//! What is scraped, and what it said about its metrics.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use mainstay_kernel::Reach;
use serde_json::{Value, json};

use super::answer::{Answered, Good};
use super::given::{Given, wrong};
use super::tenant::Within;
use crate::app::App;
use crate::view::{MetricMetadata, ScrapedTarget};

pub(super) async fn targets(State(app): State<App>, given: Given) -> Answered {
    let state = given.get("state").map(str::to_lowercase);
    let state = state.as_deref().unwrap_or("any");
    let pool = given.get("scrapePool");
    let in_pool = |name: &str| pool.is_none_or(|pool| name == pool);
    let targets = app.console.targets().await?;
    let active = targets
        .active
        .iter()
        .filter(|target| matches!(state, "any" | "active") && in_pool(&target.pool))
        .filter(|target| given.reach.includes(&target.labels));
    let shows_dropped = matches!(state, "any" | "dropped");
    let dropped = targets
        .dropped
        .iter()
        .filter(|(name, _)| shows_dropped && in_pool(name))
        .flat_map(|(name, dropped)| {
            let within = dropped
                .discovered
                .iter()
                .filter(|labels| given.reach.includes(labels));
            let one = move |labels| json!({"discoveredLabels": labels, "scrapePool": name});
            within.map(one)
        });
    // As in Prometheus, of every pool, or of none. How many others have is not a tenant's to know.
    let counts = targets
        .dropped
        .iter()
        .map(|(name, dropped)| (name, dropped.count));
    let counts = (shows_dropped && given.reach == Reach::All).then(|| counts.collect::<BTreeMap<_, _>>());
    Ok(Good::data(json!({
        "activeTargets": active.map(target_json).collect::<Vec<_>>(),
        "droppedTargets": dropped.collect::<Vec<_>>(),
        "droppedTargetCounts": counts,
    })))
}

fn target_json(target: &ScrapedTarget) -> Value {
    let last = target.last.as_ref();
    let health = match last {
        None => "unknown",
        Some(last) if last.error.is_some() => "down",
        Some(_) => "up",
    };
    json!({
        "discoveredLabels": target.discovered,
        "labels": target.labels,
        "scrapePool": target.pool,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": last.and_then(|last| last.error.as_deref()).unwrap_or_default(),
        "lastScrape": last.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |last| last.at.to_string()),
        "lastScrapeDuration": last.map_or(0.0, |last| last.took_s),
        "health": health,
        "scrapeInterval": duration(target.interval_ms),
        "scrapeTimeout": duration(target.timeout_ms),
    })
}

fn duration(ms: i64) -> String {
    mainstay_promql::duration::format_ms(ms)
}

pub(super) async fn pools(State(app): State<App>, Within(reach): Within) -> Answered {
    let targets = app.console.targets().await?;
    let of_targets = targets
        .active
        .iter()
        .filter(|target| reach.includes(&target.labels));
    let mut pools: BTreeSet<&str> = of_targets.map(|target| target.pool.as_str()).collect();
    if reach == Reach::All {
        pools.extend(targets.dropped.keys().map(String::as_str));
    }
    Ok(Good::data(json!({ "scrapePools": pools })))
}

/// How many are wanted at most; `None` if all.
fn at_most(given: &Given, name: &str) -> Result<Option<usize>, crate::view::QueryError> {
    Ok(given
        .number(name)?
        .and_then(|number| usize::try_from(number).ok()))
}

pub(super) async fn metadata(State(app): State<App>, given: Given) -> Answered {
    let limit = at_most(&given, "limit")?.unwrap_or(usize::MAX);
    let per_metric = at_most(&given, "limit_per_metric")?.filter(|limit| *limit > 0);
    let wanted = given.get("metric");
    let known = app.console.metric_metadata(&given.reach).await?;
    let mut by_metric: BTreeMap<&str, BTreeSet<(&str, &str, &str)>> = BTreeMap::new();
    let known = known
        .iter()
        .filter(|known| wanted.is_none_or(|metric| known.metric == metric));
    for MetricMetadata {
        metric,
        kind,
        help,
        unit,
        ..
    } in known
    {
        by_metric.entry(metric).or_default().insert((kind, help, unit));
    }
    let of_metric = |(metric, said): (&str, BTreeSet<(&str, &str, &str)>)| {
        let said = said.into_iter().take(per_metric.unwrap_or(usize::MAX));
        let said = said.map(|(kind, help, unit)| json!({"type": kind, "help": help, "unit": unit}));
        (metric.to_owned(), said.collect::<Value>())
    };
    let data: serde_json::Map<String, Value> = by_metric.into_iter().take(limit).map(of_metric).collect();
    Ok(Good::data(data.into()))
}

pub(super) async fn target_metadata(State(app): State<App>, given: Given) -> Answered {
    let limit = at_most(&given, "limit")?.unwrap_or(usize::MAX);
    let wanted = given.get("metric");
    let matchers = given
        .get("match_target")
        .map(mainstay_promql::parse_selector)
        .transpose()
        .map_err(|error| wrong("match_target", &error.to_string()))?
        .unwrap_or_default();
    let known = app.console.metric_metadata(&given.reach).await?;
    let data = known
        .iter()
        .filter(|known| !known.target.is_empty())
        .filter(|known| wanted.is_none_or(|metric| known.metric == metric))
        .filter(|known| matchers.iter().all(|matcher| matcher.matches(&known.target)))
        .take(limit)
        .map(|known| {
            let mut said = json!({
                "target": known.target,
                "type": known.kind,
                "help": known.help,
                "unit": known.unit,
            });
            // As in Prometheus, who names a metric is not told its name.
            if wanted.is_none() {
                said["metric"] = known.metric.as_str().into();
            }
            said
        });
    Ok(Good::data(data.collect()))
}
