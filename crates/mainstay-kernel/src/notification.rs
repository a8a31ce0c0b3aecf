//! What a receiver is told of a group of alerts, as data: what Alertmanager's webhook and the templates of its receivers
//! are made from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fact::AlertFact;
use crate::labels::Labels;

/// The most that the alerts of a notification take, in bytes; what is beyond is left out and counted.
pub const NOTIFICATION_MAX_BYTES: usize = 64 << 10;
/// The annotation under which the link to an alert's source is kept.
pub const GENERATOR_URL: &str = "generator_url";

/// What a group is called: the same for as long as the group lasts, and for each time it comes again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupKey {
    /// As Alertmanager writes it: `{}/{team="x"}:{alertname="A"}`, the matchers of the routes and the group's labels.
    pub text: String,
    /// The labels by which it is grouped.
    pub labels: Labels,
}

/// A group of alerts as a receiver is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The receiver that the route names.
    pub receiver: String,
    /// The group.
    pub group: GroupKey,
    /// Its alerts, those that fire and those that ended since it was last told, in Alertmanager's order.
    pub alerts: Vec<NotifiedAlert>,
    /// How many were left out because of [`NOTIFICATION_MAX_BYTES`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncated_alerts: usize,
    /// Whether the route is in shadow: it is recorded, and does not leave.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// Who took it on, where that is all that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

/// An alert in a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// Its labels.
    pub labels: Labels,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it ended; `None` while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The link to its source; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn weight_bytes(alert: &NotifiedAlert) -> usize {
    let pairs = alert.labels.iter().chain(alert.annotations.iter());
    let pairs: usize = pairs.map(|(name, value)| name.len() + value.len() + 8).sum();
    128 + pairs + alert.generator_url.len()
}

impl Notification {
    /// Of the alerts of a group. Those that fire are kept before those that ended, where not all have room.
    #[must_use]
    pub fn new(
        receiver: &str,
        group: GroupKey,
        firing: &[AlertFact],
        resolved: &[AlertFact],
        max_bytes: usize,
    ) -> Self {
        let mut alerts: Vec<NotifiedAlert> = firing.iter().map(NotifiedAlert::from).collect();
        alerts.sort_by(NotifiedAlert::in_order);
        let mut ended: Vec<NotifiedAlert> = resolved.iter().map(NotifiedAlert::from).collect();
        ended.sort_by(NotifiedAlert::in_order);
        alerts.append(&mut ended);
        let all = alerts.len();
        let mut taken_bytes = 0;
        let kept = alerts.iter().take_while(|alert| {
            taken_bytes += weight_bytes(alert);
            taken_bytes <= max_bytes
        });
        let kept = kept.count();
        alerts.truncate(kept);
        alerts.sort_by(NotifiedAlert::in_order);
        Self {
            receiver: receiver.to_owned(),
            group,
            truncated_alerts: all - kept,
            alerts,
            shadow: false,
            acknowledged_by: None,
        }
    }

    /// That somebody took a group on.
    #[must_use]
    pub fn acknowledged(receiver: &str, group: GroupKey, by: String) -> Self {
        Self {
            acknowledged_by: Some(by),
            ..Self::new(receiver, group, &[], &[], 0)
        }
    }

    /// Whether any alert of it fires.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.alerts.iter().any(|alert| alert.ended_at.is_none())
    }

    /// The labels that all its alerts have with the same value.
    #[must_use]
    pub fn common_labels(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.labels))
    }

    /// The annotations that all its alerts have with the same value.
    #[must_use]
    pub fn common_annotations(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.annotations))
    }
}

fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let first = sets.next().cloned().unwrap_or_default();
    sets.fold(first, |common, set| {
        let same = |name: &str| common.get(name) == set.get(name);
        common.filtered(same)
    })
}

