//! What the demo asks its children.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::story::DemoError;

/// Talks to the control plane and the supervisor.
pub struct Api {
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
pub struct Incident {
    pub summary: Summary,
    pub pages: Vec<Page>,
    pub timeline: Vec<Entry>,
    pub alerts: Vec<Value>,
    pub resolve_blocked: Option<String>,
}

/// The short form of an incident.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    pub id: String,
    pub severity: String,
    pub title: String,
    pub started_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub tenants: Vec<String>,
    pub failed_requests: Option<u64>,
    pub suspect: Option<String>,
}

/// A page of an incident.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    pub receipts: Vec<Receipt>,
}

/// A delivered message.
#[derive(Debug, Clone, Deserialize)]
pub struct Receipt {
    pub channel: String,
    pub to: String,
    pub at: Timestamp,
}

/// A line of an incident's timeline.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub text: String,
}

/// Counts of an objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub bad: u64,
    pub total: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct SloRow {
    id: String,
    group: Option<String>,
    bad: u64,
    total: u64,
}

/// What the load generator's clients saw.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadReport {
    pub finished: bool,
    pub total: u64,
    pub bad: u64,
    pub cells: BTreeMap<String, CellTotals>,
}

/// The same for one cell.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CellTotals {
    pub total: u64,
    pub bad: u64,
    pub first_error_at: Option<Timestamp>,
    pub last_error_at: Option<Timestamp>,
}

impl Api {
    pub fn new(console: String, supervisor: String) -> Result<Self, DemoError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build();
        Ok(Self {
            client: client.map_err(|error| DemoError::Http(error.to_string()))?,
            console,
            supervisor,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let url = format!("{}{path}", self.console);
        let answer = self
            .client
            .get(&url)
            .send()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(DemoError::Http(format!("{url}: {}", answer.status())));
        }
        let envelope: Envelope<T> = answer
            .json()
            .await
            .map_err(|error| DemoError::Http(format!("{url}: {error}")))?;
        Ok(envelope.data)
    }

    async fn post(&self, base: &str, path: &str, body: Value) -> Result<Value, DemoError> {
        let url = format!("{base}{path}");
        let answer = self
            .client
            .post(&url)
            .json(&body)
            .send()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))?;
        if !status.is_success() {
            return Err(DemoError::Http(format!("{url}: {status} {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Whether the control plane answers.
    pub async fn console_is_up(&self) -> bool {
        self.client
            .get(format!("{}/healthz", self.console))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// Whether every deployment runs what is wanted of it.
    pub async fn platform_is_ready(&self) -> bool {
        self.client
            .get(format!("{}/readyz", self.supervisor))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// How many pods run.
    pub async fn pods(&self) -> Result<usize, DemoError> {
        let url = format!("{}/v1/pods", self.supervisor);
        let answer = self
            .client
            .get(&url)
            .send()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))?;
        let pods: Vec<Value> = answer
            .json()
            .await
            .map_err(|error| DemoError::Http(format!("{url}: {error}")))?;
        Ok(pods.len())
    }

    /// Rolls a version out to a cell, all pods.
    pub async fn deploy(&self, cell: &str, service: &str, version: &str) -> Result<(), DemoError> {
        self.post(
            &self.supervisor,
            &format!("/v1/deployments/{cell}/{service}/image"),
            json!({ "version": version }),
        )
        .await
        .map(|_| ())
    }

    /// The incidents, open ones first.
    pub async fn incidents(&self) -> Result<Vec<Summary>, DemoError> {
        self.get("/api/v1/incidents").await
    }

    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Incident, DemoError> {
        self.get(&format!("/api/v1/incidents/{id}")).await
    }

    /// Takes an incident on.
    pub async fn acknowledge(&self, id: &str) -> Result<(), DemoError> {
        self.post(
            &self.console,
            &format!("/api/v1/incidents/{id}/acknowledge"),
            json!({}),
        )
        .await
        .map(|_| ())
    }

    /// Runs a step of a runbook.
    pub async fn run_step(&self, incident: &str, runbook: &str, step: &str) -> Result<(), DemoError> {
        let path = format!("/api/v1/incidents/{incident}/runbooks/{runbook}/steps/{step}");
        self.post(&self.console, &path, json!({})).await.map(|_| ())
    }

    /// Ends an incident.
    pub async fn resolve(&self, id: &str) -> Result<(), DemoError> {
        self.post(
            &self.console,
            &format!("/api/v1/incidents/{id}/resolve"),
            json!({}),
        )
        .await
        .map(|_| ())
    }

    /// The post-mortem draft.
    pub async fn postmortem(&self, id: &str) -> Result<String, DemoError> {
        let url = format!("{}/api/v1/incidents/{id}/postmortem", self.console);
        let answer = self
            .client
            .get(&url)
            .send()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))?;
        answer
            .text()
            .await
            .map_err(|error| DemoError::Http(error.to_string()))
    }

    /// What an objective counted in a cell in its window, all groups together.
    pub async fn counts(&self, slo: &str, cell: &str) -> Result<Counts, DemoError> {
        let rows: Vec<SloRow> = self.get(&format!("/api/v1/slos?cell={cell}")).await?;
        let of_cell = rows.iter().filter(|row| row.id == slo);
        let whole = of_cell.clone().find(|row| {
            row.group
                .as_deref()
                .is_some_and(|group| !group.contains("tenant") && !group.contains(','))
        });
        if let Some(row) = whole {
            return Ok(Counts {
                bad: row.bad,
                total: row.total,
            });
        }
        Ok(of_cell.fold(Counts::default(), |sum, row| Counts {
            bad: sum.bad + row.bad,
            total: sum.total + row.total,
        }))
    }

    /// What an objective allows in a cell, by its own counts.
    pub fn read_report(path: &Path) -> Option<LoadReport> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
