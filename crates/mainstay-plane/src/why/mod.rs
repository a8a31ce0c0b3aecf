//! Why somebody was told, or was not: every decision about an alert, a page or an incident in its order, read off the
//! journal alone. Events name what caused them; nothing here is taken from a log or from a state at hand.

mod search;
mod words;

pub use search::newest_start;

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_alert::AlertEvent;
use mainstay_incident::IncidentEvent;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal, JournalError, Record, Seq, StreamId};
use mainstay_kernel::{Digest, EventId, IncidentId, PageId, Scope};
use serde::Serialize;

/// The most events that are followed for one answer.
const EVENTS_MAX: usize = 2_000;
/// The most events that one event led to, of which an answer tells.
const CAUSED_MAX: usize = 200;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An alert, by the beginning of its fingerprint.
    Alert(String),
    /// A page.
    Page(PageId),
    /// An incident: the alert that began it, and all of its pages.
    Incident(IncidentId),
}

/// Which kind of decision it was, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// That it fires.
    Rule,
    /// Who is to hear of it.
    Route,
    /// That another alert says the same and more.
    Inhibition,
    /// That a silence or a time interval keeps it back.
    Silence,
    /// With what it is told, and when.
    Grouping,
    /// Which incident it belongs to, and whether that wakes people.
    Correlation,
    /// Who they are.
    OnCall,
    /// How they are told.
    Channel,
    /// What became of it.
    Receipt,
    /// That somebody took it on.
    Acknowledgement,
}

impl Step {
    /// How people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Route => "route",
            Self::Inhibition => "inhibition",
            Self::Silence => "silence",
            Self::Grouping => "grouping",
            Self::Correlation => "incident",
            Self::OnCall => "on-call",
            Self::Channel => "channel",
            Self::Receipt => "receipt",
            Self::Acknowledgement => "acknowledged",
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// Of which kind.
    pub step: Step,
    /// What was decided.
    pub text: String,
    /// The event that holds it.
    pub event: EventId,
    /// What it concerns: whoever may see that, may see the decision.
    pub scope: Scope,
}

/// Every decision about something, in the order in which they were made; empty if the journal knows nothing of it.
///
/// # Errors
/// If the journal cannot be read.
pub async fn why(journal: &impl Journal, subject: &Subject) -> Result<Vec<Decision>, JournalError> {
    let mut trail = Trail {
        journal,
        seen: BTreeSet::new(),
        attached: words::Attached::new(),
        decisions: Vec::new(),
    };
    match subject {
        Subject::Alert(fingerprint) => trail.alert(fingerprint).await?,
        Subject::Page(page) => trail.page(page).await?,
        Subject::Incident(incident) => trail.incident(incident).await?,
    }
    trail
        .decisions
        .sort_by_key(|(seq, decision)| (*seq, decision.step));
    Ok(trail
        .decisions
        .into_iter()
        .map(|(_, decision)| decision)
        .collect())
}

struct Trail<'a, J> {
    journal: &'a J,
    seen: BTreeSet<Seq>,
    attached: words::Attached,
    decisions: Vec<(Seq, Decision)>,
}

