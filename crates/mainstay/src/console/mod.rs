//! The console of a running plane: what pages and API show is looked up here, in the states of the capabilities, in the
//! counts and in the samples. Nothing is decided here, and no figure is made up: what is not known has no value.

mod act;
mod adjust;
mod admin;
mod alert;
mod alert_review;
mod alertmanager;
mod apart;
mod chart;
mod counts;
mod course;
pub(crate) mod desk;
mod duty;
mod explain;
mod expression;
mod feed;
mod gate;
mod gate_now;
mod grid;
mod heartbeat;
mod held;
mod inbound;
mod incident;
mod journal;
mod load;
mod metrics;
mod oncall;
mod otlp;
mod overview;
mod own_metrics;
mod page;
mod question;
pub(crate) mod report;
mod rota;
mod rule;
mod runbook;
mod scrapes;
mod shadow;
mod sight;
mod signals;
mod slo;
mod subject;
mod swap;
#[cfg(test)]
mod tests;
mod whatif;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::{Journal, JournalError};
use mainstay_kernel::{Actor, Digest, EventId, IncidentId, Labels, Principal, RunbookId, SloId};
use mainstay_plane::{Command, Plane, PlaneError, Telemetry};
use mainstay_web::view::{
    AckTarget, Adjustment, Alert, AlertGroup, AlertReview, AlertmanagerStatus, Applied, BackupMade,
    CatalogInfo, Change, CutOver, Done, Explained, GateAnswer, GateApproval, GatePlace, GatePolicies,
    GateRequest, GateStatement, GettableAlert, GettableSilence, Heartbeat, InboxMessage, Incident,
    IncidentSummary, IssuedReport, JournalReport, Look, Named, NewAdjustment, Overview, PostableAlert,
    PostableSilence, ReportAsk, ReportFile, ReportIndex, ReviewAsked, RouteInForce, ShadowReport,
    SigningKeyInfo, Situation, Slo, SloDetail, ToldElsewhere, WhatIf, WhatIfAsked, Why,
};
use mainstay_web::{Alertmanager, Answer, Console, Failure, Reports, Shadow, Turn};
use serde_json::Value;

use chart::Charts;
use expression::AlertQueries;
use question::Questions;

pub(crate) use metrics::Program;
pub(crate) use scrapes::Scrapes;

/// The plane and its telemetry, as the web asks for them.
pub(crate) struct PlaneConsole<J, C, H> {
    plane: Arc<Plane<J, C, H, Telemetry>>,
    telemetry: Arc<Telemetry>,
    questions: Questions,
    /// What others ask: however long it takes, the console's own questions have their turn.
    foreign_questions: Questions,
    turns: metrics::Turns,
    program: Program,
    charts: Charts,
    alert_queries: Mutex<Arc<AlertQueries>>,
    client: reqwest::Client,
    inbox: Option<String>,
    operations: Arc<dyn Operations>,
    /// Until when alerts of others are to be believed if they are not told again: their labels by fingerprint.
    believed: Mutex<BTreeMap<Digest, (Labels, Timestamp)>>,
    fetches: feed::Fetches,
    counts: counts::Counts,
}

/// What is done to the program itself: how depends on where it keeps things.
pub(crate) trait Operations: Send + Sync {
    /// Copies everything that is kept.
    fn back_up(&self) -> Answer<'_, BackupMade>;
    /// Reads the catalog anew and puts it in force.
    fn apply_catalog<'a>(&'a self, who: &'a Actor) -> Answer<'a, Applied>;
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// A console of `plane`; `inbox` is the address of an inbox whose messages are shown, as in the demo.
    pub(crate) fn new(
        plane: Arc<Plane<J, C, H, Telemetry>>,
        telemetry: Arc<Telemetry>,
        client: reqwest::Client,
        inbox: Option<String>,
        operations: Arc<dyn Operations>,
        program: Program,
    ) -> Self {
        let questions = Questions::new(telemetry.samples());
        Self {
            charts: Charts::new(questions.clone()),
            questions,
            foreign_questions: Questions::of_others(&telemetry),
            turns: metrics::Turns::default(),
            program,
            plane,
            telemetry,
            alert_queries: Mutex::default(),
            client,
            inbox,
            operations,
            believed: Mutex::default(),
            fetches: feed::Fetches::default(),
            counts: counts::Counts::default(),
        }
    }

