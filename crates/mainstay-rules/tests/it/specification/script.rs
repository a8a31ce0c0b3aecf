//! Random series for the rules of the specification, the rules derived from them, and queries over them.

/// Rules that build on each other and on the specification's.
pub(super) const DERIVED_RULES: &str = r#"
groups:
  - name: derived
    interval: 30s
    rules:
      - record: status:http_requests:rate5m
        expr: max by (status) (rate(http_requests_total{job="payment-service"}[5m]))
        labels:
          origin: derived
      - alert: TrafficLow
        expr: status:http_requests:rate5m{status="200"} < 4000
        for: 1m
        keep_firing_for: 2m
        labels:
          severity: '{{ if lt $value 2500.0 }}high{{ else }}low{{ end }}'
        annotations:
          summary: '{{ $labels.status }} at {{ printf "%.3f" $value }}/s, {{ $value | humanize }} {{ .Labels.origin }}'
      - alert: StillDown
        expr: ALERTS{alertname="PaymentServiceDown", alertstate="firing"}
        annotations:
          since: '{{ with query "ALERTS_FOR_STATE{alertname=\"PaymentServiceDown\"}" }}{{ . | sortByLabel "instance" | first | value | humanizeTimestamp }}{{ end }}'
          others: '{{ range query "up == 0" | sortByLabel "instance" }}{{ .Labels.instance }}={{ .Value }} {{ else }}none{{ end }}'
      - alert: Flapping
        expr: changes(up[5m]) > 1
        keep_firing_for: 90s
        annotations:
          summary: '{{ $labels.instance | stripPort | toUpper }} changed {{ $value }} times'
      - alert: MemoryGrows
        expr: max_over_time(container_memory_usage_bytes[3m]) - min_over_time(container_memory_usage_bytes[3m]) > 2e8
        for: 30s
        annotations:
          summary: '{{ $labels }} by {{ $value | humanize1024 }}B ({{ $value }})'
"#;

/// Queries whose values must be the same to the last digit.
pub(super) const QUERIES: [&str; 14] = [
    r#"rate(http_requests_total[5m])"#,
    r#"increase(http_requests_total[7m]) > 0"#,
    r#"irate(http_requests_total[5m] offset 1m)"#,
    r#"resets(http_requests_total[20m])"#,
    r#"changes(up[10m])"#,
    r#"topk(2, container_memory_usage_bytes)"#,
    r#"quantile_over_time(0.75, container_memory_usage_bytes[6m])"#,
    r#"up unless on (instance) up == 1"#,
    r#"hikaricp_connections_active / ignoring () hikaricp_connections_max"#,
    r#"histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m]))"#,
    r#"max_over_time(rate(http_requests_total[2m])[10m:37s])"#,
    r#"count by (alertname, alertstate) (ALERTS)"#,
    r#"label_replace(up, "pod", "$1", "instance", "(.*):.*")"#,
    r#"timestamp(up) - time()"#,
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How many samples a series has.
const SAMPLES: usize = 98;

/// Series with their values. The first value is missing, so that no sample stands at the start.
pub(super) fn series(seed: u64) -> Vec<(String, String)> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    for instance in ["pay-1:8080", "pay-2:8080"] {
        let up = phases(&mut random, &["1", "1", "0", "stale", "_"]);
        all.push((
            format!(r#"up{{job="payment-service", instance="{instance}"}}"#),
            up,
        ));
        let state = phases(&mut random, &["0", "0", "1", "2"]);
        let name = if instance.starts_with("pay-1") {
            "ledger"
        } else {
            "fraud"
        };
        all.push((
            format!(r#"resilience4j_circuitbreaker_state{{state="open", name="{name}"}}"#),
            state,
        ));
    }
    for (status, rates) in [
        ("200", [30_011, 90_017, 300_007]),
        ("404", [0, 3_001, 9_007]),
        ("500", [0, 1_009, 30_011]),
        ("503", [0, 0, 20_011]),
    ] {
        let name = format!(r#"http_requests_total{{job="payment-service", status="{status}"}}"#);
        all.push((name, counter(&mut random, rates)));
    }
    // Every bucket counts at least what the one below it does.
    let mut buckets = vec![Vec::new(); 5];
    let mut counts = [100_000_u64; 5];
    let mut is_slow = false;
    for _ in 0..SAMPLES {
        is_slow ^= random.chance(8);
        let requests = 10 + random.below(50);
        for (index, (bucket, count)) in buckets.iter_mut().zip(&mut counts).enumerate() {
            let share = if is_slow {
                [5, 20, 60, 95, 100]
            } else {
                [50, 97, 99, 100, 100]
            }[index];
            *count += requests * share / 100;
            bucket.push(count.to_string());
        }
    }
    for (bucket, le) in buckets.iter().zip(["0.05", "0.1", "0.25", "1", "+Inf"]) {
        let name = format!(r#"http_request_duration_seconds_bucket{{job="payment-service", le="{le}"}}"#);
        all.push((name, format!("_ {}", bucket.join(" "))));
    }
    let pool = r#"{pool="payment-service", instance="pay-1:8080"}"#;
    all.push((
        format!("hikaricp_connections_active{pool}"),
        phases(&mut random, &["10", "30", "45", "48", "stale"]),
    ));
    all.push((
        format!("hikaricp_connections_max{pool}"),
        phases(&mut random, &["50", "50", "60"]),
    ));
    for pod in ["payment-service-a", "payment-service-b"] {
        let usage = phases(&mut random, &["500000000", "800000000", "870000000", "950000000"]);
        all.push((format!(r#"container_memory_usage_bytes{{pod="{pod}"}}"#), usage));
        let limit = phases(&mut random, &["1000000000"]);
        all.push((
            format!(r#"container_spec_memory_limit_bytes{{pod="{pod}"}}"#),
            limit,
        ));
    }
    all
}

/// Stretches of one value each; some are long enough to outlast any `for`.
fn phases(random: &mut Random, values: &[&str]) -> String {
    let mut all = vec!["_"];
    while all.len() < SAMPLES {
        let value = values[usize::try_from(random.below(values.len() as u64)).expect("small")];
        let length = if random.chance(40) {
            1 + random.below(3)
        } else {
            8 + random.below(25)
        };
        all.extend(std::iter::repeat_n(
            value,
            usize::try_from(length).expect("small"),
        ));
        if random.chance(5) {
            all.push("_");
        }
    }
    all.truncate(SAMPLES);
    all.join(" ")
}

/// A counter with gaps and now and then a reset. Whatever a window begins with is several times what it rises by, after
/// any number of resets: where a counter could have begun at zero in the window, Prometheus 2 and 3 extrapolate differently.
/// Rates are large, so that hardly any ratio lies half-way between two that are shown: there the last digit of a sum, which
/// Prometheus 3 adds up more exactly, would be seen.
fn counter(random: &mut Random, rates: [u64; 3]) -> String {
    let mut count = 100_000_000_000 + random.below(1000);
    let mut rate = rates[0];
    let mut all = vec!["_".to_owned()];
    for _ in 1..SAMPLES {
        if random.chance(10) {
            rate = rates[usize::try_from(random.below(3)).expect("small")];
        }
        count += rate * (90 + random.below(20)) / 100;
        if random.chance(1) {
            count /= 4;
        }
        all.push(if random.chance(3) {
            "_".to_owned()
        } else {
            count.to_string()
        });
    }
    all.join(" ")
}