impl<J: Journal> Trail<'_, J> {
    /// Takes a decision down; several may be in one event.
    fn note(&mut self, record: &Record, decided: impl IntoIterator<Item = (Step, String)>) {
        let envelope = &record.envelope;
        for (step, text) in decided {
            let decision = Decision {
                at: envelope.at,
                step,
                text,
                event: envelope.id,
                scope: envelope.scope.clone(),
            };
            self.decisions.push((envelope.seq, decision));
        }
    }

    /// Takes down what an event of an incident, a page or a delivery decided.
    fn other(&mut self, record: &Record) -> Result<(), JournalError> {
        let decided = words::other(record, &mut self.attached)?;
        self.note(record, decided);
        Ok(())
    }

    /// Whether an event is new to the trail, and there is room for it.
    fn is_new(&mut self, record: &Record) -> bool {
        self.seen.len() < EVENTS_MAX && self.seen.insert(record.envelope.seq)
    }

    async fn stream(&self, kind: &str, name: &str) -> Result<Vec<Record>, JournalError> {
        let stream = StreamId::new(kind, name);
        self.journal.read_stream(&stream, 0, EVENTS_MAX).await
    }

    /// The last time that the alert began to fire, and what became of it.
    async fn alert(&mut self, fingerprint: &str) -> Result<(), JournalError> {
        let short: String = fingerprint.chars().take(12).collect();
        let events = self.stream("alert", &short).await?;
        let Some(started) = events
            .iter()
            .rev()
            .find(|record| record.envelope.kind == "alert.started")
        else {
            return Ok(());
        };
        self.started(started, None).await
    }

    /// What was decided from an alert's start on, up to `until` if that is said.
    async fn started(&mut self, started: &Record, until: Option<Seq>) -> Result<(), JournalError> {
        if !self.is_new(started) {
            return Ok(());
        }
        self.note(started, words::started(started)?);
        let Some(AlertEvent::Started {
            alert, placements, ..
        }) = decode(started)?
        else {
            return Ok(());
        };
        let from = started.envelope.seq;
        for placement in placements {
            let group = Digest::of(placement.group.as_bytes()).short();
            let events = self.stream("alert-group", &group).await?;
            let after = events.into_iter().filter(|record| record.envelope.seq > from);
            let upto = after.filter(|record| until.is_none_or(|until| record.envelope.seq <= until));
            self.group(upto.collect(), alert.fingerprint, until.is_none())
                .await?;
        }
        Ok(())
    }

    /// What a group decided about one of its alerts, since that fires.
    async fn group(
        &mut self,
        events: Vec<Record>,
        fingerprint: Digest,
        follow: bool,
    ) -> Result<(), JournalError> {
        let mut held_before = false;
        for record in events {
            if !self.is_new(&record) {
                continue;
            }
            let Some(event) = decode::<AlertEvent>(&record)? else {
                continue;
            };
            if let AlertEvent::Held { held, .. } = &event {
                let mine = held.iter().find(|alert| alert.fingerprint == fingerprint);
                match mine {
                    Some(alert) => self.note(&record, [words::held(&alert.by)]),
                    None if held_before => self.note(&record, [words::released()]),
                    None => {}
                }
                if let Some(mainstay_alert::HeldBy::Silenced { by }) = mine.map(|alert| &alert.by) {
                    self.silence(by.as_str()).await?;
                }
                held_before = mine.is_some();
                continue;
            }
            let Some(said) = words::grouped(&event, fingerprint) else {
                continue;
            };
            if std::mem::take(&mut held_before) {
                self.note(&record, [words::released()]);
            }
            let over = matches!(event, AlertEvent::Resolved { .. });
            self.note(&record, [said]);
            if follow {
                self.after(&record).await?;
            }
            if over {
                break;
            }
        }
        Ok(())
    }

    /// Who made a silence, and why.
    async fn silence(&mut self, id: &str) -> Result<(), JournalError> {
        for record in self.stream("silence", id).await? {
            if let (true, Some(AlertEvent::Silenced { silence })) = (self.is_new(&record), decode(&record)?) {
                let text = format!(
                    "Silence {} of {} until {}: {}.",
                    silence.id, silence.created_by, silence.ends_at, silence.comment
                );
                self.note(&record, [(Step::Silence, text)]);
            }
        }
        Ok(())
    }

    /// Everything that an event led to.
    async fn after(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut ahead = vec![record.envelope.id];
        while let Some(id) = ahead.pop() {
            for record in self.journal.caused_by(id, CAUSED_MAX).await? {
                if !self.is_new(&record) {
                    continue;
                }
                self.other(&record)?;
                if record.envelope.kind == "oncall.opened"
                    && let Some(page) = record.envelope.stream.0.strip_prefix("page/")
                {
                    let page = page.to_owned();
                    self.of_page(&page).await?;
                }
                ahead.push(record.envelope.id);
            }
        }
        Ok(())
    }

    /// All of a page's own events, those of humans among them, which nothing in the journal caused.
    async fn of_page(&mut self, page: &str) -> Result<(), JournalError> {
        for record in self.stream("page", page).await? {
            if self.is_new(&record) {
                self.other(&record)?;
                Box::pin(self.after(&record)).await?;
            }
        }
        Ok(())
    }

    async fn page(&mut self, page: &PageId) -> Result<(), JournalError> {
        let events = self.stream("page", page.as_str()).await?;
        let Some(opened) = events.first() else {
            return Ok(());
        };
        self.before(opened).await?;
        self.of_page(page.as_str()).await
    }

    /// What led to an event, back to the alert that began it.
    async fn before(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut next = record.envelope.cause;
        while let Some(id) = next {
            let Some(record) = self.journal.find(id).await? else {
                return Ok(());
            };
            next = record.envelope.cause;
            if let Some(AlertEvent::Fired { fact }) = alert_event(&record)? {
                // A group is told because of its alerts: the worst of them stands for all.
                let worst = fact.firing.iter().min_by_key(|alert| {
                    let severity = mainstay_kernel::Severity::from_labels(&alert.labels);
                    (severity.is_none(), severity, alert.starts_at)
                });
                if let Some(alert) = worst {
                    let events = self.stream("alert", &alert.fingerprint.short()).await?;
                    let began = |one: &&Record| {
                        one.envelope.kind == "alert.started" && one.envelope.seq < record.envelope.seq
                    };
                    if let Some(started) = events.iter().rev().find(began) {
                        return self.started(started, Some(record.envelope.seq)).await;
                    }
                }
            }
            if self.is_new(&record) {
                self.other(&record)?;
            }
        }
        Ok(())
    }

    async fn incident(&mut self, incident: &IncidentId) -> Result<(), JournalError> {
        for record in self.stream("incident", incident.as_str()).await? {
            if self.seen.is_empty() {
                self.before(&record).await?;
            }
            if !self.is_new(&record) {
                continue;
            }
            self.other(&record)?;
            if let Some(IncidentEvent::PageRequested(request)) = incident_event(&record)? {
                self.of_page(request.page.as_str()).await?;
            }
        }
        Ok(())
    }
}

fn alert_event(record: &Record) -> Result<Option<AlertEvent>, JournalError> {
    if record.envelope.kind.starts_with("alert.") {
        decode(record)
    } else {
        Ok(None)
    }
}

fn incident_event(record: &Record) -> Result<Option<IncidentEvent>, JournalError> {
    if record.envelope.kind.starts_with("incident.") {
        decode(record)
    } else {
        Ok(None)
    }
}
