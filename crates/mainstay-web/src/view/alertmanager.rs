//! What Alertmanager's API v2 gives and takes, as its specification writes it.

use jiff::Timestamp;
use mainstay_kernel::{Labels, Matcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

type Pairs = std::collections::BTreeMap<String, String>;

/// A receiver by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// Whether an alert is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertTold {
    /// It is, or will be.
    Active,
    /// Something keeps it from being told.
    Suppressed,
}

/// What becomes of an alert, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// Whether it is told.
    pub state: AlertTold,
    /// Silences that match it.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts that inhibit it.
    pub inhibited_by: Vec<String>,
    /// Time intervals that mute all of its routes.
    pub muted_by: Vec<String>,
}

/// An alert (`gettableAlert`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GettableAlert {
    /// Its labels.
    #[schemars(with = "Pairs")]
    pub labels: Labels,
    /// Its annotations.
    #[schemars(with = "Pairs")]
    pub annotations: Labels,
    /// Since when it fires.
    #[schemars(with = "Utc")]
    pub starts_at: Timestamp,
    /// Until when it is believed, if it is not told again.
    #[schemars(with = "Utc")]
    pub ends_at: Timestamp,
    /// When its source last said something new of it.
    #[schemars(with = "Utc")]
    pub updated_at: Timestamp,
    /// What names it.
    pub fingerprint: String,
    /// Whom its routes tell.
    pub receivers: Vec<Named>,
    /// What becomes of it.
    pub status: AlertStatus,
    /// A link to what sent it.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
}

/// A group of alerts (`alertGroup`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertGroup {
    /// The labels that it groups by.
    #[schemars(with = "Pairs")]
    pub labels: Labels,
    /// Whom it tells.
    pub receiver: Named,
    /// Its alerts.
    pub alerts: Vec<GettableAlert>,
}

/// The state of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SilenceState {
    /// `pending`, `active` or `expired`.
    pub state: String,
}

/// A silence (`gettableSilence`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GettableSilence {
    /// What names it.
    pub id: String,
    /// Whether it is in force.
    pub status: SilenceState,
    /// When it was last changed.
    #[schemars(with = "Utc")]
    pub updated_at: Timestamp,
    /// All of them match what is silenced: `name`, `value`, `isRegex`, `isEqual`.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub matchers: Vec<Matcher>,
    /// From when on.
    #[schemars(with = "Utc")]
    pub starts_at: Timestamp,
    /// Until when.
    #[schemars(with = "Utc")]
    pub ends_at: Timestamp,
    /// Who made it, as they said.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence to be made or, with an `id`, changed (`postableSilence`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostableSilence {
    /// Which one is changed.
    #[serde(default)]
    pub id: Option<String>,
    /// All of them match what is silenced: `name`, `value`, `isRegex`, `isEqual`.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub matchers: Vec<Matcher>,
    /// From when on; in the past: from now on.
    #[schemars(with = "Utc")]
    pub starts_at: Timestamp,
    /// Until when.
    #[schemars(with = "Utc")]
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// The name of a silence that was made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SilenceMade {
    /// The name.
    #[serde(rename = "silenceID")]
    pub silence_id: String,
}

/// The routing in force and since when this program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerStatus {
    /// There is none: one program leads.
    pub cluster: ClusterStatus,
    /// The program.
    pub version_info: VersionInfo,
    /// The routing.
    pub config: OriginalConfig,
    /// Since when it runs.
    #[schemars(with = "Utc")]
    pub uptime: Timestamp,
}

/// The state of Alertmanager's cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClusterStatus {
    /// `disabled`.
    pub status: String,
    /// None.
    pub peers: Vec<Named>,
}

/// What the program is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "their names are Alertmanager's and say what they are")]
pub struct VersionInfo {
    pub version: String,
    pub revision: String,
    pub branch: String,
    pub build_user: String,
    pub build_date: String,
    pub go_version: String,
}

/// The routing as an Alertmanager would read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OriginalConfig {
    /// Receivers without their addresses, the tree of routes, rules of inhibition, time intervals; JSON, which is YAML.
    pub original: String,
}
