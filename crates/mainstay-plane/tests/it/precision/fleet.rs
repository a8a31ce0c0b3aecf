//! The whole fleet as its metrics show it: ten cells of fifty banks, each service's answers, latencies, pools and pods,
//! with the noise of ordinary days, and the ways in which it can fail.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{CellId, Labels};
use mainstay_plane::Telemetry;
use mainstay_series::Row;

/// Requests of a bank in a second of an ordinary day.
const REQUESTS_PER_S: f64 = 12.0;
/// The share of them that fails on an ordinary day; the objective allows 5 of 10,000.
const ORDINARY_ERRORS: f64 = 0.000_08;
/// The share that is slow on an ordinary day; the objectives allow 5 of 100.
const ORDINARY_SLOW: f64 = 0.004;
/// The services whose requests are counted, beside the gateway.
const SERVICES: [&str; 4] = [
    "payment-service",
    "account-adapter",
    "validation-service",
    "notification-service",
];
/// The edges of latency histograms, in seconds.
const EDGES: [(&str, f64); 8] = [
    ("0.01", 0.01),
    ("0.05", 0.05),
    ("0.15", 0.15),
    ("0.2", 0.2),
    ("0.3", 0.3),
    ("0.5", 0.5),
    ("1", 1.0),
    ("+Inf", f64::INFINITY),
];
/// Pods of the payment service in a cell.
const PODS: usize = 3;

/// What is wrong. Every way in which the platform that is simulated can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A bad version in one cell: a fifth of its payments fail, for all its banks.
    BadDeploy,
    /// A bad version that is rolled out cell by cell, one in 90 seconds.
    RollingBadDeploy,
    /// The requests of one bank fail.
    OneBank,
    /// Every pod of the payment service in one cell is gone; the gateway answers 503.
    CellDown,
    /// The region is gone: its nine cells fail together, as the gateways see it.
    RegionDown,
    /// No pod of the payment service anywhere.
    PlatformDown,
    /// Payments of a cell take eight times as long.
    Slow,
    /// The bank behind clearing answers 5xx.
    ClearingBank,
    /// Nothing is read of a cell any more.
    Dark,
    /// The account adapter of a cell fails, and the payments with it.
    AccountAdapter,
    /// What is no outage: a pool near its limit.
    PoolHigh,
    /// What is no outage: one pod that is gone.
    OnePod,
    /// What is no outage: a client whose requests are refused.
    ClientErrors,
}

impl Failure {
    /// Outages of one cell.
    pub(super) const OF_A_CELL: [Self; 7] = [
        Self::BadDeploy,
        Self::OneBank,
        Self::CellDown,
        Self::Slow,
        Self::ClearingBank,
        Self::Dark,
        Self::AccountAdapter,
    ];
    /// Outages of several.
    pub(super) const OF_SEVERAL: [Self; 3] = [Self::RollingBadDeploy, Self::RegionDown, Self::PlatformDown];
    /// What nobody is to be woken for.
    pub(super) const NO_OUTAGE: [Self; 3] = [Self::PoolHigh, Self::OnePod, Self::ClientErrors];
}

/// A failure at its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// Which cell, and which of its banks, by number.
    pub(super) cell: usize,
    pub(super) bank: usize,
    pub(super) since: Timestamp,
}

/// How one cell does in one step.
#[derive(Debug, Clone, Copy)]
struct Health {
    errors: f64,
    slow: f64,
    adapter_errors: f64,
    clearing_errors: f64,
    client_errors: f64,
    pods_up: usize,
    pool: f64,
    dark: bool,
}

const WELL: Health = Health {
    errors: ORDINARY_ERRORS,
    slow: ORDINARY_SLOW,
    adapter_errors: ORDINARY_ERRORS,
    clearing_errors: 0.001,
    client_errors: 0.01,
    pods_up: PODS,
    pool: 0.4,
    dark: false,
};

pub(super) struct Fleet {
    cells: Vec<(CellId, String, Vec<String>)>,
    counters: BTreeMap<Labels, u64>,
    gauges: BTreeMap<Labels, f64>,
    entropy: SeededEntropy,
}

