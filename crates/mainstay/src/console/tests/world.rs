//! A plane in memory, traffic to it, and readers of its console.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use mainstay_alert::AlertCommand;
use mainstay_catalog::Documents;
use mainstay_delivery::channel::{Outgoing, Sent};
use mainstay_journal::MemoryJournal;
use mainstay_kernel::effect::{Act, Outcome};
use mainstay_kernel::principal::Tenants;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Clock as _, Labels, Role, Scope, TenantId};
use mainstay_plane::signing::SigningKey;
use mainstay_plane::telemetry::Judged;
use mainstay_plane::{Directory, Parts};
use mainstay_series::Row;
use mainstay_slo::completion::{CompletionBatch, CompletionEvent};
use serde_json::json;

use super::super::*;

pub(super) const STEP_S: i64 = 5;

/// Takes every message.
pub(super) struct Post;

impl Channels for Post {
    async fn send(&self, outgoing: Outgoing<'_>) -> Sent {
        Sent::done(format!("taken, attempt {}", outgoing.attempt))
    }
}

/// Does everything at once.
pub(super) struct Obedient;

impl Hands for Obedient {
    async fn act(&self, _key: &str, act: &Act) -> Outcome {
        Outcome::Done {
            receipt: format!("{act:?}"),
        }
    }
}

/// Nothing here is on a disk.
struct Nowhere;

impl Operations for Nowhere {
    fn back_up(&self) -> Answer<'_, BackupMade> {
        Box::pin(async { Err(not_found("a place for backups")) })
    }

    fn apply_catalog<'a>(&'a self, _who: &'a Actor) -> Answer<'a, Applied> {
        Box::pin(async { Err(not_found("a directory of the catalog")) })
    }
}

pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) plane: Arc<Plane<MemoryJournal, Post, Obedient, Telemetry>>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) console: PlaneConsole<MemoryJournal, Post, Obedient>,
    /// Requests counted so far by cell, tenant and status.
    counters: std::collections::BTreeMap<(&'static str, &'static str, &'static str), u32>,
    journal: Arc<MemoryJournal>,
    directory: tempfile::TempDir,
}

/// A payment that is completed at once.
fn a_payment((cell, tenant): &(&str, &str), now: Timestamp) -> [CompletionEvent; 2] {
    let (payment, at_ms) = (format!("{tenant}-{now}"), now.as_millisecond());
    let end = CompletionEvent::Finished {
        payment: payment.clone(),
        at_ms,
        state: "COMPLETED".to_owned(),
        reason: None,
    };
    let begin = CompletionEvent::Initiated {
        payment,
        at_ms,
        deadline_ms: None,
        kind: None,
        labels: [("cell", *cell), ("tenant", *tenant)].into_iter().collect(),
    };
    [begin, end]
}

/// What the payments catalog does not say: what a breach gives back, and when work on the platform is agreed.
const CONTRACTS: &str = r#"apiVersion: mainstay/v1
kind: ServiceCredits
metadata: {name: availability}
spec:
  objective: api-availability-sla
  tiers:
    - {below: 99.9%, credit: 10%}
    - {below: 99%, credit: 25%}
---
apiVersion: mainstay/v1
kind: ServiceCredits
metadata: {name: availability-large}
spec:
  objective: api-availability-sla
  sizes: [large]
  tiers:
    - {below: 99.9%, credit: 12.5%}
---
apiVersion: mainstay/v1
kind: ServiceCredits
metadata: {name: availability-highveld}
spec:
  objective: api-availability-sla
  tenants: [HIG-001]
  tiers:
    - {below: 99.5%, credit: 30%}
---
apiVersion: mainstay/v1
kind: MaintenanceWindow
metadata: {name: databases}
spec:
  title: Work on the databases
  services: [api-gateway]
  start: "2026-01-04T02:00"
  zone: Africa/Johannesburg
  duration: 2h
  recurrence: FREQ=WEEKLY;BYDAY=SU
"#;

const SLACK: &str = "  slack: {token: \"${SLACK_TOKEN}\", signing_secret: \"${SLACK_SIGNING_SECRET}\"}\n";

fn catalog_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments")
}

