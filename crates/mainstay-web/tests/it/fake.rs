//! A console that answers from fixed data, remembers who asked, and hides what they may not see. For tests only.

mod alertmanager;
mod data;
mod desk;
mod gate;
mod metrics;
mod objectives;
mod oncall;
mod reports;
mod rota;
mod shadow;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_kernel::{EventId, IncidentId, Principal, Reach, RunbookId, SloId, TenantId};
use mainstay_web::view::*;
use mainstay_web::{Answer, Console, Failure};
use serde_json::Value;

use self::data::{alerts, at, burn_down, change, charts, done, event, figures, grid, incident, summary};
use self::gate::{gate_answer, places, policies, slo_gate};
use self::objectives::{agreement, parts, slos};

/// The present instant of every test: eighteen minutes into the outage.
pub(crate) const NOW: &str = "2025-01-15T10:18:04Z";
/// The tenant whose data the fixed incident is.
pub(crate) const TENANT: &str = "std-001";
/// The fixed incident.
pub(crate) const INCIDENT: &str = "2025-01-15-001";

/// How the platform stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All is well.
    Ok,
    /// The outage of the specification.
    Breached,
    /// No data.
    Unknown,
}

/// The console.
pub(crate) struct Fake {
    pub(crate) mood: Mood,
    pub(crate) asked: Mutex<Vec<(&'static str, Principal)>>,
    /// Whose series were asked for last.
    pub(crate) reached: Mutex<Option<Reach>>,
    /// How many acknowledgements were carried to their end.
    pub(crate) acknowledged: AtomicU32,
    /// The silence that was made last.
    pub(crate) silenced: Mutex<Option<PostableSilence>>,
}

impl Fake {
    pub(crate) fn new(mood: Mood) -> Self {
        Self {
            mood,
            asked: Mutex::default(),
            reached: Mutex::default(),
            acknowledged: AtomicU32::new(0),
            silenced: Mutex::default(),
        }
    }

    /// Who asked last, and for what.
    pub(crate) fn last_asked(&self) -> Option<(&'static str, Principal)> {
        self.asked
            .lock()
            .expect("no test panics while it asks")
            .last()
            .cloned()
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().expect("no test panics while it asks").clear();
    }

    fn reached(&self, reach: &Reach) {
        *self.reached.lock().expect("no test panics while it asks") = Some(reach.clone());
    }

    fn heard(&self, what: &'static str, who: &Principal) {
        self.asked
            .lock()
            .expect("no test panics while it asks")
            .push((what, who.clone()));
    }

    fn if_seen<T>(who: &Principal, what: &str, value: T) -> Result<T, Failure> {
        let tenant = TenantId::new(TENANT).expect("a name");
        if who.sees(Some(&tenant)) {
            Ok(value)
        } else {
            Err(Failure::NotFound {
                what: what.to_owned(),
            })
        }
    }
}

impl Console for Fake {
    fn situation<'a>(&'a self, who: &'a Principal) -> Answer<'a, Situation> {
        // Asked for by every page besides its own question, so it does not count as one.
        let _ = who;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let situation = Situation {
            data_at: (self.mood != Mood::Unknown).then(|| at("2025-01-15T10:18:00Z")),
            firing: if self.mood == Mood::Breached { 2 } else { 0 },
            on_call: vec![Duty {
                rota: "payments".to_owned(),
                now: Some("ada".to_owned()),
                until: Some(at("2025-01-15T17:00:00Z")),
                next: Some("grace".to_owned()),
            }],
            places: Places {
                tenants: names(&[TENANT, "std-014"]),
                cells: names(&["cell-5", "cell-6"]),
                services: names(&["payment-service", "account-service"]),
            },
            has_inbox: true,
        };
        Box::pin(async { Ok(situation) })
    }