impl Fleet {
    pub(super) fn new(catalog: &Catalog, seed: u64) -> Self {
        let platform = &catalog.platform;
        let cells = platform.cells.iter().map(|(id, cell)| {
            let banks = platform.tenants_of(id).map(|bank| bank.id.value.to_string());
            (id.clone(), cell.region.value.to_string(), banks.collect())
        });
        Self {
            cells: cells.collect(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            entropy: SeededEntropy::new(seed),
        }
    }

    pub(super) fn cells(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn banks(&self, cell: usize) -> usize {
        self.cells[cell].2.len()
    }

    fn health(&self, cell: usize, now: Timestamp, trouble: Option<Trouble>) -> Health {
        let Some(trouble) = trouble.filter(|trouble| now >= trouble.since) else {
            return WELL;
        };
        let here = cell == trouble.cell;
        let bad = Health { errors: 0.2, ..WELL };
        let gone = Health {
            errors: 1.0,
            pods_up: 0,
            ..WELL
        };
        let passed_s = now.duration_since(trouble.since).as_secs();
        match trouble.failure {
            Failure::BadDeploy if here => bad,
            Failure::RollingBadDeploy => {
                let turn = (cell + self.cells.len() - trouble.cell) % self.cells.len();
                if passed_s >= 90 * i64::try_from(turn).expect("few") {
                    bad
                } else {
                    WELL
                }
            }
            Failure::CellDown if here => gone,
            Failure::RegionDown if self.cells[cell].1 == self.cells[0].1 => gone,
            Failure::PlatformDown => gone,
            Failure::Slow if here => Health { slow: 0.6, ..WELL },
            Failure::ClearingBank if here => Health {
                clearing_errors: 0.5,
                errors: 0.1,
                ..WELL
            },
            Failure::Dark if here => Health { dark: true, ..WELL },
            Failure::AccountAdapter if here => Health {
                adapter_errors: 0.3,
                errors: 0.15,
                ..WELL
            },
            Failure::PoolHigh if here => Health { pool: 0.9, ..WELL },
            Failure::OnePod if here => Health {
                pods_up: PODS - 1,
                ..WELL
            },
            _ => WELL,
        }
    }

    /// `seconds` pass, and everything is read once.
    pub(super) fn step(
        &mut self,
        telemetry: &Telemetry,
        seconds: u32,
        now: Timestamp,
        trouble: Option<Trouble>,
    ) {
        let mut dark = Vec::new();
        for cell in 0..self.cells.len() {
            let health = self.health(cell, now, trouble);
            if health.dark {
                dark.push(self.cells[cell].0.to_string());
                continue;
            }
            self.serve(cell, f64::from(seconds), now, health, trouble);
        }
        let t_ms = now.as_millisecond();
        let seen = |labels: &Labels| {
            !labels
                .get("cell")
                .is_some_and(|cell| dark.iter().any(|one| one == cell))
        };
        let counters = self
            .counters
            .iter()
            .map(|(labels, value)| (labels, *value as f64));
        let gauges = self.gauges.iter().map(|(labels, value)| (labels, *value));
        let rows: Vec<Row<'_>> = counters
            .chain(gauges)
            .filter(|(labels, _)| seen(labels))
            .map(|(labels, value)| Row {
                labels,
                created_ms: None,
                t_ms,
                value,
            })
            .collect();
        telemetry.append(&rows).expect("the disk works");
    }

    fn serve(&mut self, cell: usize, seconds: f64, now: Timestamp, health: Health, trouble: Option<Trouble>) {
        let (id, _, banks) = self.cells[cell].clone();
        let cell_name = id.to_string();
        let mut served = 0;
        for (number, bank) in banks.iter().enumerate() {
            let its = trouble
                .filter(|trouble| trouble.cell == cell && trouble.bank == number && now >= trouble.since);
            let failure = its.map(|trouble| trouble.failure);
            let errors = if failure == Some(Failure::OneBank) {
                0.3
            } else {
                health.errors
            };
            let refused = if failure == Some(Failure::ClientErrors) {
                0.8
            } else {
                health.client_errors
            };
            let asked = self.drawn(REQUESTS_PER_S * seconds);
            let failed = self.some_of(asked, errors);
            let refused = self.some_of(asked - failed, refused);
            served += asked;
            let labels = |status: &str| {
                let pairs = [
                    ("__name__", "http_requests_total"),
                    ("job", "api-gateway"),
                    ("cell", &cell_name),
                    ("tenant", bank),
                    ("status", status),
                ];
                pairs.into_iter().collect::<Labels>()
            };
            self.count(labels("200"), asked - failed - refused);
            self.count(labels("503"), failed);
            self.count(labels("422"), refused);
            let extra = [("job", "api-gateway"), ("cell", &cell_name), ("tenant", bank)];
            self.latency("http_request_duration_seconds", &extra, asked, health.slow);
        }
        for service in SERVICES {
            let errors = match service {
                "payment-service" => health.errors,
                "account-adapter" => health.adapter_errors,
                _ => ORDINARY_ERRORS,
            };
            // What is gone counts nothing.
            let reached = if service == "payment-service" && health.pods_up == 0 {
                0
            } else {
                served
            };
            let failed = self.some_of(reached, errors);
            let extra = [("job", service), ("cell", &cell_name)];
            for (status, count) in [("200", reached - failed), ("500", failed)] {
                let labels = named("http_requests_total", &extra).with("status", status);
                self.count(labels, count);
            }
            let slow = if service == "payment-service" {
                health.slow
            } else {
                ORDINARY_SLOW
            };
            self.latency("http_request_duration_seconds", &extra, reached, slow);
        }
        let extra = [("cell", cell_name.as_str())];
        let clearing = self.some_of(served, health.clearing_errors);
        for (outcome, count) in [("ok", served - clearing), ("5xx", clearing)] {
            let labels = named("clearing_bank_requests_total", &extra).with("outcome", outcome);
            self.count(labels, count);
        }
        self.audits(&extra, served);
        for pod in 0..PODS {
            let labels = named("up", &extra)
                .with("job", "payment-service")
                .with("instance", format!("{cell_name}-{pod}:8080"));
            self.gauges
                .insert(labels, f64::from(u8::from(pod < health.pods_up)));
        }
        for (name, value) in [
            ("hikaricp_connections_active", health.pool * 20.0),
            ("hikaricp_connections_max", 20.0),
        ] {
            let labels = named(name, &extra).with("pool", "payment-service");
            self.gauges.insert(labels, value);
        }
    }

    /// What is counted beside requests: stores, events, notifications, sagas.
    fn audits(&mut self, extra: &[(&str, &str)], served: u64) {
        for (name, job, count) in [
            ("hikaricp_connections_timeout_total", "payment-service", 0),
            (
                "hikaricp_connections_acquire_seconds_count",
                "payment-service",
                served,
            ),
            ("durability_audit_missing_total", "durability-auditor", 0),
            (
                "durability_audit_records_total",
                "durability-auditor",
                served / 10,
            ),
            ("event_audit_missing_total", "event-auditor", 0),
            ("event_audit_events_total", "event-auditor", served / 10),
        ] {
            self.count(named(name, extra).with("job", job), count);
        }
        for (name, job) in [
            ("database_query_duration_seconds", "payment-service"),
            ("notification_delivery_seconds", "notification-service"),
            ("payment_completion_seconds", "saga-orchestrator"),
        ] {
            let extra = [extra, &[("job", job)]].concat();
            self.latency(name, &extra, served / 10, 0.0);
            let minute = named(&format!("{name}_bucket"), &extra);
            for le in ["5", "60"] {
                self.count(minute.clone().with("le", le), served / 10);
            }
        }
        let saga = |name: &str, outcome: &str| {
            named(name, extra)
                .with("job", "saga-orchestrator")
                .with("outcome", outcome)
        };
        for (labels, count) in [
            (saga("saga_claims_total", "error"), 0),
            (saga("saga_claims_total", "ok"), served / 10),
            (saga("saga_compensations_total", "compensated"), served / 100),
        ] {
            self.count(labels, count);
        }
        let sanctions = named("external_api_requests_total", extra)
            .with("job", "validation-service")
            .with("api", "sanctions");
        self.count(sanctions.clone().with("outcome", "ok"), served / 10);
        self.count(sanctions.with("outcome", "error"), 0);
    }

    /// A histogram of which the share `slow` took eight tenths of a second, and the rest five milliseconds.
    fn latency(&mut self, name: &str, extra: &[(&str, &str)], count: u64, slow: f64) {
        let slow = self.some_of(count, slow);
        for (le, edge) in EDGES {
            let under = if edge > 0.8 { count } else { count - slow };
            self.count(named(&format!("{name}_bucket"), extra).with("le", le), under);
        }
        self.count(named(&format!("{name}_count"), extra), count);
    }

    fn count(&mut self, labels: Labels, by: u64) {
        *self.counters.entry(labels).or_default() += by;
    }

    fn unit(&self) -> f64 {
        (self.entropy.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About `mean`, a sixth above or below it.
    fn drawn(&self, mean: f64) -> u64 {
        (mean * (5.0 / 6.0 + self.unit() / 3.0)) as u64
    }

    /// How many of `count` it happens to: by Poisson where it is rare, about its share where it is not.
    fn some_of(&self, count: u64, share: f64) -> u64 {
        let mean = count as f64 * share;
        if mean > 30.0 {
            return self.drawn(mean).min(count);
        }
        let (limit, mut product, mut happened) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            happened += 1;
            product *= self.unit();
        }
        happened.min(count)
    }
}

fn named(name: &str, extra: &[(&str, &str)]) -> Labels {
    let pairs = std::iter::once(("__name__", name)).chain(extra.iter().copied());
    pairs.collect()
}
