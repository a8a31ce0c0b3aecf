//! What a Prometheus has that looks like a service: counters of requests and histograms of their durations, by the labels
//! that name their service.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_promql::Value;
use mainstay_remote::RemoteError;
use mainstay_remote::query::Client;

use super::pace::Pace;

/// The labels that name a service, the best first.
const SERVICE_LABELS: [&str; 3] = ["service", "app", "job"];
/// The labels that name an owner, the best first.
const OWNER_LABELS: [&str; 2] = ["team", "owner"];
/// The labels that say how a request ended.
const CODE_LABELS: [&str; 8] = [
    "code",
    "status",
    "status_code",
    "http_status_code",
    "http_response_status_code",
    "response_code",
    "grpc_code",
    "grpc_status",
];
/// How many metrics are looked at.
const METRICS_MAX: usize = 200;
/// How many services are drafted.
const SERVICES_MAX: usize = 100;
/// A metric that nobody wrote for so long is not looked at.
const ALIVE_MS: i64 = 3_600_000;

/// HTTP answers that are our fault: 5xx, and what we turn away or let time out.
const HTTP_BAD: &str = "5..|408|429|499";
/// The same where classes are counted.
const CLASS_BAD: &str = "5..";
/// gRPC answers that are our fault.
const GRPC_BAD: &str =
    "Aborted|DataLoss|DeadlineExceeded|Internal|ResourceExhausted|Unavailable|Unimplemented|Unknown";

/// What was found of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// What it is called.
    pub(super) name: String,
    /// Who owns it, if a label says so.
    pub(super) owner: Option<String>,
    /// Its counters of requests: at most one of HTTP and one of gRPC.
    pub(super) requests: Vec<Requests>,
    /// Its histogram of durations.
    pub(super) durations: Option<Durations>,
}

/// A counter of requests, and which of them failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requests {
    /// `grpc` or `http`.
    pub(super) protocol: Protocol,
    /// Selects all.
    pub(super) total: String,
    /// Selects those that failed.
    pub(super) bad: String,
}

/// A classic histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Durations {
    /// Selects the counts of all.
    pub(super) total: String,
    /// The metric of its buckets.
    pub(super) bucket: String,
    /// What selects the service, without braces.
    pub(super) matcher: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

/// What one metric says about one service.
#[derive(Debug, Default)]
struct Seen {
    label: &'static str,
    owners: BTreeSet<String>,
    codes: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Metrics by name, of each service.
type ByService = BTreeMap<String, BTreeMap<String, Seen>>;

/// Looks for services. One request for the names, and one for each metric that looks like requests; none of them
/// computes over more than the newest samples.
pub(super) async fn services(client: &Client, now_ms: i64, pace: &Pace) -> Result<Vec<Service>, RemoteError> {
    let names = client
        .label_values("__name__", &[], now_ms - ALIVE_MS, now_ms)
        .await?;
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut metrics: Vec<&str> = known
        .iter()
        .copied()
        .filter(|name| of_interest(name, &known))
        .collect();
    pace.say(&format!(
        "{} metrics, {} of them look like requests",
        names.len(),
        metrics.len()
    ));
    if metrics.len() > METRICS_MAX {
        pace.say(&format!("the first {METRICS_MAX} of them are looked at"));
        metrics.truncate(METRICS_MAX);
    }
    let labels = SERVICE_LABELS.iter().chain(&OWNER_LABELS).chain(&CODE_LABELS);
    let labels: Vec<&str> = labels.copied().collect();
    let mut seen = ByService::new();
    for metric in metrics {
        if pace.is_over() {
            pace.say("no time is left to look at more metrics");
            break;
        }
        let query = format!("count by ({}) ({metric})", labels.join(", "));
        match client.instant(&query, now_ms).await {
            Ok(answer) => note(&mut seen, metric, &answer.value),
            Err(error) => pace.say(&format!("{metric} is passed over: {error}")),
        }
    }
    let mut services: Vec<Service> = seen
        .into_iter()
        .filter_map(|(name, metrics)| service(name, &metrics, &known))
        .collect();
    if services.len() > SERVICES_MAX {
        pace.say(&format!(
            "{} services, the first {SERVICES_MAX} of them are drafted",
            services.len()
        ));
        services.truncate(SERVICES_MAX);
    }
    Ok(services)
}

/// Whether a metric looks like requests that were served: not those that were sent.
fn of_interest(name: &str, known: &BTreeSet<&str>) -> bool {
    let sent = ["client", "remote_storage", "scrape_", "alertmanager_", "_sd_"]
        .iter()
        .any(|part| name.contains(part));
    !sent && (is_requests(name) || bucket_of(name, known).is_some())
}

fn is_requests(name: &str) -> bool {
    let of_http = name.contains("http") && name.ends_with("_total") && !name.contains("bytes");
    name == "grpc_server_handled_total"
        || name.ends_with("_requests_total")
        || name.ends_with("_controller_requests")
        || of_http && name.contains("request")
}

/// The metric of the buckets, of a count of durations.
fn bucket_of(name: &str, known: &BTreeSet<&str>) -> Option<String> {
    let base = name.strip_suffix("_count")?;
    let timed = ["_seconds", "_milliseconds"]
        .iter()
        .any(|unit| base.ends_with(unit));
    let served = ["request", "http", "grpc", "rpc", "response", "handling"]
        .iter()
        .any(|part| base.contains(part));
    let bucket = format!("{base}_bucket");
    (timed && served && known.contains(bucket.as_str())).then_some(bucket)
}

fn note(seen: &mut ByService, metric: &str, value: &Value) {
    let Value::Vector(vector) = value else {
        return;
    };
    for sample in vector {
        let named = |names: &'static [&'static str]| {
            let found = names
                .iter()
                .find_map(|name| Some((*name, sample.labels.get(name).filter(|value| !value.is_empty())?)));
            found.map(|(name, value)| (name, value.to_owned()))
        };
        let Some((label, service)) = named(&SERVICE_LABELS) else {
            continue;
        };
        let metrics = seen.entry(service).or_default();
        let seen = metrics.entry(metric.to_owned()).or_default();
        seen.label = label;
        seen.owners.extend(named(&OWNER_LABELS).map(|(_, owner)| owner));
        for code in CODE_LABELS {
            if let Some(value) = sample.labels.get(code) {
                seen.codes.entry(code).or_default().insert(value.to_owned());
            }
        }
    }
}

