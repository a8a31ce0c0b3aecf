//! What clients saw: counts per cell, tenant and outcome, latencies, and what of it is bad by the SLO's definition.

use crate::clock;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was answered.
    Status(u16),
    /// It was not answered while the client was willing to wait.
    Timeout,
    /// There was no connection, or it broke.
    ConnectionError,
}

impl Outcome {
    /// Whether it spends error budget: 5xx, timeouts, broken connections, and of the 4xx those that are the
    /// service's own doing: 408, 429 and 499.
    pub const fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Status(408 | 429 | 499 | 500..=599) | Self::Timeout | Self::ConnectionError
        )
    }

    fn label(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Timeout => "timeout".to_owned(),
            Self::ConnectionError => "connection_error".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Payment,
    Read,
}

/// One request that has ended.
pub(super) struct Sent<'a> {
    pub(super) cell: &'a str,
    pub(super) tenant: &'a str,
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    /// From the intended start.
    pub(super) latency: Duration,
    pub(super) sent_at: i64,
}

/// Counts while the load runs.
pub(super) struct Recorder {
    started_at: i64,
    rps: u32,
    payments_rps: u32,
    counts: BTreeMap<(String, String, Outcome), u64>,
    first_bad_at: BTreeMap<String, i64>,
    last_bad_at: BTreeMap<String, i64>,
    payments: Histogram<u64>,
    reads: Histogram<u64>,
}

/// Latencies from the intended start, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Longest.
    pub max_ms: f64,
}

/// One row of counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The cell.
    pub cell: String,
    /// The tenant.
    pub tenant: String,
    /// HTTP status, `timeout` or `connection_error`.
    pub status: String,
    /// Whether it spends error budget.
    pub bad: bool,
    /// How many.
    pub count: u64,
}

/// Totals of one cell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CellTotals {
    /// Requests that ended.
    pub total: u64,
    /// Of them, those that spend error budget.
    pub bad: u64,
    /// When the first bad one was sent, RFC 3339.
    pub first_error_at: Option<String>,
    /// When the last bad one was sent, RFC 3339.
    pub last_error_at: Option<String>,
}

/// What clients saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// `false` while the load runs.
    pub finished: bool,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339: when this report was made.
    pub at: String,
    /// Requests per second that were asked for.
    pub rps: u32,
    /// Of them, payment initiations.
    pub payments_rps: u32,
    /// Requests without outcome yet.
    pub in_flight: u64,
    /// Requests that ended.
    pub total: u64,
    /// Of them, those that spend error budget.
    pub bad: u64,
    /// When the first bad request was sent, RFC 3339.
    pub first_error_at: Option<String>,
    /// When the last bad request was sent, RFC 3339.
    pub last_error_at: Option<String>,
    /// Totals by cell.
    pub cells: BTreeMap<String, CellTotals>,
    /// Latency of payment initiations.
    pub payments_latency: Latency,
    /// Latency of reads.
    pub reads_latency: Latency,
    /// Every (cell, tenant, outcome) that occurred.
    pub counts: Vec<Count>,
}

impl Recorder {
    pub(super) fn new(rps: u32, payments_rps: u32) -> Self {
        // From 1 microsecond to 5 minutes with three digits.
        let histogram = || Histogram::new_with_bounds(1, 300_000_000, 3).expect("bounds are valid");
        Self {
            started_at: clock::unix_ms(),
            rps,
            payments_rps,
            counts: BTreeMap::new(),
            first_bad_at: BTreeMap::new(),
            last_bad_at: BTreeMap::new(),
            payments: histogram(),
            reads: histogram(),
        }
    }

    pub(super) fn record(&mut self, sent: &Sent<'_>) {
        *self
            .counts
            .entry((sent.cell.to_owned(), sent.tenant.to_owned(), sent.outcome))
            .or_default() += 1;
        if sent.outcome.is_bad() {
            let first = self
                .first_bad_at
                .entry(sent.cell.to_owned())
                .or_insert(sent.sent_at);
            *first = sent.sent_at.min(*first);
            let last = self
                .last_bad_at
                .entry(sent.cell.to_owned())
                .or_insert(sent.sent_at);
            *last = sent.sent_at.max(*last);
        }
        let histogram = match sent.kind {
            Kind::Payment => &mut self.payments,
            Kind::Read => &mut self.reads,
        };
        histogram.saturating_record(u64::try_from(sent.latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn report(&self, finished: bool, in_flight: u64) -> Report {
        let mut cells: BTreeMap<String, CellTotals> = BTreeMap::new();
        let mut counts = Vec::new();
        for ((cell, tenant, outcome), &count) in &self.counts {
            let totals = cells.entry(cell.clone()).or_default();
            totals.total += count;
            totals.bad += if outcome.is_bad() { count } else { 0 };
            counts.push(Count {
                cell: cell.clone(),
                tenant: tenant.clone(),
                status: outcome.label(),
                bad: outcome.is_bad(),
                count,
            });
        }
        for (cell, totals) in &mut cells {
            totals.first_error_at = self.first_bad_at.get(cell).map(|&at| clock::rfc3339(at));
            totals.last_error_at = self.last_bad_at.get(cell).map(|&at| clock::rfc3339(at));
        }
        Report {
            finished,
            started_at: clock::rfc3339(self.started_at),
            at: clock::rfc3339(clock::unix_ms()),
            rps: self.rps,
            payments_rps: self.payments_rps,
            in_flight,
            total: cells.values().map(|c| c.total).sum(),
            bad: cells.values().map(|c| c.bad).sum(),
            first_error_at: self.first_bad_at.values().min().map(|&at| clock::rfc3339(at)),
            last_error_at: self.last_bad_at.values().max().map(|&at| clock::rfc3339(at)),
            cells,
            payments_latency: latency(&self.payments),
            reads_latency: latency(&self.reads),
            counts,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of minutes are exact in an f64"
)]
fn latency(histogram: &Histogram<u64>) -> Latency {
    let ms = |micros: u64| micros as f64 / 1000.0;
    Latency {
        p50_ms: ms(histogram.value_at_quantile(0.5)),
        p95_ms: ms(histogram.value_at_quantile(0.95)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        max_ms: ms(histogram.max()),
    }
}

impl Report {
    /// One line for humans and the parent process.
    pub fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "total": self.total,
            "bad": self.bad,
            "first_error_at": self.first_error_at,
            "last_error_at": self.last_error_at,
            "payments_p95_ms": self.payments_latency.p95_ms,
            "reads_p95_ms": self.reads_latency.p95_ms,
        })
    }
}
