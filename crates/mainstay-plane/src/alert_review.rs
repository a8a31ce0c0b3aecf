//! Which alerts of a time were worth it: what fired, woke people and led to work, and what never fired. From the journal alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::AlertEvent;
use mainstay_catalog::response::is_beat;
use mainstay_incident::IncidentEvent;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal, JournalError, Record};
use mainstay_kernel::principal::ActorKind;
use mainstay_kernel::{Actor, Digest, IncidentId, Severity};

use crate::history::events_within;

/// An incident that an alert of the time joins may be older than the time by so much.
const EARLIER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most times that are told apart.
const FIRINGS_MAX: usize = 200_000;

/// How often alerts of a name fired, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameReview {
    /// How often they fired.
    pub fired: u64,
    /// How often in an incident.
    pub in_incident: u64,
    /// How often somebody was paged for it.
    pub paged: u64,
    /// How often in one that somebody acknowledged and worked on.
    pub actionable: u64,
}

/// An incident that no alert belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unannounced {
    /// Which.
    pub incident: IncidentId,
    /// What was wrong.
    pub title: String,
    /// How bad it was.
    pub severity: Severity,
    /// When it was declared.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// Which alerts of a time were worth it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertReview {
    /// By the alert's name.
    pub names: BTreeMap<String, NameReview>,
    /// The objectives whose alerts fired.
    pub objectives: BTreeSet<String>,
    /// Incidents that people declared and no alert told of.
    pub unannounced: Vec<Unannounced>,
    /// How many times are not told apart because there were too many.
    pub left_out: u64,
}

struct Firing {
    name: String,
    fingerprint: Digest,
    at: Timestamp,
}

#[derive(Default)]
struct Known {
    declared: Option<Unannounced>,
    alerts: Vec<(Digest, Timestamp)>,
    /// When pages were asked for.
    pages: BTreeSet<Timestamp>,
    acknowledged: bool,
    worked: bool,
}

#[derive(Default)]
struct Gathered {
    firings: Vec<Firing>,
    objectives: BTreeSet<String>,
    incidents: BTreeMap<IncidentId, Known>,
    left_out: u64,
}

impl Gathered {
    fn take(&mut self, record: &Record, from: Timestamp) -> Result<(), JournalError> {
        let envelope = &record.envelope;
        match envelope.kind.as_str() {
            "alert.started" if envelope.at >= from => {
                if let Some(AlertEvent::Started { alert, .. }) = decode(record)?
                    && !is_beat(&alert.labels)
                {
                    self.objectives
                        .extend(alert.labels.get("slo").map(ToOwned::to_owned));
                    if self.firings.len() >= FIRINGS_MAX {
                        self.left_out += 1;
                        return Ok(());
                    }
                    self.firings.push(Firing {
                        name: alert.name().to_owned(),
                        fingerprint: alert.fingerprint,
                        at: envelope.at,
                    });
                }
            }
            kind if kind.starts_with("incident.") => {
                if let Some(event) = decode::<IncidentEvent>(record)? {
                    let known = self.incidents.entry(event.incident().clone()).or_default();
                    known.take(event, envelope.at, &envelope.actor);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The incident that a firing belongs to, and since when: the first that took the alert in from then on, before it began
    /// again.
    fn incident_of(&self, firing: &Firing, joined: &Joined<'_>) -> Option<(Timestamp, &Known)> {
        let later = |times: &Vec<Timestamp>| {
            let place = times.partition_point(|at| *at <= firing.at);
            times.get(place).copied()
        };
        let again = joined.began.get(&firing.fingerprint).and_then(later);
        let joins = joined.incidents.get(&firing.fingerprint)?;
        let place = joins.partition_point(|(at, _)| *at < firing.at);
        let (at, incident) = joins.get(place)?;
        let is_its = again.is_none_or(|again| *at < again);
        let known = self.incidents.get(*incident).filter(|_| is_its)?;
        Some((*at, known))
    }
}

/// By alert: when it began, and when it joined which incident; both in order.
#[derive(Default)]
struct Joined<'a> {
    began: BTreeMap<Digest, Vec<Timestamp>>,
    incidents: BTreeMap<Digest, Vec<(Timestamp, &'a IncidentId)>>,
}

impl<'a> Joined<'a> {
    fn of(gathered: &'a Gathered) -> Self {
        let mut joined = Self::default();
        for firing in &gathered.firings {
            joined
                .began
                .entry(firing.fingerprint)
                .or_default()
                .push(firing.at);
        }
        for (incident, known) in &gathered.incidents {
            for (alert, at) in &known.alerts {
                joined.incidents.entry(*alert).or_default().push((*at, incident));
            }
        }
        joined.began.values_mut().for_each(|times| times.sort_unstable());
        joined
            .incidents
            .values_mut()
            .for_each(|joins| joins.sort_unstable());
        joined
    }
}

impl Known {
    fn take(&mut self, event: IncidentEvent, at: Timestamp, by: &Actor) {
        match event {
            IncidentEvent::Declared { fact, .. } => {
                self.declared = Some(Unannounced {
                    incident: fact.incident,
                    title: fact.title,
                    severity: fact.severity,
                    at,
                    by: by.clone(),
                });
            }
            IncidentEvent::AlertsAttached { alerts, .. } => {
                self.alerts
                    .extend(alerts.into_iter().map(|alert| (alert.fingerprint, at)));
            }
            IncidentEvent::PageRequested(_) => {
                self.pages.insert(at);
            }
            IncidentEvent::Acknowledged(_) => self.acknowledged = true,
            IncidentEvent::RunbookStep { .. } => self.worked = true,
            IncidentEvent::Noted { .. } => self.worked |= by.kind != ActorKind::Machine,
            // What was changed before it began may have caused it; what was changed since is work on it.
            IncidentEvent::ChangeLinked { change, .. } => {
                self.worked |= self
                    .declared
                    .as_ref()
                    .is_some_and(|declared| declared.at <= change.at);
            }
            _ => {}
        }
    }
}

/// Reviews the alerts from `from` to `until`.
///
/// # Errors
/// If the journal cannot be read.
pub async fn alert_review(
    journal: &impl Journal,
    from: Timestamp,
    until: Timestamp,
) -> Result<AlertReview, JournalError> {
    let earlier = from.saturating_sub(EARLIER).unwrap_or(Timestamp::MIN);
    let mut gathered = Gathered::default();
    events_within(journal, earlier, until, |record| gathered.take(record, from)).await?;
    let joined = Joined::of(&gathered);
    let mut names: BTreeMap<String, NameReview> = BTreeMap::new();
    for firing in &gathered.firings {
        let known = gathered.incident_of(firing, &joined);
        let name = names.entry(firing.name.clone()).or_default();
        name.fired += 1;
        if let Some((joined_at, known)) = known {
            name.in_incident += 1;
            // Those for which somebody was paged, not all that the incident then had.
            name.paged += u64::from(known.pages.contains(&joined_at));
            name.actionable += u64::from(known.acknowledged && known.worked);
        }
    }
    let silent = gathered
        .incidents
        .values()
        .filter(|known| known.alerts.is_empty());
    let unannounced = silent.filter_map(|known| known.declared.clone());
    Ok(AlertReview {
        unannounced: unannounced.filter(|declared| declared.at >= from).collect(),
        names,
        objectives: gathered.objectives,
        left_out: gathered.left_out,
    })
}
