//! What an event decided, in a sentence.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_alert::{AlertEvent, HeldBy};
use mainstay_catalog::duration;
use mainstay_delivery::DeliveryEvent;
use mainstay_incident::IncidentEvent;
use mainstay_journal::runner::decode;
use mainstay_journal::{JournalError, Record};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Actor, Digest, Scope};
use mainstay_oncall::OncallEvent;

use super::Step;

/// The most alerts that one line names.
const NAMED_MAX: usize = 5;

fn milliseconds(ms: i64) -> String {
    duration::format(jiff::SignedDuration::from_millis(ms))
}

/// What the start of an alert decided: that it fires, and where its routes put it.
pub(super) fn started(record: &Record) -> Result<Vec<(Step, String)>, JournalError> {
    let Some(AlertEvent::Started {
        alert,
        severity,
        placements,
        believed_for_ms,
    }) = decode(record)?
    else {
        return Ok(Vec::new());
    };
    let source = match alert.annotations.get("mainstay_source") {
        Some("slo") => "by an objective",
        Some(_) => "by a rule",
        None => "as its sender says",
    };
    let name = alert.name();
    let summary = alert.annotations.get("summary");
    let summary = summary.map(|text| format!(" \"{text}\".")).unwrap_or_default();
    let whole_seconds = |ms: i64| milliseconds((ms / 1_000).max(1) * 1_000);
    let believed =
        believed_for_ms.map(|ms| format!(" Believed for {} unless it is told again.", whole_seconds(ms)));
    let fires = format!(
        "{name} {} fires since {}, {source}, as a {severity}.{summary}{}",
        alert.labels,
        alert.starts_at,
        believed.unwrap_or_default()
    );
    let mut decisions = vec![(Step::Rule, fires)];
    if placements.is_empty() {
        decisions.push((Step::Route, "No route takes it: nobody is told.".to_owned()));
    }
    for placement in placements {
        let text = format!(
            "A route gives it to receiver {} in group {}: a new group waits {}, news waits {}, it is told again after {}.",
            placement.receiver,
            placement.group,
            milliseconds(placement.group_wait_ms),
            milliseconds(placement.group_interval_ms),
            milliseconds(placement.repeat_interval_ms)
        );
        decisions.push((Step::Route, text));
    }
    Ok(decisions)
}

/// What holds an alert back.
pub(super) fn held(by: &HeldBy) -> (Step, String) {
    match by {
        HeldBy::Inhibited { by } => (
            Step::Inhibition,
            format!(
                "Held back: alert {} fires, which says the same and more.",
                by.short()
            ),
        ),
        HeldBy::Muted { interval } => (
            Step::Silence,
            format!("Held back: its route is muted in the time interval {interval}."),
        ),
        HeldBy::Flapping { starts, within_ms } => (
            Step::Grouping,
            format!(
                "Held back: it began {starts} times in {}; its end is told when it is stable.",
                milliseconds(*within_ms)
            ),
        ),
        HeldBy::Inactive => (
            Step::Silence,
            "Held back: its route is active in other time intervals only.".to_owned(),
        ),
        HeldBy::Silenced { by } => (Step::Silence, format!("Held back by silence {by}.")),
    }
}

/// That nothing holds an alert back any more.
pub(super) fn released() -> (Step, String) {
    (Step::Silence, "Nothing holds it back any more.".to_owned())
}

