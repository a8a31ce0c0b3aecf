//! What is said of samples that are not taken.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_ingest::remote_write::{Receipt, RemoteWriteError};
use mainstay_series::{Appended, Outcome, SeriesError, SeriesRef};

use crate::telemetry::tenants::{Overrun, Reason, TenantNo};

/// The answer to a request of which nothing is taken, for it is more than its tenant may send.
pub(super) fn refusal(overrun: &Overrun) -> Receipt {
    let mut receipt = Receipt::default();
    let status = if overrun.retry_after_s().is_some() {
        429
    } else {
        413
    };
    receipt.refuse(status, overrun);
    receipt.retry_after_s = overrun.retry_after_s();
    receipt
}

/// Notes the samples of tenants that may not send so many. A sender that is told to try again holds back what it has of
/// other tenants too: that is said only if nothing was taken.
pub(super) fn refuse_some(
    receipt: &mut Receipt,
    overruns: &BTreeMap<TenantNo, Overrun>,
    samples: usize,
    is_all: bool,
) {
    let longest = overruns.values().max_by_key(|overrun| overrun.retry_after_s());
    let Some(overrun) = longest else { return };
    let retry_after_s = overrun.retry_after_s().filter(|_| is_all);
    let status = if retry_after_s.is_some() { 429 } else { 400 };
    for _ in 0..samples {
        receipt.refuse(status, overrun);
    }
    receipt.retry_after_s = retry_after_s;
}

/// Says what became of samples, and counts those that are held now.
pub(super) fn tell(
    appended: &Appended,
    receipt: &mut Receipt,
    series: impl Iterator<Item = SeriesRef>,
    removed: &mut BTreeSet<SeriesRef>,
) -> u64 {
    let held = (appended.stored + appended.duplicate) as u64;
    if held == appended.outcomes.len() as u64 {
        return held;
    }
    for (outcome, series) in appended.outcomes.iter().zip(series) {
        if *outcome == Outcome::UnknownSeries {
            removed.insert(series);
        }
        if let Some(reason) = why_refused(*outcome) {
            receipt.refuse(400, &reason);
        }
    }
    held
}

/// Why a sample with this outcome is not held; `None` if it is.
pub(in super::super) fn why_refused(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Stored | Outcome::Duplicate => None,
        Outcome::OutOfOrder => Some(
            "out of order sample: older than retention or the window for late samples, or another value is held",
        ),
        Outcome::TooFarAhead => Some("a sample is too far in the future"),
        Outcome::Limit => Some("a limit on series, labels or the buckets of a histogram is exceeded"),
        Outcome::UnknownSeries => Some("a series was removed meanwhile"),
    }
}

pub(in super::super) fn of_another_tenant(named: &str, tenant: &str) -> String {
    format!("a series of tenant {named:?} came from tenant {tenant:?}")
}

/// Why one series of a request is refused. It becomes a text only where it is told: a request may have millions.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Request(#[from] RemoteWriteError),
    #[error(transparent)]
    Store(#[from] SeriesError),
    #[error("{0}")]
    Tenant(String),
}

impl Refusal {
    /// Under what it is counted; not what the disk is to blame for.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Request(_) => Some(Reason::Malformed),
            Self::Store(error) => error.is_limit().then(|| Reason::of(error)),
            Self::Tenant(_) => Some(Reason::OtherTenant),
        }
    }

    /// What a limit refuses is refused for good; a log that cannot be written may be tried again.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Request(error) => error.status(),
            Self::Store(error) if !error.is_limit() => 503,
            Self::Store(_) | Self::Tenant(_) => 400,
        }
    }
}