/// What is drafted of a service; nothing where neither failures nor durations are counted.
fn service(name: String, metrics: &BTreeMap<String, Seen>, known: &BTreeSet<&str>) -> Option<Service> {
    let mut best: BTreeMap<Protocol, (u8, Requests)> = BTreeMap::new();
    for (metric, seen) in metrics {
        let Some(requests) = requests(metric, &name, seen) else {
            continue;
        };
        // A counter made for it is better than a histogram's count.
        let rank = match metric.as_str() {
            exact if exact == "grpc_server_handled_total" || exact.ends_with("http_requests_total") => 0,
            other if other.ends_with("_count") => 2,
            _ => 1,
        };
        let held = best.get(&requests.protocol).map(|(held, _)| *held);
        if held.is_none_or(|held| rank < held) {
            best.insert(requests.protocol, (rank, requests));
        }
    }
    let durations = metrics.iter().find_map(|(metric, seen)| {
        let matcher = matcher(seen.label, &name);
        Some(Durations {
            bucket: bucket_of(metric, known)?,
            total: format!("{metric}{{{matcher}}}"),
            matcher,
        })
    });
    let owner = metrics.values().find_map(|seen| seen.owners.first().cloned());
    let requests: Vec<Requests> = best.into_values().map(|(_, requests)| requests).collect();
    (!requests.is_empty() || durations.is_some()).then_some(Service {
        name,
        owner,
        requests,
        durations,
    })
}

/// The counter of requests, by the first label whose values say how they ended.
fn requests(metric: &str, service: &str, seen: &Seen) -> Option<Requests> {
    let (label, (protocol, bad)) = seen
        .codes
        .iter()
        .find_map(|(label, values)| Some((label, failures(values)?)))?;
    let matcher = matcher(seen.label, service);
    Some(Requests {
        protocol,
        total: format!("{metric}{{{matcher}}}"),
        bad: format!("{metric}{{{matcher},{label}=~\"{bad}\"}}"),
    })
}

/// Which of a label's values are failures, if it says how requests ended.
fn failures(values: &BTreeSet<String>) -> Option<(Protocol, &'static str)> {
    let digits = |value: &String| value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_digit());
    let of_grpc = |value: &String| value == "OK" || GRPC_BAD.split('|').any(|bad| bad == value);
    if values.iter().any(|value| value.ends_with("xx")) {
        Some((Protocol::Http, CLASS_BAD))
    } else if values.iter().any(digits) {
        Some((Protocol::Http, HTTP_BAD))
    } else {
        values.iter().any(of_grpc).then_some((Protocol::Grpc, GRPC_BAD))
    }
}

fn matcher(label: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{label}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_are_served_are_told_from_others() {
        let known = BTreeSet::from([
            "http_request_duration_seconds_bucket",
            "gc_duration_seconds_bucket",
        ]);
        for name in [
            "http_requests_total",
            "prometheus_http_requests_total",
            "grpc_server_handled_total",
            "nginx_ingress_controller_requests",
            "http_server_request_count_total",
            "http_request_duration_seconds_count",
        ] {
            assert!(of_interest(name, &known), "{name}");
        }
        for name in [
            "rest_client_requests_total",
            "http_request_size_bytes_total",
            "gc_duration_seconds_count",
            "process_cpu_seconds_total",
            "grpc_client_handled_total",
            "http_response_duration_seconds_count",
        ] {
            assert!(!of_interest(name, &known), "{name}");
        }
    }

    #[test]
    fn failures_are_told_by_the_codes_that_are_there() {
        let seen = |label, codes: &[&str]| Seen {
            label: "job",
            owners: BTreeSet::new(),
            codes: BTreeMap::from([(label, codes.iter().map(|code| (*code).to_owned()).collect())]),
        };
        let bad = |seen: &Seen| requests("r_total", "a\"b", seen).map(|requests| requests.bad);
        assert_eq!(
            bad(&seen("code", &["200", "503"])).as_deref(),
            Some(r#"r_total{job="a\"b",code=~"5..|408|429|499"}"#)
        );
        assert_eq!(
            bad(&seen("code", &["2xx"])).as_deref(),
            Some(r#"r_total{job="a\"b",code=~"5.."}"#)
        );
        assert!(bad(&seen("grpc_code", &["OK"])).is_some_and(|bad| bad.contains("Unavailable")));
        let mut both = seen("status", &["queued", "done"]);
        assert_eq!(bad(&both), None);
        both.codes.extend(seen("code", &["500"]).codes);
        assert_eq!(
            bad(&both).as_deref(),
            Some(r#"r_total{job="a\"b",code=~"5..|408|429|499"}"#)
        );
    }
}