    fn now(&self) -> Timestamp {
        self.plane.clock().now()
    }

    /// The expressions of the rules of a catalog; read once per catalog.
    fn alert_queries(&self, catalog: &Catalog) -> Arc<AlertQueries> {
        let mut held = self.alert_queries.lock().unwrap_or_else(PoisonError::into_inner);
        if held.digest() != Some(catalog.digest) {
            *held = Arc::new(AlertQueries::of(catalog));
        }
        Arc::clone(&held)
    }

    /// Asks the plane to do something for somebody.
    async fn submit(&self, who: &Actor, command: Command) -> Result<Vec<EventId>, PlaneError> {
        let done = self.plane.submit(who.clone(), command).await?;
        Ok(done.into_iter().map(|done| done.id).collect())
    }

    /// As [`Self::submit`]; `help` says what to do where it is refused.
    async fn order(&self, who: &Principal, command: Command, help: &str) -> Result<Vec<EventId>, Failure> {
        let done = self.submit(&who.actor, command).await;
        done.map_err(|error| failure(error, help))
    }
}

fn not_found(what: impl Into<String>) -> Failure {
    Failure::NotFound { what: what.into() }
}

fn no_incident(id: &IncidentId) -> Failure {
    not_found(format!("incident {id}"))
}

fn unavailable(error: &JournalError) -> Failure {
    tracing::error!(%error, "the journal failed");
    Failure::Unavailable {
        message: "the journal cannot be used now".to_owned(),
    }
}

/// What a failure of the plane means to who asked; `help` says what to do about a refusal.
fn failure(error: PlaneError, help: &str) -> Failure {
    match error {
        PlaneError::Refused(refused) if refused.is_unknown() => Failure::Refused {
            message: refused.to_string(),
            help: "It may have ended long ago; the journal still has it.".to_owned(),
        },
        PlaneError::Refused(refused) => Failure::Refused {
            message: refused.to_string(),
            help: help.to_owned(),
        },
        PlaneError::Journal(error) => unavailable(&error),
    }
}

/// Milliseconds from `from` to `to`; 0 if `to` is earlier.
fn elapsed_ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// The instant `ms` milliseconds before `at`.
fn before(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    at.saturating_sub(jiff::SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MIN)
}

