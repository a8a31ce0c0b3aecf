//! What routes in shadow would have told, and what others told.

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::shadow::{CutOf, Elsewhere, Told, in_force, report};
use mainstay_alert::{AlertCommand, AlertEvent};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal, JournalError, Record, Seq};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::notification::GroupKey;
use mainstay_kernel::{Digest, Principal};
use mainstay_plane::{Command, last_before};
use mainstay_web::Failure;
use mainstay_web::view::{CutOver, Done, RouteInForce, ShadowPair, ShadowReport, ShadowTold, ToldElsewhere};

use super::{PlaneConsole, failure, unavailable};
use crate::check::counted;

/// How many events are read at once, and how many are looked through at most.
const PAGE: usize = 1_000;
const EVENTS_MAX: u64 = 500_000;
/// How many notifications of each side are compared: the comparison costs one times the other.
const TOLD_MAX: usize = 2_000;
const LAST: SignedDuration = SignedDuration::from_hours(24);

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn note_elsewhere(&self, who: &Principal, told: ToldElsewhere) -> Result<Done, Failure> {
        let Some(told) = elsewhere(told) else {
            return Ok(Done {
                message: "Nobody is told of that kind of event: it is not kept.".to_owned(),
                events: Vec::new(),
            });
        };
        let message = format!("Noted what {} told {}.", told.source, told.receiver);
        let command = Command::Alert(AlertCommand::ToldElsewhere(told));
        let done = self.plane.submit(who.actor.clone(), command).await;
        let done = done.map_err(|error| failure(error, "It may be told once more."))?;
        Ok(Done {
            message,
            events: done.into_iter().map(|done| done.id).collect(),
        })
    }

    pub(super) async fn list_routes(&self) -> Vec<RouteInForce> {
        let look = self.plane.look(|states| {
            let routes = in_force(states.alerts, &states.catalog.response.routing).into_iter();
            let shown = routes.map(|one| {
                let of = one.by.map(|cut| &cut.of);
                RouteInForce {
                    receiver: one.route.route.receiver.clone(),
                    written: one.route.route.shadow,
                    route: one.route.name,
                    shadow: one.shadow,
                    by_route: of.and_then(|of| match of {
                        CutOf::Route(name) => Some(name.clone()),
                        CutOf::Receiver(_) => None,
                    }),
                    by_receiver: of.and_then(|of| match of {
                        CutOf::Receiver(name) => Some(name.clone()),
                        CutOf::Route(_) => None,
                    }),
                }
            });
            shown.collect()
        });
        look.await
    }

    pub(super) async fn cut(&self, who: &Principal, cut: CutOver) -> Result<Done, Failure> {
        let CutOver {
            route,
            receiver,
            live,
        } = cut;
        let of = match (route, receiver) {
            (Some(name), _) => CutOf::Route(name),
            (None, name) => CutOf::Receiver(name.unwrap_or_default()),
        };
        let found = self.plane.look(|states| {
            let routing = &states.catalog.response.routing;
            match &of {
                CutOf::Route(name) => {
                    let help = "The end of what `mainstay route list` shows is enough, if no other ends so.";
                    let found = routing.find_route(name).map(|named| named.name).ok();
                    (found, help.to_owned())
                }
                CutOf::Receiver(_) => {
                    let known: Vec<&str> = routing.receivers.keys().map(String::as_str).collect();
                    (None, format!("Receivers are {}.", known.join(", ")))
                }
            }
        });
        let (found, help) = found.await;
        let what = match (&of, found) {
            (CutOf::Receiver(name), _) => format!("what the receiver {name} is told"),
            (CutOf::Route(name), found) => format!(
                "what the route {} and those below it tell",
                found.as_ref().unwrap_or(name)
            ),
        };
        let becomes = match live {
            Some(true) => "leaves",
            Some(false) => "is only recorded",
            None => "leaves or not, as the catalog says",
        };
        let command = Command::Alert(AlertCommand::CutOver { of, live });
        let done = self.plane.submit(who.actor.clone(), command).await;
        let done = done.map_err(|error| failure(error, &help))?;
        let told = done.iter().filter(|one| one.kind == "alert.fired").count();
        let message = match (done.is_empty(), told) {
            (true, _) => format!("Nothing changes: {what} {becomes} already."),
            (false, 0) => format!("From now on: {what} {becomes}."),
            (false, told) => format!(
                "From now on: {what} {becomes}; {} that fired in shadow {} told now.",
                counted(told, "group"),
                if told == 1 { "is" } else { "are" }
            ),
        };
        Ok(Done {
            message,
            events: done.into_iter().map(|done| done.id).collect(),
        })
    }

    pub(super) async fn compare_shadow(&self, since: Option<Timestamp>) -> Result<ShadowReport, Failure> {
        let since = since.unwrap_or_else(|| self.now().saturating_sub(LAST).unwrap_or(Timestamp::MIN));
        let found = self
            .both_since(since)
            .await
            .map_err(|error| unavailable(&error))?;
        let (mut ours, theirs, truncated) = found;
        let telling = self.plane.look(|states| {
            let receivers = states.catalog.response.routing.receivers.iter();
            let tells = receivers.filter(|(_, one)| one.page.is_some() || !one.recipients().is_empty());
            tells
                .map(|(name, _)| name.clone())
                .collect::<std::collections::BTreeSet<String>>()
        });
        let telling = telling.await;
        ours.retain(|told| telling.contains(&told.receiver));
        let report = report(ours, theirs);
        let shown = |told: Vec<Told>| told.into_iter().map(view).collect();
        let pair = |(ours, theirs)| ShadowPair {
            ours: view(ours),
            theirs: view(theirs),
        };
        Ok(ShadowReport {
            since,
            both: report.both.into_iter().map(pair).collect(),
            only_ours: shown(report.only_ours),
            only_theirs: shown(report.only_theirs),
            truncated,
        })
    }

    /// What both told since an instant, and whether there was more.
    async fn both_since(&self, since: Timestamp) -> Result<(Vec<Told>, Vec<Told>, bool), JournalError> {
        let journal = &**self.plane.journal();
        let mut after = last_before(journal, since).await?;
        let end = Seq(after.0.saturating_add(EVENTS_MAX));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        loop {
            let page = journal.read(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok((ours, theirs, false));
            };
            after = last.envelope.seq;
            for record in page.iter().filter(|record| record.envelope.at >= since) {
                match told(record)? {
                    Some((true, told)) => ours.push(told),
                    Some((false, told)) => theirs.push(told),
                    None => {}
                }
            }
            if ours.len() > TOLD_MAX || theirs.len() > TOLD_MAX || after >= end {
                return Ok((ours, theirs, true));
            }
        }
    }
}