    fn overview<'a>(&'a self, who: &'a Principal, _: &'a Look) -> Answer<'a, Overview> {
        Box::pin(async move {
            self.heard("overview", who);
            let situation = self.situation(who).await?;
            let breached = self.mood == Mood::Breached;
            let open: Vec<IncidentSummary> = if breached {
                Self::if_seen(who, "", summary()).into_iter().collect()
            } else {
                Vec::new()
            };
            let slos = slos(self.mood);
            Ok(Overview {
                sentence: Sentence::compose(&situation, &open, &slos),
                banners: breached
                    .then(|| Banner {
                        status: Status::Breached,
                        text: "Deploys are frozen: the budget of API availability is spent.".to_owned(),
                        event: Some(event("2025-01-15T10:17:00Z", 9)),
                    })
                    .into_iter()
                    .collect(),
                open,
                recent: Vec::new(),
                alerts: if breached { alerts() } else { Vec::new() },
                slos,
                grid: grid(self.mood),
                changes: if breached { vec![change()] } else { Vec::new() },
                charts: charts(self.mood),
                figures: figures(self.mood),
            })
        })
    }

    fn incidents<'a>(&'a self, who: &'a Principal, _: &'a Look) -> Answer<'a, Vec<IncidentSummary>> {
        self.heard("incidents", who);
        Box::pin(async { Ok(Self::if_seen(who, "", summary()).into_iter().collect()) })
    }

    fn incident<'a>(&'a self, who: &'a Principal, id: &'a IncidentId) -> Answer<'a, Incident> {
        self.heard("incident", who);
        Box::pin(async move {
            if id.as_str() != INCIDENT {
                return Err(Failure::NotFound {
                    what: format!("incident {id}"),
                });
            }
            Self::if_seen(who, &format!("incident {id}"), incident())
        })
    }

    fn postmortem<'a>(&'a self, who: &'a Principal, _: &'a IncidentId) -> Answer<'a, String> {
        self.heard("postmortem", who);
        Box::pin(async {
            Self::if_seen(
                who,
                "the incident",
                "# Post-mortem\n\n<script>alert(1)</script>\n".to_owned(),
            )
        })
    }

    fn alerts<'a>(&'a self, who: &'a Principal, _: &'a Look) -> Answer<'a, Vec<Alert>> {
        self.heard("alerts", who);
        Box::pin(async { Ok(alerts()) })
    }

    fn changes<'a>(&'a self, who: &'a Principal, _: &'a Look) -> Answer<'a, Vec<Change>> {
        self.heard("changes", who);
        Box::pin(async { Ok(vec![change()]) })
    }

    fn slos<'a>(&'a self, who: &'a Principal, _: &'a Look) -> Answer<'a, Vec<Slo>> {
        self.heard("slos", who);
        Box::pin(async { Ok(slos(self.mood)) })
    }

    fn what_if<'a>(
        &'a self,
        who: &'a Principal,
        _: &'a SloId,
        _: &'a Look,
        asked: &'a WhatIfAsked,
    ) -> Answer<'a, WhatIf> {
        self.heard("what_if", who);
        if let Some(wrong) = asked
            .targets
            .iter()
            .find(|target| target.parse::<mainstay_kernel::Ratio>().is_err())
        {
            let failure = Failure::Invalid {
                message: format!("{wrong:?} is no target"),
                help: "write 99.95% or 0.9995".to_owned(),
            };
            return Box::pin(async { Err(failure) });
        }
        let target = |target: &String| WhatIfTarget {
            objective: Share(target.parse().expect("a ratio")),
            budget: mainstay_kernel::fact::BudgetState::Exhausted,
            calls_for: Some("changes are frozen".to_owned()),
            bad: 3,
            total: 10_000,
            budget_allowed: 5,
            budget_left: 2,
            status: Status::Ok,
            pages: Vec::new(),
            pages_left_out: 0,
        };
        let what_if = WhatIf {
            from: asked.from,
            to: asked.to.unwrap_or(asked.from),
            pages_from: asked.from,
            targets: asked.targets.iter().map(target).collect(),
        };
        Box::pin(async move { Self::if_seen(who, "the objective", what_if) })
    }

    fn slo<'a>(&'a self, who: &'a Principal, _: &'a SloId, _: &'a Look) -> Answer<'a, SloDetail> {
        self.heard("slo", who);
        Box::pin(async move {
            let slo = slos(self.mood).remove(0);
            let detail = SloDetail {
                definition:
                    "A request at a gateway is bad if it ends in 5xx, a timeout or a broken connection."
                        .to_owned(),
                bad_query: Some("http_requests_total{status=~\"5..\"}".to_owned()),
                total_query: Some("http_requests_total".to_owned()),
                burns: vec![Burn {
                    alert: "PaymentAvailabilityBurn".to_owned(),
                    long_ms: 3_600_000,
                    short_ms: 300_000,
                    threshold: 14.4,
                    long: slo.burn_1h,
                    short: slo.burn_1h,
                    status: slo.status,
                    held_back: None,
                }],
                charts: vec![burn_down(self.mood)],
                source: Some("slos/payments.yaml:12".to_owned()),
                agreement: Some(agreement(&slo)),
                parts: Some(parts()),
                gate: who.sees(None).then(|| slo_gate(self.mood)),
                slo,
            };
            Self::if_seen(who, "the objective", detail)
        })
    }

    fn inbox<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<InboxMessage>> {
        self.heard("inbox", who);
        Box::pin(async {
            Ok(vec![InboxMessage {
                at: at("2025-01-15T10:16:32Z"),
                channel: "email".to_owned(),
                to: "ada@bank.example".to_owned(),
                subject: "[P0] Payments failing in cell-5".to_owned(),
                body: "Half of all payments in cell-5 fail.".to_owned(),
                incident: Some(IncidentId::new(INCIDENT).expect("a name")),
            }])
        })
    }

    fn decisions<'a>(&'a self, who: &'a Principal, subject: String) -> Answer<'a, Explained> {
        self.heard("explain", who);
        Box::pin(async move {
            let decisions = vec![Decided {
                at: at("2025-01-15T10:16:32Z"),
                step: "route".to_owned(),
                text: "A route gives it to receiver on-call.".to_owned(),
                event: "01JHM8C1E0041061050R3GG28A".parse().expect("an id"),
            }];
            let explained = Explained {
                subject: subject.clone(),
                note: Some("2 alerts of this name fire".to_owned()),
                decisions,
            };
            Self::if_seen(who, &subject, explained)
        })
    }

    fn why<'a>(&'a self, who: &'a Principal, event: EventId) -> Answer<'a, Why> {
        self.heard("why", who);
        Box::pin(async move {
            let step = |text: &str, kind: &str| WhyStep {
                event,
                at: at("2025-01-15T10:16:32Z"),
                kind: kind.to_owned(),
                actor: "machine:oncall".to_owned(),
                text: text.to_owned(),
                stream: "page/page-1".to_owned(),
                digest: "ab".repeat(32),
            };
            let chain = vec![
                step("ada was paged, level 1", "page.requested"),
                step("incident 2025-01-15-001 was declared P0", "incident.declared"),
            ];
            Self::if_seen(who, "the event", Why { chain })
        })
    }

    fn catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, CatalogInfo> {
        self.heard("catalog", who);
        Box::pin(async {
            Ok(CatalogInfo {
                digest: "cd".repeat(32),
                applied_at: Some(at("2025-01-01T00:00:00Z")),
                applied_by: Some("person:ada".to_owned()),
                documents: vec![DocumentCount {
                    kind: "services".to_owned(),
                    count: 17,
                }],
            })
        })
    }

    fn acknowledge<'a>(&'a self, who: &'a Principal, _: &'a AckTarget) -> Answer<'a, Done> {
        self.heard("acknowledge", who);
        Box::pin(async {
            tokio::task::yield_now().await; // As a journal that is being written to would.
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            Self::if_seen(who, "the incident", done())
        })
    }

    fn resolve<'a>(&'a self, who: &'a Principal, _: &'a IncidentId, _: Option<&'a str>) -> Answer<'a, Done> {
        self.heard("resolve", who);
        Box::pin(async { Self::if_seen(who, "the incident", done()) })
    }

    fn note<'a>(&'a self, who: &'a Principal, _: &'a IncidentId, _: &'a str) -> Answer<'a, Done> {
        self.heard("note", who);
        Box::pin(async { Self::if_seen(who, "the incident", done()) })
    }

    fn run_step<'a>(
        &'a self,
        who: &'a Principal,
        _: &'a IncidentId,
        _: &'a RunbookId,
        _: &'a str,
    ) -> Answer<'a, Done> {
        self.heard("run_step", who);
        Box::pin(async { Self::if_seen(who, "the incident", done()) })
    }

    fn record_change<'a>(&'a self, who: &'a Principal, _: Value) -> Answer<'a, Done> {
        self.heard("record_change", who);
        Box::pin(async { Ok(done()) })
    }

    fn record_completions<'a>(&'a self, who: &'a Principal, events: Vec<Value>) -> Answer<'a, Done> {
        self.heard("record_completions", who);
        Box::pin(async move {
            let message = format!("Taken: {} events.", events.len());
            Ok(Done {
                message,
                events: Vec::new(),
            })
        })
    }

    fn ask_gate<'a>(&'a self, who: &'a Principal, request: GateRequest) -> Answer<'a, GateAnswer> {
        self.heard("ask_gate", who);
        Box::pin(async { Ok(gate_answer(request)) })
    }

    fn approve<'a>(&'a self, who: &'a Principal, _: GateApproval) -> Answer<'a, Done> {
        self.heard("approve", who);
        Box::pin(async { Ok(done()) })
    }

    fn gate_answers<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GateStatement>> {
        self.heard("gate_answers", who);
        let request = GateRequest {
            service: "payment-service".parse().expect("a name"),
            cell: "cell-5".parse().expect("a name"),
            version: Some("v1.6.1".to_owned()),
            kind: GateKind::Deploy,
            tenant: None,
        };
        Box::pin(async { Ok(vec![gate_answer(request).answer]) })
    }

    fn gate_places<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GatePlace>> {
        self.heard("gate_places", who);
        Box::pin(async { Ok(places(self.mood)) })
    }

    fn alert_review<'a>(&'a self, who: &'a Principal, _: ReviewAsked) -> Answer<'a, AlertReview> {
        self.heard("alert_review", who);
        let review = AlertReview {
            from: at("2025-01-15T10:00:00Z"),
            until: at("2025-01-15T11:00:00Z"),
            fired: 0,
            paged: 0,
            actionable: 0,
            names: Vec::new(),
            rules_never_fired: Vec::new(),
            objectives_never_fired: Vec::new(),
            without_alert: Vec::new(),
            people: Vec::new(),
        };
        Box::pin(async { Ok(review) })
    }

    fn heartbeats<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Heartbeat>> {
        self.heard("heartbeats", who);
        Box::pin(async { Ok(rota::heartbeats()) })
    }

    fn beat<'a>(&'a self, who: &'a Principal, name: &'a str) -> Answer<'a, Done> {
        self.heard("beat", who);
        Box::pin(async move { Self::if_seen(who, name, done()) })
    }

    fn gate_policies<'a>(&'a self, who: &'a Principal) -> Answer<'a, GatePolicies> {
        self.heard("gate_policies", who);
        Box::pin(async { Ok(policies()) })
    }

    fn receive_alerts<'a>(&'a self, who: &'a Principal, _: Vec<PostableAlert>) -> Answer<'a, Done> {
        self.heard("receive_alerts", who);
        Box::pin(async { Ok(done()) })
    }

    fn catalog_archive<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<u8>> {
        self.heard("catalog_archive", who);
        Box::pin(async { Ok(b"archive".to_vec()) })
    }

    fn apply_catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, Applied> {
        self.heard("apply_catalog", who);
        Box::pin(async {
            Ok(Applied {
                digest: "00".repeat(32),
                changes: Vec::new(),
            })
        })
    }

    fn back_up<'a>(&'a self, who: &'a Principal) -> Answer<'a, BackupMade> {
        self.heard("back_up", who);
        Box::pin(async {
            Ok(BackupMade {
                directory: "/var/lib/mainstay/backups/20250115T101800Z".to_owned(),
                at: "2025-01-15T10:18:00Z".parse().expect("an instant"),
            })
        })
    }

    fn verify_journal<'a>(&'a self, who: &'a Principal) -> Answer<'a, JournalReport> {
        self.heard("verify_journal", who);
        Box::pin(async {
            Ok(JournalReport {
                whole: true,
                partitions: Vec::new(),
            })
        })
    }
}