impl NotifiedAlert {
    /// `firing` or `resolved`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.ended_at {
            None => "firing",
            Some(_) => "resolved",
        }
    }

    /// Alertmanager's order: by job, by instance, by how many labels, by labels.
    fn in_order(&self, other: &Self) -> std::cmp::Ordering {
        // Those that have the label come first.
        let by = |name: &str| match (self.labels.get(name), other.labels.get(name)) {
            (Some(mine), Some(theirs)) => mine.cmp(theirs),
            (mine, theirs) => theirs.is_some().cmp(&mine.is_some()),
        };
        by("job")
            .then_with(|| by("instance"))
            .then_with(|| self.labels.len().cmp(&other.labels.len()))
            .then_with(|| in_order_of_names(&self.labels, &other.labels))
    }
}

/// Of two sets with as many labels: the first name that only one has, or whose values differ, decides.
fn in_order_of_names(mine: &Labels, other: &Labels) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let names: std::collections::BTreeSet<&str> =
        mine.iter().chain(other.iter()).map(|(name, _)| name).collect();
    let mut decided = names
        .into_iter()
        .map(|name| match (mine.get(name), other.get(name)) {
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(mine), Some(other)) => mine.cmp(other),
        });
    decided.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

impl From<&AlertFact> for NotifiedAlert {
    fn from(alert: &AlertFact) -> Self {
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.filtered(|name| name != GENERATOR_URL),
            starts_at: alert.starts_at,
            ended_at: alert.ended_at,
            generator_url: alert
                .annotations
                .get(GENERATOR_URL)
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(name: &str, ended: bool) -> AlertFact {
        let labels = Labels::from_iter([("alertname", name), ("cell", "c1")]);
        let starts_at = Timestamp::UNIX_EPOCH;
        AlertFact {
            fingerprint: labels.fingerprint(),
            annotations: Labels::from_iter([
                ("summary", "x".repeat(100)),
                (GENERATOR_URL, "http://g".to_owned()),
            ]),
            labels,
            starts_at,
            ended_at: ended.then_some(starts_at),
        }
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_fires_is_kept() {
        let firing = ["D", "B"].map(|name| fact(name, false));
        let resolved = ["C", "A"].map(|name| fact(name, true));
        let of = |max_bytes| Notification::new("team", GroupKey::default(), &firing, &resolved, max_bytes);
        let names = |told: &Notification| {
            let names = told
                .alerts
                .iter()
                .filter_map(|alert| alert.labels.get("alertname"));
            names.collect::<String>()
        };
        let whole = of(NOTIFICATION_MAX_BYTES);
        assert_eq!((names(&whole).as_str(), whole.truncated_alerts), ("ABCD", 0));
        assert!(whole.is_firing());
        assert_eq!(whole.common_labels(), Labels::from_iter([("cell", "c1")]));
        assert_eq!(whole.common_annotations().len(), 1, "the link is none of them");
        let cut = of(3 * weight_bytes(&whole.alerts[0]));
        assert_eq!((names(&cut).as_str(), cut.truncated_alerts), ("ABD", 1));
        let cut = of(100);
        assert_eq!((cut.alerts.len(), cut.truncated_alerts), (0, 4));
    }

    #[test]
    fn alerts_stand_in_the_order_of_alertmanager() {
        let alert = |pairs: &[(&str, &str)]| {
            let mut fact = fact("A", false);
            fact.labels = Labels::from_iter(pairs.iter().copied());
            fact
        };
        let sorted = [
            alert(&[("job", "a"), ("z", "1")]),
            alert(&[("instance", "1"), ("job", "b"), ("y", "1")]),
            alert(&[("job", "b"), ("y", "1")]),
            alert(&[("y", "9")]),
            alert(&[("b", "1"), ("y", "1")]),
            alert(&[("a", "1"), ("y", "0")]),
            alert(&[("a", "1"), ("y", "1")]),
        ];
        let mut shuffled = sorted.to_vec();
        shuffled.reverse();
        let told = Notification::new("t", GroupKey::default(), &shuffled, &[], NOTIFICATION_MAX_BYTES);
        let labels: Vec<&Labels> = told.alerts.iter().map(|alert| &alert.labels).collect();
        assert_eq!(
            labels,
            sorted.iter().map(|alert| &alert.labels).collect::<Vec<_>>()
        );
    }
}