/// What an event of a group decided about one of its alerts.
pub(super) fn grouped(event: &AlertEvent, fingerprint: Digest) -> Option<(Step, String)> {
    let others = |alerts: &[AlertFact]| match alerts.len() {
        0 | 1 => "alone".to_owned(),
        2 => "with 1 other".to_owned(),
        many => format!("with {} others", many - 1),
    };
    let has = |alerts: &[AlertFact]| alerts.iter().any(|alert| alert.fingerprint == fingerprint);
    let mode = |shadow: bool| if shadow { "In shadow: told" } else { "Told" };
    Some(match event {
        AlertEvent::Fired { fact } if has(&fact.firing) => (
            Step::Grouping,
            format!(
                "{} to receiver {}, {}, as a {}.",
                mode(fact.shadow),
                fact.receiver,
                others(&fact.firing),
                fact.severity
            ),
        ),
        AlertEvent::Reminded { fact } if has(&fact.firing) => (
            Step::Grouping,
            format!(
                "{} again to receiver {}: nothing changed.",
                mode(fact.shadow),
                fact.receiver
            ),
        ),
        AlertEvent::Flapping { fact, flapping } if has(&fact.firing) => {
            let by = flapping.iter().find(|one| one.fingerprint == fingerprint);
            match by {
                Some(one) => held(&one.by),
                None => (
                    Step::Grouping,
                    format!("Told to receiver {} beside what flaps.", fact.receiver),
                ),
            }
        }
        AlertEvent::Settled { alerts, .. } if alerts.contains(&fingerprint) => {
            (Step::Grouping, "It is stable: it flaps no more.".to_owned())
        }
        AlertEvent::Eased { fact } if has(&fact.resolved) => (
            Step::Grouping,
            format!("Its end told to receiver {}: others still fire.", fact.receiver),
        ),
        AlertEvent::Resolved { fact } if has(&fact.resolved) => (
            Step::Grouping,
            format!(
                "{}ts end told to receiver {}, {}.",
                if fact.shadow { "In shadow: i" } else { "I" },
                fact.receiver,
                others(&fact.resolved)
            ),
        ),
        _ => return None,
    })
}

fn people(people: &[mainstay_kernel::PersonId]) -> String {
    let names: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
    names.join(" and ")
}

/// Alerts of which it was said that they belong to an incident, each with its start: an incident is told of a group anew
/// with all that fire in it.
pub(super) type Attached = BTreeSet<(Digest, Timestamp)>;

/// What an event of an incident, a page or a delivery decided; `None` for what is no decision about who is told, or was
/// said before.
pub(super) fn other(
    record: &Record,
    attached: &mut Attached,
) -> Result<Option<(Step, String)>, JournalError> {
    let kind = record.envelope.kind.as_str();
    let capability = kind.split_once('.').map_or("", |(capability, _)| capability);
    Ok(match capability {
        "incident" => decode(record)?.and_then(|event| incident(event, attached)),
        "oncall" => decode(record)?.and_then(|event| oncall(event, &record.envelope.actor)),
        "delivery" => decode(record)?.and_then(delivery),
        _ => None,
    })
}

/// `HighErrorRate (payment-service in cell-5) and HighLatency (cell-6) belong`.
fn belong(alerts: &[AlertFact]) -> String {
    let named = |alert: &AlertFact| format!("{} ({})", alert.name(), Scope::from_labels(&alert.labels));
    let mut names: Vec<String> = alerts.iter().take(NAMED_MAX).map(named).collect();
    if let Some(more) = alerts.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    let verb = if names.len() == 1 { "belongs" } else { "belong" };
    let last = names.pop().unwrap_or_default();
    match names.is_empty() {
        true => format!("{last} {verb}"),
        false => format!("{} and {last} {verb}", names.join(", ")),
    }
}

