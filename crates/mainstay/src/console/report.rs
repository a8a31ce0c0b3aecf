//! Monthly reports and their editions.

use std::collections::BTreeSet;

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, TenantId};
use mainstay_plane::reports::{Issued, ReportError};
use mainstay_slo::report::edition::Signed;
use mainstay_slo::report::machine::EditionNote;
use mainstay_slo::report::{self, Month, Report};
use mainstay_web::Failure;
use mainstay_web::view::{
    EditionEntry, IssuedReport, ReportAsk, ReportEntry, ReportFile, ReportForm, ReportIndex, SigningKeyInfo,
    Wanted,
};

use super::{PlaneConsole, failure, not_found};

/// So many months are listed in any case: those that can be issued.
const LISTED_MONTHS: usize = 4;

fn edition(note: &EditionNote) -> EditionEntry {
    EditionEntry {
        number: note.number,
        at: note.at,
        digest: note.digest.clone(),
        event: note.event,
    }
}

fn failed(error: ReportError) -> Failure {
    match error {
        ReportError::Plane(error) => failure(error, "Ask for the report again and issue it anew."),
        ReportError::Month(_) => invalid_month(&error.to_string()),
        ReportError::Lost(_) => Failure::Refused {
            message: error.to_string(),
            help: "Its content was pruned; its digest and the event are still in the chain.".to_owned(),
        },
    }
}

