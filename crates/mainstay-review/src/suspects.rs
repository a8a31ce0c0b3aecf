//! What points to a change as the cause. Evidence, not a verdict: what came shortly before, at the same place, and
//! whether taking it back ended the trouble.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::Scope;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use serde::Serialize;

use crate::facts::Facts;

/// Changes up to this long before the first bad event are looked at (the specification's runbook: a deployment within the
/// last hour is the likely cause).
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(1);
/// Trouble that ends within this time of a rollback is taken as ended by it.
const ENDED_BY: SignedDuration = SignedDuration::from_mins(2);

/// A change under suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// The change.
    pub change: ChangeRecorded,
    /// Why it is suspected, strongest first.
    pub evidence: Vec<String>,
    /// The sum of the weights of the evidence; only the order it gives means anything.
    pub weight: u32,
}

/// A duration as a human says it: `45 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub(crate) fn spoken(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().abs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    a.is_some() && a == b
}

/// The rollback that took `change` back, if there was one.
fn taken_back<'a>(facts: &'a Facts, change: &ChangeRecorded) -> Option<&'a ChangeRecorded> {
    facts.changes.iter().find(|other| {
        other.kind == ChangeKind::Rollback
            && other.at > change.at
            && other.scope == change.scope
            && other.from_version == change.to_version
    })
}

fn evidence(facts: &Facts, change: &ChangeRecorded) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let lead = facts.began_at.duration_since(change.at);
    let closeness = if lead <= SignedDuration::from_mins(5) {
        40
    } else {
        20
    };
    let how_long = if lead.is_negative() {
        format!("less than {}", spoken(lead + facts.began_within))
    } else {
        spoken(lead)
    };
    found.push((
        closeness,
        format!(
            "it came {how_long} before the first {}",
            if facts.total > 0 {
                "failing request"
            } else {
                "alert"
            }
        ),
    ));
    if same(change.scope.cell.as_ref(), facts.scope.cell.as_ref()) {
        found.push((
            20,
            format!("it was made in the cell that failed, {}", place(&change.scope)),
        ));
    }
    let about = |scope: &Scope| same(scope.service.as_ref(), change.scope.service.as_ref());
    for alert in facts
        .alerts
        .iter()
        .filter(|alert| about(&alert.scope) && alert.starts_at >= change.at)
    {
        let service = change
            .scope
            .service
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        found.push((
            15,
            format!("{} then fired for {service}: {}", alert.name, alert.summary),
        ));
    }
    if let Some(rollback) = taken_back(facts, change) {
        match facts.mitigated_at {
            Some(end)
                if end.duration_since(rollback.at) <= ENDED_BY
                    && end.duration_since(rollback.at) >= -facts.began_within =>
            {
                let when = ended_when(rollback.at, end);
                found.push((
                    50,
                    format!("it was rolled back, and the last request failed {when}"),
                ));
            }
            Some(end) if end < rollback.at => {
                found.push((0, "it was rolled back when the trouble was over".to_owned()));
            }
            _ => found.push((5, "it was rolled back, but requests went on failing".to_owned())),
        }
    }
    found
}

fn ended_when(rollback: Timestamp, end: Timestamp) -> String {
    let gap = end.duration_since(rollback);
    if gap.is_negative() {
        format!("{} before that", spoken(gap))
    } else {
        format!("{} after that", spoken(gap))
    }
}

fn place(scope: &Scope) -> String {
    scope
        .cell
        .as_ref()
        .map_or_else(|| "the platform".to_owned(), ToString::to_string)
}

/// The changes that may have caused it, most suspect first. A rollback is a remedy, not a suspect.
#[must_use]
pub fn suspects(facts: &Facts) -> Vec<Suspect> {
    let mut suspects: Vec<Suspect> = facts
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Rollback)
        .filter(|change| {
            let lead = facts.began_at.duration_since(change.at);
            lead >= -facts.began_within && lead <= LOOK_BACK
        })
        .map(|change| {
            let mut found = evidence(facts, change);
            found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
            Suspect {
                change: change.clone(),
                weight: found.iter().map(|(weight, _)| weight).sum(),
                evidence: found.into_iter().map(|(_, text)| text).collect(),
            }
        })
        .collect();
    suspects.sort_by_key(|suspect| {
        (
            std::cmp::Reverse(suspect.weight),
            std::cmp::Reverse(suspect.change.at),
        )
    });
    suspects
}