fn incident(event: IncidentEvent, attached: &mut Attached) -> Option<(Step, String)> {
    let text = match event {
        IncidentEvent::Declared { fact, .. } => format!(
            "No open incident is about it: incident {} declared, {}, {} ({}).",
            fact.incident, fact.severity, fact.title, fact.scope
        ),
        IncidentEvent::AlertsAttached {
            incident, mut alerts, ..
        } => {
            alerts.retain(|alert| attached.insert((alert.fingerprint, alert.starts_at)));
            if alerts.is_empty() {
                return None;
            }
            format!("{} to incident {incident}.", belong(&alerts))
        }
        IncidentEvent::Widened {
            incident,
            from,
            to,
            reason,
            ..
        } => format!("Incident {incident} is wider than {from}: {to}, because {reason}."),
        IncidentEvent::SeverityChanged {
            incident,
            from,
            to,
            reason,
        } => {
            format!("Incident {incident} from {from} to {to}: {reason}.")
        }
        IncidentEvent::PageRequested(request) => {
            let policy = request
                .policy
                .map(|policy| format!(" by policy {policy}"))
                .unwrap_or_default();
            format!(
                "A {} wakes people: page {}{policy}.",
                request.severity, request.page
            )
        }
        IncidentEvent::Resolved { incident, .. } => format!("Incident {incident} resolved."),
        IncidentEvent::AcknowledgementPassedOn { to, .. } => {
            let told = to
                .iter()
                .map(|told| format!("{} for {}", told.receiver, told.group));
            let told: Vec<String> = told.collect();
            let text = format!("The acknowledgement is passed on to {}.", told.join(", "));
            return Some((Step::Acknowledgement, text));
        }
        _ => return None,
    };
    Some((Step::Correlation, text))
}

fn oncall(event: OncallEvent, actor: &Actor) -> Option<(Step, String)> {
    let text = match event {
        OncallEvent::Opened { request, policy } => {
            format!("Page {} climbs by escalation policy {policy}.", request.page)
        }
        OncallEvent::Notified {
            people: told,
            level,
            round,
            inform,
            ..
        } => {
            let (level, round) = (level + 1, round + 1);
            let what = if inform { "informs" } else { "pages" };
            format!("Level {level} of round {round} {what} {}.", people(&told))
        }
        OncallEvent::TurnTaken { level, turn, .. } => {
            format!("Level {} pages one at a time: {turn}.", level + 1)
        }
        OncallEvent::Insisted { person, channels, .. } => {
            let names: Vec<&str> = channels.into_iter().map(Channel::name).collect();
            format!(
                "{person} has not acknowledged: told by {} too.",
                names.join(" and ")
            )
        }
        OncallEvent::Unreachable { person, .. } => {
            format!("No channel reaches {person}: the next level does not wait.")
        }
        OncallEvent::NobodyReached { level, why, .. } => {
            format!("Level {} reaches nobody: {why}.", level + 1)
        }
        OncallEvent::RoundBegan { round, .. } => format!("Nobody acknowledged: round {} begins.", round + 1),
        OncallEvent::Widened { people: told, .. } if told.is_empty() => return None,
        OncallEvent::Widened {
            people: told, scope, ..
        } => {
            let verb = if told.len() == 1 { "hears" } else { "hear" };
            let place = scope.to_string();
            let place = place.strip_prefix("in ").unwrap_or(&place);
            format!("{} {verb} that it concerns {place}.", people(&told))
        }
        OncallEvent::Superseded { page, by } => format!("Page {page} gives way to the worse page {by}."),
        OncallEvent::Acknowledged(fact) => {
            // Whoever is no person of the catalog has an account all the same.
            let by = fact.by.map_or_else(|| actor.to_string(), |by| by.to_string());
            return Some((
                Step::Acknowledgement,
                format!("{by} acknowledged page {}.", fact.page),
            ));
        }
        OncallEvent::Closed { page, .. } => format!("Page {page} closed: its incident is over."),
        OncallEvent::Overridden { .. }
        | OncallEvent::Withdrawn { .. }
        | OncallEvent::SwapAsked(_)
        | OncallEvent::SwapEnded { .. }
        | OncallEvent::FeedOpened(_)
        | OncallEvent::FeedClosed { .. }
        | OncallEvent::Reminded { .. }
        | OncallEvent::HandoverNoted { .. }
        | OncallEvent::HandedOver { .. } => return None,
    };
    Some((Step::OnCall, text))
}