fn invalid_month(message: &str) -> Failure {
    Failure::Invalid {
        message: message.to_owned(),
        help: "Write a month as 2026-10.".to_owned(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The month, if the asker may see this report and there is somebody whom it is about.
    async fn month_of(&self, who: &Principal, ask: &ReportAsk) -> Result<Month, Failure> {
        let whose = || match &ask.tenant {
            Some(tenant) => not_found(format!("a report of tenant {tenant}")),
            None => not_found(
                "the platform's report: it is for accounts that see every tenant; a tenant's report",
            ),
        };
        if !who.sees(ask.tenant.as_ref()) {
            return Err(whose());
        }
        if let Some(tenant) = &ask.tenant {
            let in_catalog = self
                .plane
                .look(|states| states.catalog.platform.tenants.contains_key(tenant));
            if !in_catalog.await && !self.is_counted(tenant.as_str()) {
                return Err(whose());
            }
        }
        ask.month.parse().map_err(|error: report::MonthError| {
            invalid_month(&format!("{:?} is no month: {error}", ask.month))
        })
    }

    /// Whether any indicator has counted something of a tenant.
    fn is_counted(&self, tenant: &str) -> bool {
        let slos = self.telemetry.slos();
        slos.indicators().any(|sli| {
            slos.groups(&sli.name)
                .any(|group| group.get("tenant") == Some(tenant))
        })
    }

    /// The reports of a month that the asker may see: the platform's, then those of the catalog's tenants.
    pub(super) async fn report_index(
        &self,
        who: &Principal,
        month: Option<&str>,
    ) -> Result<ReportIndex, Failure> {
        let running = Month::at(self.now());
        let month: Month = month.map_or(Ok(running), |text| {
            text.parse()
                .map_err(|error: report::MonthError| invalid_month(&format!("{text:?} is no month: {error}")))
        })?;
        let text = month.to_string();
        let issuable = std::iter::successors(Some(running), |month| Some(month.before())).take(LISTED_MONTHS);
        let mut months: BTreeSet<String> = issuable.map(|month| month.to_string()).collect();
        months.insert(text.clone());
        let reports = self
            .plane
            .look(|states| {
                months.extend(states.reports.months().into_iter().map(str::to_owned));
                let entry = |tenant: Option<&TenantId>, name: &str| ReportEntry {
                    tenant: tenant.cloned(),
                    name: name.to_owned(),
                    editions: states
                        .reports
                        .editions(tenant, &text)
                        .iter()
                        .map(edition)
                        .collect(),
                };
                let platform = who.sees(None).then(|| entry(None, "The platform"));
                let tenants = states.catalog.platform.tenants.iter();
                let tenants = tenants.filter(|(id, _)| who.sees(Some(id)));
                let tenants = tenants.map(|(id, tenant)| entry(Some(id), &tenant.name));
                platform.into_iter().chain(tenants).collect()
            })
            .await;
        Ok(ReportIndex {
            months: months.into_iter().rev().collect(),
            is_running: month >= running,
            month: text,
            reports,
        })
    }

    pub(super) async fn report_file(&self, who: &Principal, ask: &ReportAsk) -> Result<ReportFile, Failure> {
        let month = self.month_of(who, ask).await?;
        let number = match ask.edition {
            Wanted::Draft => {
                let (report, _) = self
                    .plane
                    .report(ask.tenant.as_ref(), month)
                    .await
                    .map_err(failed)?;
                return Ok(written(&report, None, ask.form));
            }
            Wanted::Last => None,
            Wanted::Number(number) => Some(number),
        };
        let edition = self.plane.edition(ask.tenant.as_ref(), month, number);
        let signed = edition.await.map_err(failed)?;
        let signed = signed.ok_or_else(|| match number {
            Some(number) => not_found(format!("edition {number} of {month}")),
            None => not_found(format!("an edition of {month}")),
        })?;
        Ok(written(&signed.edition.report, Some(&signed), ask.form))
    }

    pub(super) async fn issue(&self, who: &Principal, ask: &ReportAsk) -> Result<IssuedReport, Failure> {
        let month = self.month_of(who, ask).await?;
        let key = &self.program.key;
        let issued = self
            .plane
            .issue_report(&who.actor, key, ask.tenant.as_ref(), month);
        let answer = |signed: &Signed, is_new, message, events| {
            let corrected = signed.edition.corrects.as_ref();
            let differences = corrected.map(|corrected| corrected.differences.len() + corrected.further);
            IssuedReport {
                message,
                number: signed.edition.number,
                is_new,
                digest: signed.digest.clone(),
                differences: differences.map(|count| count as u64),
                events,
            }
        };
        match issued.await.map_err(failed)? {
            Issued::New(signed, events) => {
                let edition = &signed.edition;
                let message = match &edition.corrects {
                    None => format!("Edition {} of {month} is issued.", edition.number),
                    Some(corrected) => {
                        let differences = corrected.differences.len() + corrected.further;
                        format!(
                            "Edition {} of {month} is issued: it corrects edition {} in {}.",
                            edition.number,
                            corrected.number,
                            crate::check::counted(differences, "place")
                        )
                    }
                };
                Ok(answer(&signed, true, message, events))
            }
            Issued::Unchanged(signed) => {
                let number = signed.edition.number;
                let message =
                    format!("Nothing changed since edition {number} of {month}: nothing is issued.");
                Ok(answer(&signed, false, message, Vec::new()))
            }
            Issued::TooOld => Err(Failure::Refused {
                message: format!("{month} began more than 94 days ago: its last edition stands"),
                help: "Quarter hours are told apart for 95 days; a report of older time can be drafted."
                    .to_owned(),
            }),
            Issued::NotOver(until) => Err(Failure::Refused {
                message: format!("{month} is not over: it is counted up to {until}"),
                help: "Issue it when the month is over in every zone of its objectives.".to_owned(),
            }),
        }
    }

    pub(super) fn key_info(&self) -> SigningKeyInfo {
        SigningKeyInfo {
            algorithm: "Ed25519".to_owned(),
            public_key: self.program.key.public().to_string(),
        }
    }
}

/// A report, drafted or issued, in a form.
pub(crate) fn written(report: &Report, signed: Option<&Signed>, form: ReportForm) -> ReportFile {
    let text = match (form, signed) {
        (ReportForm::Json, None) => json(report),
        (ReportForm::Json, Some(signed)) => json(signed),
        (ReportForm::Markdown, _) => report::markdown(report, signed),
        (ReportForm::Html, _) => report::html(report, signed),
        (ReportForm::Csv, _) => report::csv(report, signed),
    };
    ReportFile { form, text }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
