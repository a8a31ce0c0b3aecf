//! The life of an alert.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_kernel::Labels;
use serde::{Deserialize, Serialize};

/// How long a resolved alert is kept, so that its end is told again, in milliseconds.
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The query holds, but not yet long enough.
    Pending,
    /// It holds long enough.
    Firing,
    /// It was firing and is over.
    Resolved,
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        })
    }
}

/// An alert with everything needed to go on with it after a restart. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The name of its rule.
    pub rule: String,
    /// Its labels, `alertname` among them.
    pub labels: Labels,
    /// Its texts, expanded.
    pub annotations: BTreeMap<String, String>,
    /// Since when the query holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// Since when it is over.
    pub resolved_at_ms: Option<i64>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since_ms: Option<i64>,
    /// Where it stands.
    pub state: AlertState,
    /// The value of the query when it last held.
    #[serde(with = "bits")]
    pub value: f64,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The query began to hold.
    BecamePending,
    /// It began to fire.
    BecameFiring,
    /// It stopped firing.
    Resolved,
    /// It fires no more, because its rule's `for` is now longer than the query held: it is pending again.
    BackToPending,
    /// It went away without firing, or its rule gave more alerts than its limit.
    Dropped,
}

/// A change of an alert's state, and the alert after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// What happened.
    pub change: Change,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The alert as it is now.
    pub alert: ActiveAlert,
}

/// The timing of a rule, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_for_ms: i64,
}

/// One step of an alert's life. `holds` says whether the query gave it this time; a resolved alert that holds again is
/// a new alert and does not come here. Gives what happened, and whether the alert stays in memory.
pub(crate) fn step(
    alert: &mut ActiveAlert,
    holds: bool,
    at_ms: i64,
    timing: Timing,
) -> (Option<Change>, bool) {
    if holds {
        alert.keep_firing_since_ms = None;
        if alert.state == AlertState::Pending && at_ms - alert.active_at_ms >= timing.for_ms {
            alert.state = AlertState::Firing;
            alert.fired_at_ms = Some(at_ms);
            return (Some(Change::BecameFiring), true);
        }
        if alert.state == AlertState::Firing && at_ms - alert.active_at_ms < timing.for_ms {
            alert.state = AlertState::Pending;
            alert.fired_at_ms = None;
            return (Some(Change::BackToPending), true);
        }
        return (None, true);
    }
    match alert.state {
        AlertState::Pending => (Some(Change::Dropped), false),
        AlertState::Firing => {
            if timing.keep_firing_for_ms > 0 {
                let since_ms = *alert.keep_firing_since_ms.get_or_insert(at_ms);
                if at_ms - since_ms < timing.keep_firing_for_ms {
                    return (None, true);
                }
            }
            alert.state = AlertState::Resolved;
            alert.resolved_at_ms = Some(at_ms);
            (Some(Change::Resolved), true)
        }
        AlertState::Resolved => {
            let age_ms = alert
                .resolved_at_ms
                .map_or(i64::MAX, |resolved_ms| at_ms - resolved_ms);
            (None, age_ms <= RESOLVED_RETENTION_MS)
        }
    }
}

/// A value by its bits: infinities and the kinds of NaN survive formats that have only numbers.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}