fn delivery(event: DeliveryEvent) -> Option<(Step, String)> {
    Some(match event {
        DeliveryEvent::Delivered { fact, .. } => {
            let again = if fact.possible_duplicate {
                ", marked as a possible duplicate"
            } else {
                ""
            };
            let (channel, to) = (fact.channel.name(), fact.to.name());
            (
                Step::Receipt,
                format!(
                    "{channel} to {to}: delivered at attempt {}{again}; {}.",
                    fact.attempt, fact.receipt
                ),
            )
        }
        DeliveryEvent::Delayed {
            channel,
            to,
            attempt,
            reason,
            ..
        } => (
            Step::Receipt,
            format!(
                "{} to {}: attempt {attempt} failed, another follows; {reason}.",
                channel.name(),
                to.name()
            ),
        ),
        DeliveryEvent::Refused {
            channel, to, reason, ..
        } => (
            Step::Receipt,
            format!("{} to {}: refused for good; {reason}.", channel.name(), to.name()),
        ),
        DeliveryEvent::Withdrawn {
            channel, to, reason, ..
        } => (
            Step::Receipt,
            format!("{} to {}: not tried again; {reason}.", channel.name(), to.name()),
        ),
        DeliveryEvent::Withheld {
            channel, to, subject, ..
        } => (
            Step::Receipt,
            format!(
                "In shadow: {:?} would have been sent to {} by {}; nothing left.",
                subject,
                to.name(),
                channel.name()
            ),
        ),
        DeliveryEvent::Undeliverable { person, reason, .. } => (
            Step::Channel,
            format!("Every channel of {person} refused the page; the last said: {reason}."),
        ),
        DeliveryEvent::FellOver { next, .. } => (
            Step::Channel,
            format!("{} is tried too, for {}.", next.channel.name(), next.to.name()),
        ),
    })
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::{Labels, PageId};

    use super::*;

    fn alert(name: &str, cell: &str) -> AlertFact {
        let labels = Labels::from_iter([("alertname", name), ("cell", cell)]);
        AlertFact {
            fingerprint: labels.fingerprint(),
            labels,
            annotations: Labels::new(),
            starts_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
        }
    }

    #[test]
    fn alerts_that_join_an_incident_are_named_once() {
        let mut attached = Attached::new();
        let mut said = |alerts: &[AlertFact]| {
            let event = IncidentEvent::AlertsAttached {
                incident: "2026-03-02-001".parse().expect("an id"),
                group: "{}".to_owned(),
                alerts: alerts.to_vec(),
            };
            incident(event, &mut attached).map(|(_, text)| text)
        };
        let all: Vec<AlertFact> = (1..9)
            .map(|cell| alert("Slow", &format!("cell-{cell}")))
            .collect();
        assert_eq!(
            said(&all[..1]).as_deref(),
            Some("Slow (in cell-1) belongs to incident 2026-03-02-001.")
        );
        assert_eq!(said(&all[..1]), None);
        assert_eq!(
            said(&all[..3]).as_deref(),
            Some("Slow (in cell-2) and Slow (in cell-3) belong to incident 2026-03-02-001.")
        );
        let many: Vec<AlertFact> = (1..9)
            .map(|cell| alert("Down", &format!("cell-{cell}")))
            .collect();
        let text = said(&many).unwrap_or_default();
        assert!(text.contains("Down (in cell-5) and 3 more belong to"), "{text}");
    }

    #[test]
    fn one_person_hears_and_many_hear() {
        let told = |people: &[&str], labels: &Labels| {
            let event = OncallEvent::Widened {
                page: PageId::new("2026-03-02-001-p1").expect("an id"),
                scope: Scope::from_labels(labels),
                title: String::new(),
                people: people.iter().filter_map(|one| one.parse().ok()).collect(),
            };
            oncall(event, &Actor::machine("oncall")).map(|(_, text)| text)
        };
        let one = told(&["ada"], &Labels::from_iter([("cell", "cell-5")]));
        assert_eq!(one.as_deref(), Some("ada hears that it concerns cell-5."));
        let two = told(&["ada", "bob"], &Labels::new());
        assert_eq!(
            two.as_deref(),
            Some("ada and bob hear that it concerns the platform.")
        );
    }
}