/// What an event says was told, and whether by us.
fn told(record: &Record) -> Result<Option<(bool, Told)>, JournalError> {
    if !record.envelope.kind.starts_with("alert.") {
        return Ok(None);
    }
    let ours = |receiver: &str, group: &str, key: &GroupKey, alerts: &[AlertFact], resolved: bool| {
        let mut names: Vec<&str> = alerts.iter().map(AlertFact::name).collect();
        names.sort_unstable();
        names.dedup();
        let told = Told {
            event: record.envelope.id,
            at: record.envelope.at,
            receiver: receiver.to_owned(),
            // An Alertmanager tells PagerDuty the digest of its key of the group.
            groups: vec![
                group.to_owned(),
                key.text.clone(),
                Digest::of(key.text.as_bytes()).to_string(),
            ],
            alerts: alerts.iter().map(|alert| alert.fingerprint).collect(),
            title: format!("{} {}", names.join(", "), key.labels),
            resolved,
        };
        Some((true, told))
    };
    Ok(match decode(record)? {
        Some(
            AlertEvent::Fired { fact }
            | AlertEvent::Reminded { fact }
            | AlertEvent::Eased { fact }
            | AlertEvent::Flapping { fact, .. },
        ) if fact.shadow => ours(&fact.receiver, &fact.group, &fact.key, &fact.firing, false),
        Some(AlertEvent::Resolved { fact }) if fact.shadow => {
            ours(&fact.receiver, &fact.group, &fact.key, &fact.resolved, true)
        }
        Some(AlertEvent::ToldElsewhere { told }) => {
            let told = Told {
                event: record.envelope.id,
                at: record.envelope.at,
                receiver: format!("{}/{}", told.source, told.receiver),
                groups: vec![told.group],
                alerts: told.alerts,
                title: told.title,
                resolved: told.resolved,
            };
            Some((false, told))
        }
        _ => None,
    })
}

fn view(told: Told) -> ShadowTold {
    ShadowTold {
        event: told.event,
        at: told.at,
        receiver: told.receiver,
        title: told.title,
        resolved: told.resolved,
    }
}

/// What another system told; none of what tells nobody.
fn elsewhere(told: ToldElsewhere) -> Option<Elsewhere> {
    match told {
        ToldElsewhere::Alertmanager(message) => {
            let names = message
                .alerts
                .iter()
                .filter_map(|alert| alert.labels.get("alertname"));
            let names: std::collections::BTreeSet<&str> = names.collect();
            let title = names.into_iter().collect::<Vec<_>>().join(", ");
            Some(Elsewhere {
                source: "alertmanager".to_owned(),
                receiver: message.receiver,
                group: message.group_key,
                alerts: message
                    .alerts
                    .iter()
                    .map(|alert| alert.labels.fingerprint())
                    .collect(),
                title,
                resolved: message.status == "resolved",
            })
        }
        ToldElsewhere::PagerDuty(message) => {
            let event = message.event;
            let resolved = match event.event_type.as_str() {
                "incident.triggered" => false,
                "incident.resolved" => true,
                _ => return None,
            };
            Some(Elsewhere {
                source: "pagerduty".to_owned(),
                receiver: event
                    .data
                    .service
                    .map(|service| service.summary)
                    .unwrap_or_default(),
                group: event.data.incident_key.unwrap_or(event.data.id),
                alerts: std::collections::BTreeSet::new(),
                title: event.data.title,
                resolved,
            })
        }
    }
}
