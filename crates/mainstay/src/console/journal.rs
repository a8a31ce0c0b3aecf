//! The journal's answers, and the catalog in force.

use std::collections::BTreeMap;

use mainstay_catalog::Format;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::{Journal, JournalError, Record};
use mainstay_kernel::{EventId, Principal};
use mainstay_plane::Decision;
use mainstay_web::Failure;
use mainstay_web::view::{
    CatalogInfo, Decided, DocumentCount, Explained, JournalReport, PartitionReport, Why, WhyStep,
};
use serde_json::Value;

use super::subject::Named;
use super::{PlaneConsole, not_found, sight, unavailable};

/// The longest chain of causes that is followed.
const LINKS_MAX: usize = 100;
/// How much of an event's content is shown, in characters.
const TEXT_MAX_CHARS: usize = 300;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The event, what caused it, and so on. Who is limited to some tenants sees the links that concern one of them.
    pub(super) async fn why_event(&self, who: &Principal, event: EventId) -> Result<Why, Failure> {
        let mut chain = Vec::new();
        let mut next = Some(event);
        while let Some(id) = next.filter(|_| chain.len() < LINKS_MAX) {
            let record = self
                .plane
                .journal()
                .find(id)
                .await
                .map_err(|error| unavailable(&error))?;
            let Some(record) = record.filter(|record| sight::sees(who, &record.envelope.scope)) else {
                break;
            };
            next = record.envelope.cause;
            chain.push(step(&record));
        }
        if chain.is_empty() {
            return Err(not_found(format!("event {event}")));
        }
        Ok(Why { chain })
    }

    /// Every decision about an alert, a page or an incident. Who is limited to some tenants sees those that concern them.
    pub(super) async fn explain_decisions(
        &self,
        who: &Principal,
        subject: String,
    ) -> Result<Explained, Failure> {
        let mut named = self.named(who, &subject).await;
        let mut decisions = self.decisions_about(who, named.as_ref()).await?;
        if decisions.is_empty() {
            named = self.ended(who, &subject).await?;
            decisions = self.decisions_about(who, named.as_ref()).await?;
        }
        if decisions.is_empty() {
            return Err(not_found(format!("alert, page or incident {subject}")));
        }
        let decided = |decision: Decision| Decided {
            at: decision.at,
            step: decision.step.name().to_owned(),
            text: decision.text,
            event: decision.event,
        };
        Ok(Explained {
            subject,
            note: named.and_then(|named| named.note),
            decisions: decisions.into_iter().map(decided).collect(),
        })
    }

    async fn decisions_about(
        &self,
        who: &Principal,
        named: Option<&Named>,
    ) -> Result<Vec<Decision>, Failure> {
        let Some(named) = named else {
            return Ok(Vec::new());
        };
        let found = mainstay_plane::why(&**self.plane.journal(), &named.subject).await;
        let mut decisions = found.map_err(|error| unavailable(&error))?;
        decisions.retain(|decision| sight::sees(who, &decision.scope));
        Ok(decisions)
    }

    pub(super) async fn verify(&self, _who: &Principal) -> Result<JournalReport, Failure> {
        match mainstay_journal::verify::verify(&**self.plane.journal()).await {
            Ok(chains) => Ok(JournalReport {
                whole: true,
                partitions: chains
                    .into_iter()
                    .map(|(partition, chain)| PartitionReport {
                        partition: partition.to_string(),
                        events: chain.events,
                        head: chain.head.to_string(),
                        problem: None,
                    })
                    .collect(),
            }),
            Err(JournalError::Corrupt { place, reason }) => Ok(JournalReport {
                whole: false,
                partitions: vec![PartitionReport {
                    partition: "unknown".to_owned(),
                    events: 0,
                    head: String::new(),
                    problem: Some(format!("{place}: {reason}; what comes after was not looked at")),
                }],
            }),
            Err(error) => Err(unavailable(&error)),
        }
    }

    pub(super) async fn archive(&self, who: &Principal) -> Result<Vec<u8>, Failure> {
        if !sight::sees_platform(who) {
            return Err(not_found("the catalog"));
        }
        let catalog = self.plane.look(|states| states.catalog.clone()).await;
        Ok(catalog.documents.to_bytes())
    }

    pub(super) async fn catalog_in_force(&self, who: &Principal) -> Result<CatalogInfo, Failure> {
        if !sight::sees_platform(who) {
            return Err(not_found("the catalog"));
        }
        let catalog = self.plane.look(|states| states.catalog.clone()).await;
        let platform = &catalog.platform;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |kind: &str, count: usize| *counts.entry(kind.to_owned()).or_default() += count as u64;
        add("services", platform.services.len());
        add("databases", platform.databases.len());
        add("brokers", platform.brokers.len());
        add("cells", platform.cells.len());
        add("tenants", platform.tenants.len());
        add("teams", platform.teams.len());
        add("people", platform.people.len());
        add("calendars", platform.calendars.len());
        add("rotas", catalog.response.rotas.len());
        add("escalation policies", catalog.response.policies.len());
        add("receivers", catalog.response.routing.receivers.len());
        add("runbooks", catalog.runbooks.len());
        add("alert rules", self.alert_queries(&catalog).len());
        add("objectives", self.telemetry.slos().objectives().len());
        add("files", catalog.documents.files().len());
        add(
            "OpenSLO documents",
            catalog.documents.of_format(Format::OpenSlo).count(),
        );
        Ok(CatalogInfo {
            digest: catalog.digest.to_string(),
            // Catalogs are put in force by starting with them; no event says when.
            applied_at: None,
            applied_by: None,
            documents: counts
                .into_iter()
                .map(|(kind, count)| DocumentCount { kind, count })
                .collect(),
        })
    }
}

fn step(record: &Record) -> WhyStep {
    let envelope = &record.envelope;
    let content = record
        .payload
        .as_ref()
        .and_then(|payload| serde_json::from_slice(payload).ok());
    WhyStep {
        event: envelope.id,
        at: envelope.at,
        kind: envelope.kind.clone(),
        actor: envelope.actor.to_string(),
        text: content
            .as_ref()
            .map_or_else(|| "its content was removed".to_owned(), line),
        stream: envelope.stream.0.clone(),
        digest: envelope.hash.to_string(),
    }
}

/// What an event says, in one line: every plain value with its name, those inside others too.
fn line(content: &Value) -> String {
    let mut words = Vec::new();
    collect("", content, &mut words);
    let text = words.join(", ");
    match text.char_indices().nth(TEXT_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn collect(name: &str, value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields
                .iter()
                .filter(|(name, _)| *name != "event" && *name != "fingerprint")
            {
                collect(name, value, words);
            }
        }
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            if !items.is_empty() {
                words.push(format!("{name} {}", items.join(" ")));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, words)),
        other => words.push(format!("{name} {}", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
