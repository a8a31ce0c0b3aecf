//! What the demo asks its children.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::DemoError;

/// Talks to the control plane and the supervisor.
pub(crate) struct Api {
    client: reqwest::Client,
    console: String,
    supervisor: String,
}

/// An answer of the control plane.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// An incident, as far as the story needs it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Incident {
    pub(crate) summary: Summary,
    pub(crate) pages: Vec<Page>,
    pub(crate) timeline: Vec<Entry>,
    pub(crate) resolve_blocked: Option<String>,
}

/// The short form of an incident.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) severity: String,
    pub(crate) title: String,
    pub(crate) resolved_at: Option<Timestamp>,
    pub(crate) tenants: Vec<String>,
    pub(crate) suspect: Option<String>,
}

/// A page of an incident.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Page {
    /// Who is to acknowledge it; others are only informed.
    pub(crate) to: String,
    pub(crate) receipts: Vec<Receipt>,
}

/// A delivered message.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) channel: String,
    pub(crate) to: String,
    pub(crate) at: Timestamp,
}

/// A line of an incident's timeline.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// Counts of an objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) bad: u64,
    pub(crate) total: u64,
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            bad: self.bad.saturating_sub(earlier.bad),
            total: self.total.saturating_sub(earlier.total),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct SloRow {
    id: String,
    group: Option<String>,
    bad: u64,
    total: u64,
    unknown_reason: Option<String>,
}

/// What the load generator's clients saw.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LoadReport {
    pub(crate) finished: bool,
    /// When it was made.
    pub(crate) at: Timestamp,
    pub(crate) cells: BTreeMap<String, CellTotals>,
    pub(crate) counts: Vec<TenantCount>,
}

/// How many requests of a tenant in a cell ended in one way.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TenantCount {
    cell: String,
    tenant: String,
    bad: bool,
    count: u64,
}

impl LoadReport {
    /// The counts of every tenant of a cell.
    pub(crate) fn tenants(&self, cell: &str) -> BTreeMap<&str, Counts> {
        let mut tenants: BTreeMap<&str, Counts> = BTreeMap::new();
        for count in self.counts.iter().filter(|count| count.cell == cell) {
            let counts = tenants.entry(&count.tenant).or_default();
            counts.total += count.count;
            counts.bad += if count.bad { count.count } else { 0 };
        }
        tenants
    }
}

/// An alert, as far as the story needs it.
#[derive(Debug, Clone, Deserialize)]
struct Alert {
    name: String,
    scope: Place,
    since: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
struct Place {
    cell: Option<String>,
}

/// The same for one cell.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct CellTotals {
    pub(crate) total: u64,
    pub(crate) bad: u64,
    pub(crate) first_error_at: Option<Timestamp>,
    pub(crate) last_error_at: Option<Timestamp>,
}

impl CellTotals {
    /// The counts alone.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            bad: self.bad,
            total: self.total,
        }
    }
}

