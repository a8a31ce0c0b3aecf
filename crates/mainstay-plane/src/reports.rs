//! Monthly reports: gathered from every capability, and issued as signed editions.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal, JournalError};
use mainstay_kernel::{Actor, Digest, EventId, TenantId};
use mainstay_slo::prefix::QUARTER_KEEP_MS;
use mainstay_slo::report::edition::{Corrected, DIFFERENCES_MAX, Edition, Signed, differences};
use mainstay_slo::report::machine::{Issue, ReportCommand, ReportEvent};
use mainstay_slo::report::{Asked, Episode, Month, Report, Sources, build};

use crate::core::Command;
use crate::error::PlaneError;
use crate::plane::Plane;
use crate::postmortem::facts;
use crate::signing::SigningKey;
use crate::telemetry::Telemetry;

/// How many suspects of an incident a report names.
const SUSPECTS_MAX: usize = 3;
/// Zones begin a month up to so much earlier than UTC does, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What came of issuing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// The next edition was issued.
    New(Box<Signed>, Vec<EventId>),
    /// Every figure and word is as the last edition has it: nothing was issued.
    Unchanged(Box<Signed>),
    /// The month is not over: it is counted up to here.
    NotOver(String),
    /// Its quarter hours are not told apart any more: figures could differ by that alone.
    TooOld,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The month cannot be reckoned with.
    #[error("the month {0} cannot be reckoned with")]
    Month(String),
    /// An edition's content is not in the journal any more.
    #[error("edition {0} is not in the journal any more")]
    Lost(u32),
    /// The plane.
    #[error(transparent)]
    Plane(#[from] PlaneError),
}

impl From<JournalError> for ReportError {
    fn from(error: JournalError) -> Self {
        Self::Plane(error.into())
    }
}

fn episode(incident: &Incident, now: Timestamp) -> Episode {
    let impact = &incident.impact;
    let suspects = mainstay_review::suspects(&facts(incident, impact.clone(), Vec::new()));
    let suspects = suspects.into_iter().take(SUSPECTS_MAX);
    let from = impact.first_bad_at.unwrap_or(incident.began_at);
    let ended = [impact.last_bad_at, incident.mitigated_at]
        .into_iter()
        .flatten()
        .max();
    Episode {
        incident: incident.id.clone(),
        title: incident.title.clone(),
        severity: incident.severity,
        scope: incident.scope.clone(),
        from,
        to: ended.or(incident.resolved_at).unwrap_or(now).max(from),
        suspects: suspects
            .map(|suspect| {
                let why = suspect.evidence.into_iter().next();
                let why = why.map_or_else(String::new, |why| format!(", {why}"));
                format!("{} at {}{why}", suspect.change.summary, suspect.change.at)
            })
            .collect(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> Plane<J, C, H, Telemetry> {
    /// Has budgets leave out what does not count by now.
    pub async fn exclude(&self) {
        let now = self.parts.clock.now();
        let telemetry = &self.parts.judge;
        self.look(|states| telemetry.exclude(states.ledger, now)).await;
    }

    /// Every incident at hand, as reports are about it.
    pub async fn episodes(&self) -> Vec<Episode> {
        let now = self.parts.clock.now();
        self.look(|states| {
            let incidents = states.incidents.all();
            incidents.map(|incident| episode(incident, now)).collect()
        })
        .await
    }

    /// A month as it is known now, for a tenant or the platform, and the catalog it is made under.
    ///
    /// # Errors
    /// If there is no such month.
    pub async fn report(
        &self,
        tenant: Option<&TenantId>,
        month: Month,
    ) -> Result<(Report, Digest), ReportError> {
        let now = self.parts.clock.now();
        let telemetry = &self.parts.judge;
        let (catalog, ledger, episodes) = self
            .look(|states| {
                telemetry.exclude(states.ledger, now);
                let episodes: Vec<Episode> = states
                    .incidents
                    .all()
                    .map(|incident| episode(incident, now))
                    .collect();
                (states.catalog.clone(), states.ledger.clone(), episodes)
            })
            .await;
        let contracts = telemetry.contracts();
        let sources = Sources {
            engine: &telemetry.slos(),
            platform: &catalog.platform,
            credits: &contracts.credits,
            maintenance: &contracts.maintenance,
            ledger: &ledger,
            episodes: &episodes,
        };
        let report = build(&sources, Asked { month, tenant, now });
        let report = report.ok_or_else(|| ReportError::Month(month.to_string()))?;
        Ok((report, catalog.digest))
    }

    /// An edition that was issued, the last one if no number is given; `None` if there is no such edition.
    ///
    /// # Errors
    /// If the journal cannot be read, or does not have its content any more.
    pub async fn edition(
        &self,
        tenant: Option<&TenantId>,
        month: Month,
        number: Option<u32>,
    ) -> Result<Option<Signed>, ReportError> {
        let month = month.to_string();
        let note = self
            .look(|states| {
                let editions = states.reports.editions(tenant, &month).iter();
                let mut wanted = editions.filter(|note| number.is_none_or(|number| note.number == number));
                wanted.next_back().map(|note| (note.number, note.event))
            })
            .await;
        let Some((number, event)) = note else {
            return Ok(None);
        };
        let record = self.parts.journal.find(event).await?;
        let issued = record.and_then(|record| decode::<ReportEvent>(&record).ok().flatten());
        let ReportEvent::Issued(issue) = issued.ok_or(ReportError::Lost(number))?;
        Ok(Some(issue.signed))
    }

    /// Issues the next edition of a month, signed, unless nothing changed since the last one.
    ///
    /// # Errors
    /// If the journal fails or refuses it.
    pub async fn issue_report(
        &self,
        actor: &Actor,
        key: &SigningKey,
        tenant: Option<&TenantId>,
        month: Month,
    ) -> Result<Issued, ReportError> {
        let now_ms = self.parts.clock.now().as_millisecond();
        let began = month.bounds(&TimeZone::UTC);
        if began.is_none_or(|month| now_ms - month.start_ms > QUARTER_KEEP_MS - DAY_MS) {
            return Ok(Issued::TooOld);
        }
        let before = self.edition(tenant, month, None).await?;
        let (report, catalog) = self.report(tenant, month).await?;
        if let Some(until) = report.until {
            return Ok(Issued::NotOver(until));
        }
        if let Some(before) = before.as_ref().filter(|before| before.edition.report == report) {
            return Ok(Issued::Unchanged(Box::new(before.clone())));
        }
        let corrects = before.map(|before| {
            let mut differences = differences(&before.edition.report, &report);
            let further = differences.len().saturating_sub(DIFFERENCES_MAX);
            differences.truncate(DIFFERENCES_MAX);
            Corrected {
                number: before.edition.number,
                digest: before.digest,
                differences,
                further,
            }
        });
        let edition = Edition {
            number: corrects.as_ref().map_or(0, |corrected| corrected.number) + 1,
            issued_at: self.parts.clock.now().to_string(),
            issued_by: actor.to_string(),
            catalog: catalog.to_string(),
            corrects,
            report,
        };
        let message = edition.canonical();
        let signed = Signed {
            digest: Digest::of(&message).to_string(),
            signature: key.sign(&message),
            public_key: key.public().to_string(),
            edition,
        };
        let issue = Issue {
            tenant: tenant.cloned(),
            month: month.to_string(),
            signed: signed.clone(),
        };
        let command = Command::Report(ReportCommand::Issue(Box::new(issue)));
        let done = self.submit(actor.clone(), command).await?;
        let events = done.into_iter().map(|done| done.id).collect();
        Ok(Issued::New(Box::new(signed), events))
    }
}