pub(super) fn reader(tenants: &[&str]) -> Principal {
    let only: BTreeSet<TenantId> = tenants
        .iter()
        .map(|name| TenantId::new(*name).expect("a name"))
        .collect();
    Principal {
        actor: Actor::person("thandi"),
        role: Role::Admin,
        tenants: if only.is_empty() {
            Tenants::All
        } else {
            Tenants::Only(only)
        },
    }
}

pub(super) fn everywhere() -> Look {
    Look {
        scope: Scope::platform(),
        range_ms: 3_600_000,
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let start: Timestamp = "2026-11-24T10:00:00Z".parse().expect("an instant");
        let clock = Arc::new(ManualClock::at(start));
        let entropy = Arc::new(SeededEntropy::new(7));
        let journal = Arc::new(MemoryJournal::new(clock.clone(), entropy));
        Self::open(directory, clock, journal).await
    }

    /// The program ends and begins again on what it kept.
    pub(super) async fn restarted(self) -> Self {
        let Self {
            clock,
            journal,
            directory,
            counters,
            plane,
            telemetry,
            console,
        } = self;
        // The last of them lets the files go.
        drop((plane, telemetry, console));
        Self {
            counters,
            ..Self::open(directory, clock, journal).await
        }
    }

    async fn open(
        directory: tempfile::TempDir,
        clock: Arc<ManualClock>,
        journal: Arc<MemoryJournal>,
    ) -> Self {
        let start = clock.now();
        let entropy = Arc::new(SeededEntropy::new(start.as_millisecond().unsigned_abs()));
        let (payments, _) = Catalog::load(&catalog_directory()).expect("the catalog has no errors");
        let files = payments.documents.files().chain([("contracts.yaml", CONTRACTS)]);
        // A bot of Slack's beside the chat.
        let files = files.map(|(name, text)| {
            (
                name,
                text.replace("  chat:\n    url: ${MAINSTAY_CHAT_URL}\n", SLACK),
            )
        });
        let (documents, mut diagnostics) = Documents::from_texts(files);
        let catalog = Catalog::build(documents, &mut diagnostics);
        let judged = Judged::of(&catalog, &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
        let settings = mainstay_slo::Settings {
            scrape_interval_ms: STEP_S * 1_000,
            ..mainstay_slo::Settings::default()
        };
        let (telemetry, _) =
            Telemetry::open(directory.path(), judged, settings, clock.clone()).expect("a store");
        let telemetry = Arc::new(telemetry);
        let addresses = Directory::new(&catalog, |name| Some(format!("http://127.0.0.1/{name}")));
        let parts = Parts {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy,
            channels: Arc::new(Post),
            hands: Arc::new(Obedient),
            judge: telemetry.clone(),
            base_url: "http://127.0.0.1".to_owned(),
        };
        let plane = Plane::open(parts, "test", Arc::new(catalog), addresses.expect("addresses"));
        let plane = Arc::new(plane.await.expect("a plane"));
        let key = SigningKey::open(directory.path(), &SeededEntropy::new(8)).expect("a key");
        // Nothing here asks an inbox; the client is never used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let console = PlaneConsole::new(
            plane.clone(),
            telemetry.clone(),
            reqwest::Client::new(),
            None,
            Arc::new(Nowhere),
            Program {
                started_at: start,
                flags: Arc::default(),
                scrapes: Arc::new(Scrapes::new(telemetry.clone())),
                doors: Arc::new(desk::Doors::new(&key)),
                key: Arc::new(key),
            },
        );
        Self {
            clock,
            plane,
            telemetry,
            console,
            counters: std::collections::BTreeMap::new(),
            journal,
            directory,
        }
    }

    /// Lets ten requests per tenant and cell happen each step, and judges; `bad` of them fail for STD-001 and SOU-001 in
    /// cell-5. All are quick, and every payment is completed.
    pub(super) async fn run(&mut self, steps: u32, bad: u32) {
        for _ in 0..steps {
            self.clock.advance(SignedDuration::from_secs(STEP_S));
            let now = self.clock.now();
            let mut rows: Vec<(Labels, f64)> = Vec::new();
            let places = [
                ("cell-1", "HIG-001"),
                ("cell-5", "STD-001"),
                ("cell-5", "SOU-001"),
            ];
            for (cell, tenant) in places {
                let failing = if cell == "cell-5" { bad } else { 0 };
                for (status, more) in [("201", 10 - failing), ("500", failing)] {
                    let count = self.counters.entry((cell, tenant, status)).or_default();
                    *count += more;
                    let labels = [
                        ("__name__", "http_requests_total"),
                        ("job", "api-gateway"),
                        ("cell", cell),
                        ("tenant", tenant),
                        ("status", status),
                    ];
                    rows.push((labels.into_iter().collect(), f64::from(*count)));
                }
                let all: u32 = ["201", "500"]
                    .iter()
                    .filter_map(|status| self.counters.get(&(cell, tenant, *status)))
                    .sum();
                for (name, job, label, value) in [
                    ("http_request_duration_seconds_bucket", "api-gateway", "le", "0.2"),
                    ("http_request_duration_seconds_bucket", "api-gateway", "le", "0.5"),
                    (
                        "http_request_duration_seconds_bucket",
                        "api-gateway",
                        "le",
                        "+Inf",
                    ),
                    ("http_request_duration_seconds_count", "api-gateway", "le", ""),
                    ("payments_ended_total", "saga-orchestrator", "status", "completed"),
                ] {
                    let labels = [
                        ("__name__", name),
                        ("job", job),
                        ("cell", cell),
                        ("tenant", tenant),
                        (label, value),
                    ];
                    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
                    rows.push((labels.collect(), f64::from(all)));
                }
            }
            for job in ["api-gateway", "payment-service"] {
                for cell in ["cell-1", "cell-5"] {
                    let labels = [("__name__", "up"), ("job", job), ("cell", cell)];
                    rows.push((labels.into_iter().collect(), 1.0));
                }
            }
            let rows: Vec<Row<'_>> = rows
                .iter()
                .map(|(labels, value)| Row {
                    labels,
                    created_ms: None,
                    t_ms: now.as_millisecond(),
                    value: *value,
                })
                .collect();
            self.telemetry.append(&rows).expect("samples are taken");
            let payments = CompletionBatch {
                stream: "payments".to_owned(),
                sender: "/payments".to_owned(),
                events: places.iter().flat_map(|place| a_payment(place, now)).collect(),
            };
            self.telemetry
                .take_completions(&[payments])
                .expect("payments are taken");
            let found = self.telemetry.evaluate(now);
            let command = Command::Alert(AlertCommand::Observe(found.observations));
            self.plane
                .submit(Actor::machine("telemetry"), command)
                .await
                .expect("alerts are taken");
            let noted = self.plane.note_budgets(found.budgets).await;
            noted.expect("changes of budgets are taken");
            self.plane.measure().await.expect("it is measured");
            self.work().await;
        }
    }

    /// Fires timers and carries effects out until there are none.
    pub(super) async fn work(&self) {
        loop {
            self.plane.tick().await.expect("timers fire");
            let claimed = self.plane.claim(100).await.expect("effects are claimed");
            if claimed.is_empty() {
                return;
            }
            for one in claimed {
                self.plane.perform(one).await.expect("effects are carried out");
            }
        }
    }

    pub(super) async fn deploy(&self) -> Result<Done, Failure> {
        let event = json!({
            "specversion": "1.0", "id": "d-1", "source": "ci", "type": "com.mainstay.change.deploy",
            "subject": "payment-service", "time": self.clock.now(),
            "data": {"cell": "cell-5", "from_version": "v1.5.0", "to_version": "v1.6.0"}
        });
        self.console.record_change(&reader(&[]), event).await
    }

    /// A quiet minute, a release, and failures until there is an incident.
    pub(super) async fn outage() -> (Self, IncidentId) {
        let mut world = Self::new().await;
        world.run(12, 0).await;
        world.deploy().await.expect("a change is taken");
        world.run(4, 0).await;
        world.run(24, 6).await;
        let open = world
            .console
            .incidents(&reader(&[]), &everywhere())
            .await
            .expect("a list");
        let id = open.first().expect("it is an incident").id.clone();
        (world, id)
    }
}