impl Api {
    pub(crate) fn new(console: String, supervisor: String) -> Result<Self, DemoError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build();
        Ok(Self {
            client: client.map_err(|error| DemoError::Wrong(error.to_string()))?,
            console,
            supervisor,
        })
    }

    /// One request; the body of a good answer.
    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<String, DemoError> {
        let no_answer = |error: reqwest::Error| DemoError::NoAnswer {
            url: error.url().map(ToString::to_string).unwrap_or_default(),
            problem: error.without_url().to_string(),
        };
        let answer = request.send().await.map_err(no_answer)?;
        let (url, status) = (answer.url().to_string(), answer.status());
        let text = answer.text().await.map_err(no_answer)?;
        if status.is_success() {
            return Ok(text);
        }
        Err(DemoError::Refused {
            url,
            status: status.as_u16(),
            text,
        })
    }

    async fn read<T: DeserializeOwned>(&self, url: String) -> Result<T, DemoError> {
        let text = self.ask(self.client.get(&url)).await?;
        serde_json::from_str(&text).map_err(|error| DemoError::Wrong(format!("{url}: {error}")))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let envelope: Envelope<T> = self.read(format!("{}{path}", self.console)).await?;
        Ok(envelope.data)
    }

    async fn post(&self, base: &str, path: &str, body: Value) -> Result<(), DemoError> {
        let request = self.client.post(format!("{base}{path}")).json(&body);
        self.ask(request).await.map(|_| ())
    }

    /// Whether the control plane answers.
    pub(crate) async fn console_is_up(&self) -> bool {
        let health = self.client.get(format!("{}/healthz", self.console));
        self.ask(health).await.is_ok()
    }

    /// Whether every deployment runs what is wanted of it.
    pub(crate) async fn platform_is_ready(&self) -> bool {
        let readiness = self.client.get(format!("{}/readyz", self.supervisor));
        self.ask(readiness).await.is_ok()
    }

    /// How many pods run.
    pub(crate) async fn pods(&self) -> Result<usize, DemoError> {
        let pods: Vec<Value> = self.read(format!("{}/v1/pods", self.supervisor)).await?;
        Ok(pods.len())
    }

    /// Rolls a version out to a cell, all pods.
    pub(crate) async fn deploy(&self, cell: &str, service: &str, version: &str) -> Result<(), DemoError> {
        self.post(
            &self.supervisor,
            &format!("/v1/deployments/{cell}/{service}/image"),
            json!({ "version": version }),
        )
        .await
    }

    /// Since when the first burn alert of a cell fires that began after `since`.
    pub(crate) async fn burn_alert(
        &self,
        cell: &str,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, DemoError> {
        let alerts: Vec<Alert> = self.get("/api/v1/alerts/all").await?;
        let of_cell = alerts.into_iter().filter(|alert| {
            alert.name == mainstay_slo::engine::BURN_ALERT && alert.scope.cell.as_deref() == Some(cell)
        });
        Ok(of_cell.map(|alert| alert.since).filter(|at| *at >= since).min())
    }

    /// The incidents, open ones first.
    pub(crate) async fn incidents(&self) -> Result<Vec<Summary>, DemoError> {
        self.get("/api/v1/incidents").await
    }

    /// One incident.
    pub(crate) async fn incident(&self, id: &str) -> Result<Incident, DemoError> {
        self.get(&format!("/api/v1/incidents/{id}")).await
    }

    /// Takes an incident on.
    pub(crate) async fn acknowledge(&self, id: &str) -> Result<(), DemoError> {
        self.post(
            &self.console,
            &format!("/api/v1/incidents/{id}/acknowledge"),
            json!({}),
        )
        .await
    }

    /// Runs a step of a runbook.
    pub(crate) async fn run_step(&self, incident: &str, runbook: &str, step: &str) -> Result<(), DemoError> {
        let path = format!("/api/v1/incidents/{incident}/runbooks/{runbook}/steps/{step}");
        self.post(&self.console, &path, json!({})).await
    }

    /// Ends an incident.
    pub(crate) async fn resolve(&self, id: &str) -> Result<(), DemoError> {
        self.post(
            &self.console,
            &format!("/api/v1/incidents/{id}/resolve"),
            json!({}),
        )
        .await
    }

    /// The post-mortem draft.
    pub(crate) async fn postmortem(&self, id: &str) -> Result<String, DemoError> {
        let url = format!("{}/api/v1/incidents/{id}/postmortem", self.console);
        self.ask(self.client.get(url)).await
    }

    /// What an objective counted in a cell in its window; `None` while nothing is seen of it.
    pub(crate) async fn counts(&self, slo: &str, cell: &str) -> Result<Option<Counts>, DemoError> {
        let rows: Vec<SloRow> = self.get(&format!("/api/v1/slos?cell={cell}")).await?;
        let whole = rows
            .iter()
            .find(|row| row.id == slo && row.group.as_deref() == Some(cell));
        Ok(whole
            .filter(|row| row.unknown_reason.is_none())
            .map(|row| Counts {
                bad: row.bad,
                total: row.total,
            }))
    }

    /// What the load generator wrote last.
    pub(crate) fn read_report(path: &Path) -> Option<LoadReport> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