impl<J: Journal, C: Channels + 'static, H: Hands> Console for PlaneConsole<J, C, H> {
    fn situation<'a>(&'a self, who: &'a Principal) -> Answer<'a, Situation> {
        Box::pin(async move { Ok(self.situation_now(who).await) })
    }

    fn overview<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Overview> {
        Box::pin(async move { Ok(self.overview_now(who, look).await) })
    }

    fn incidents<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<IncidentSummary>> {
        Box::pin(async move { Ok(self.incident_list(who, look).await) })
    }

    fn incident<'a>(&'a self, who: &'a Principal, id: &'a IncidentId) -> Answer<'a, Incident> {
        Box::pin(self.incident_in_full(who, id))
    }

    fn postmortem<'a>(&'a self, who: &'a Principal, id: &'a IncidentId) -> Answer<'a, String> {
        Box::pin(async move {
            // The draft names every tenant that was hit: it is for who sees them all.
            if !sight::sees_platform(who) {
                return Err(not_found(format!("the post-mortem of incident {id}")));
            }
            let facts = self
                .plane
                .postmortem_facts(id)
                .await
                .ok_or_else(|| no_incident(id))?;
            Ok(mainstay_review::draft(&facts))
        })
    }

    fn alerts<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Alert>> {
        Box::pin(async move { Ok(self.alert_list(who, look).await) })
    }

    fn changes<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Change>> {
        Box::pin(async move { Ok(self.change_list(who, look).await) })
    }

    fn slos<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Slo>> {
        Box::pin(async move { Ok(self.slo_list(who, look, slo::GROUPS_IN_LIST)) })
    }

    fn slo<'a>(&'a self, who: &'a Principal, id: &'a SloId, look: &'a Look) -> Answer<'a, SloDetail> {
        Box::pin(self.slo_in_depth(who, id, look))
    }

    fn what_if<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a SloId,
        look: &'a Look,
        asked: &'a WhatIfAsked,
    ) -> Answer<'a, WhatIf> {
        Box::pin(self.other_targets(who, id, look, asked))
    }

    fn inbox<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<InboxMessage>> {
        Box::pin(self.inbox_messages(who))
    }

    fn decisions<'a>(&'a self, who: &'a Principal, subject: String) -> Answer<'a, Explained> {
        Box::pin(self.explain_decisions(who, subject))
    }

    fn why<'a>(&'a self, who: &'a Principal, event: EventId) -> Answer<'a, Why> {
        Box::pin(self.why_event(who, event))
    }

    fn catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, CatalogInfo> {
        Box::pin(self.catalog_in_force(who))
    }

    fn acknowledge<'a>(&'a self, who: &'a Principal, target: &'a AckTarget) -> Answer<'a, Done> {
        Box::pin(self.take_on(who, target))
    }

    fn resolve<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a IncidentId,
        note: Option<&'a str>,
    ) -> Answer<'a, Done> {
        Box::pin(self.end(who, id, note))
    }

    fn note<'a>(&'a self, who: &'a Principal, id: &'a IncidentId, text: &'a str) -> Answer<'a, Done> {
        Box::pin(self.write_down(who, id, text))
    }

    fn run_step<'a>(
        &'a self,
        who: &'a Principal,
        incident: &'a IncidentId,
        runbook: &'a RunbookId,
        step: &'a str,
    ) -> Answer<'a, Done> {
        Box::pin(self.run(who, incident, runbook, step))
    }

    fn record_change<'a>(&'a self, who: &'a Principal, event: Value) -> Answer<'a, Done> {
        Box::pin(self.take_change(who, event))
    }

    fn record_completions<'a>(&'a self, _who: &'a Principal, events: Vec<Value>) -> Answer<'a, Done> {
        Box::pin(self.take_completions(events))
    }

    fn note_refused(&self, status: u16) {
        self.counts.refuse(status);
    }

    fn note_unreadable_alerts(&self) {
        self.counts.unreadable.add(1);
    }

    fn turn_to_tell<'a>(&'a self, who: &'a Principal) -> Pin<Box<dyn Future<Output = Turn> + Send + 'a>> {
        Box::pin(async move { Box::new(self.turns.tell(who).await) as Turn })
    }

    fn receive_alerts<'a>(&'a self, who: &'a Principal, alerts: Vec<PostableAlert>) -> Answer<'a, Done> {
        Box::pin(self.take_alerts(who, alerts))
    }

    fn ask_gate<'a>(&'a self, who: &'a Principal, request: GateRequest) -> Answer<'a, GateAnswer> {
        Box::pin(self.ask_the_gate(who, request))
    }

    fn approve<'a>(&'a self, who: &'a Principal, approval: GateApproval) -> Answer<'a, Done> {
        Box::pin(self.approve_changes(who, approval))
    }

    fn gate_answers<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<GateStatement>> {
        Box::pin(async move { Ok(self.answers_given().await) })
    }

    fn gate_policies<'a>(&'a self, _who: &'a Principal) -> Answer<'a, GatePolicies> {
        Box::pin(async move { Ok(self.policies_in_force().await) })
    }

    fn gate_places<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<GatePlace>> {
        Box::pin(async move { Ok(self.places_now().await) })
    }

    fn alert_review<'a>(&'a self, _who: &'a Principal, asked: ReviewAsked) -> Answer<'a, AlertReview> {
        Box::pin(self.review_of_alerts(asked))
    }

    fn heartbeats<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Heartbeat>> {
        Box::pin(async move { Ok(self.heartbeat_list(who).await) })
    }

    fn beat<'a>(&'a self, who: &'a Principal, name: &'a str) -> Answer<'a, Done> {
        Box::pin(self.take_beat(who, name))
    }

    fn verify_journal<'a>(&'a self, who: &'a Principal) -> Answer<'a, JournalReport> {
        Box::pin(self.verify(who))
    }

    fn back_up<'a>(&'a self, _who: &'a Principal) -> Answer<'a, BackupMade> {
        self.operations.back_up()
    }

    fn catalog_archive<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<u8>> {
        Box::pin(self.archive(who))
    }

    fn apply_catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, Applied> {
        self.operations.apply_catalog(&who.actor)
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> Alertmanager for PlaneConsole<J, C, H> {
    fn gettable_alerts<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GettableAlert>> {
        Box::pin(async move { Ok(self.alerts_firing(who).await) })
    }

    fn alert_groups<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<AlertGroup>> {
        Box::pin(async move { Ok(self.groups_firing(who).await) })
    }

    fn silences<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<GettableSilence>> {
        Box::pin(async move { Ok(self.silence_list().await) })
    }

    fn silence<'a>(&'a self, who: &'a Principal, silence: PostableSilence) -> Answer<'a, String> {
        Box::pin(self.set_silence(who, silence))
    }

    fn end_silence<'a>(&'a self, who: &'a Principal, id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.expire_silence(who, id))
    }

    fn receivers<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<Named>> {
        Box::pin(async move { Ok(self.receiver_list().await) })
    }

    fn alertmanager_status<'a>(&'a self, _who: &'a Principal) -> Answer<'a, AlertmanagerStatus> {
        Box::pin(async move { Ok(self.routing_status().await) })
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> Shadow for PlaneConsole<J, C, H> {
    fn told_elsewhere<'a>(&'a self, who: &'a Principal, told: ToldElsewhere) -> Answer<'a, Done> {
        Box::pin(self.note_elsewhere(who, told))
    }

    fn shadow_report<'a>(
        &'a self,
        _who: &'a Principal,
        since: Option<Timestamp>,
    ) -> Answer<'a, ShadowReport> {
        Box::pin(self.compare_shadow(since))
    }

    fn routes_in_force<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<RouteInForce>> {
        Box::pin(async move { Ok(self.list_routes().await) })
    }

    fn cut_over<'a>(&'a self, who: &'a Principal, cut: CutOver) -> Answer<'a, Done> {
        Box::pin(self.cut(who, cut))
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> Reports for PlaneConsole<J, C, H> {
    fn reports<'a>(&'a self, who: &'a Principal, month: Option<&'a str>) -> Answer<'a, ReportIndex> {
        Box::pin(self.report_index(who, month))
    }

    fn report<'a>(&'a self, who: &'a Principal, ask: &'a ReportAsk) -> Answer<'a, ReportFile> {
        Box::pin(self.report_file(who, ask))
    }

    fn issue_report<'a>(&'a self, who: &'a Principal, ask: &'a ReportAsk) -> Answer<'a, IssuedReport> {
        Box::pin(self.issue(who, ask))
    }

    fn signing_key<'a>(&'a self, _who: &'a Principal) -> Answer<'a, SigningKeyInfo> {
        Box::pin(async { Ok(self.key_info()) })
    }

    fn adjustments<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Adjustment>> {
        Box::pin(async move { Ok(self.adjustment_list(who).await) })
    }

    fn adjust<'a>(&'a self, who: &'a Principal, new: &'a NewAdjustment) -> Answer<'a, Done> {
        Box::pin(self.write_adjustment(who, new))
    }

    fn withdraw<'a>(&'a self, who: &'a Principal, number: u32, reason: &'a str) -> Answer<'a, Done> {
        Box::pin(self.take_back(who, number, reason))
    }

    fn explain<'a>(&'a self, who: &'a Principal, id: &'a SloId, look: &'a Look) -> Answer<'a, String> {
        Box::pin(self.explanation(who, id, look))
    }
}
