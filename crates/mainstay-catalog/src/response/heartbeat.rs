//! Heartbeats: what others must tell at least so often, or somebody hears of it.
//!
//! ```yaml
//! apiVersion: mainstay/v1
//! kind: Heartbeats
//! items:
//!   - id: nightly-backup
//!     interval: 24h            # a beat is expected this often
//!     grace: 30m               # and may be this late
//!     severity: P1
//!     summary: The nightly backup of the ledger
//!     runbook: backup-missing  # optional
//!     labels: { cell: cell-5 } # optional: of the alert
//! ```

use std::collections::BTreeMap;

use jiff::SignedDuration;
use mainstay_kernel::{Labels, Severity};
use serde::{Deserialize, Serialize};

use super::{Delay, Routing};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::documents::Documents;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::platform::Platform;
use crate::spanned::Spanned;

/// The name of the alert that a missed heartbeat raises.
pub const HEARTBEAT_ALERT: &str = "HeartbeatMissed";
/// The label by which it says which heartbeat it is about.
pub const HEARTBEAT_LABEL: &str = "heartbeat";
/// The most heartbeats of a catalog.
pub const HEARTBEATS_MAX: usize = 1_000;
/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 64;
/// How often beats may be expected at the most, and how rarely.
const INTERVAL_MIN: SignedDuration = SignedDuration::from_secs(1);
const INTERVAL_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);
/// Labels that the alert has anyway.
const RESERVED: [&str; 4] = ["alertname", HEARTBEAT_LABEL, "priority", "severity"];

/// An item of a document of kind `Heartbeats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Its name: what the sender says.
    pub id: Spanned<String>,
    /// How often a beat is expected.
    pub interval: Spanned<Delay>,
    /// How late it may be.
    pub grace: Spanned<Delay>,
    /// How bad it is when none comes.
    pub severity: Severity,
    /// What sends it, for the humans who hear that it did not.
    pub summary: String,
    /// What to do then: the id of a runbook, or a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<Spanned<String>>,
    /// Further labels of the alert, by which it is routed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Spanned<String>>,
}

impl Heartbeat {
    /// How long after a beat the next one is missed.
    #[must_use]
    pub fn patience(&self) -> SignedDuration {
        self.interval.value.0.saturating_add(self.grace.value.0)
    }

    /// The labels of the alert that it was missed.
    #[must_use]
    pub fn alert_labels(&self) -> Labels {
        let mut labels = Labels::new();
        for (name, value) in &self.labels {
            labels.set(name, &value.value);
        }
        labels
            .with("alertname", HEARTBEAT_ALERT)
            .with(HEARTBEAT_LABEL, &self.id.value)
            .with("priority", self.severity.to_string())
            .with("severity", self.severity.word())
    }
}

/// Reads every document of the kind. What is wrong with one is said, and it is left out.
pub(super) fn build(
    documents: &Documents,
    platform: &Platform,
    routing: &Routing,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Heartbeat> {
    let items = documents.items::<Heartbeat>("Heartbeats", diagnostics);
    if let Some(beyond) = items.get(HEARTBEATS_MAX) {
        let message = format!("a catalog has at most {HEARTBEATS_MAX} heartbeats");
        diagnostics.push(
            beyond
                .document
                .diagnostic(lint::TOO_LARGE, beyond.value.id.at, message),
        );
        return BTreeMap::new();
    }
    let sound = items.into_iter().filter(|item| {
        let mut findings = check(item, platform);
        findings.extend(check_route(item, routing));
        let sound = findings.is_empty();
        findings.into_iter().for_each(|finding| diagnostics.push(finding));
        sound
    });
    let named: Vec<_> = sound.map(|item| (item.value.id.clone(), item)).collect();
    values(by_name("heartbeat", named, diagnostics))
}

/// One that is to page somebody, and is routed to whom pages nobody.
fn check_route(item: &Sourced<'_, Heartbeat>, routing: &Routing) -> Option<Diagnostic> {
    let heartbeat = &item.value;
    if !heartbeat.severity.pages() {
        return None;
    }
    let routes = routing.route.matching(&heartbeat.alert_labels());
    let names: Vec<&str> = routes.iter().map(|(_, route)| route.receiver.as_str()).collect();
    let pages = |name: &&str| {
        let receiver = routing.receivers.get(*name);
        receiver.is_some_and(|receiver| receiver.page.is_some())
    };
    if names.iter().any(pages) {
        return None;
    }
    let message = format!(
        "that the heartbeat {} is missed goes to {}, which pages nobody",
        heartbeat.id.value,
        names.join(", ")
    );
    let found = item
        .document
        .diagnostic(lint::SEVERITY_UNROUTED, heartbeat.id.at, message);
    Some(found.help("give it labels that a route with `page:` takes, or severity P2 or P3"))
}

fn check(item: &Sourced<'_, Heartbeat>, platform: &Platform) -> Vec<Diagnostic> {
    let (document, heartbeat) = (item.document, &item.value);
    let bad = |at, message: String, help: &str| document.diagnostic(lint::BAD_VALUE, at, message).help(help);
    let mut found = Vec::new();
    let name = heartbeat.id.value.as_str();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if name.is_empty()
        || name.len() > NAME_MAX_BYTES
        || !name.bytes().all(plain)
        || !name.as_bytes()[0].is_ascii_alphanumeric()
    {
        let help = "lower-case letters, digits, `-`, `_` and `.`, a letter or a digit first, at most 64: it is part of a URL";
        found.push(bad(
            heartbeat.id.at,
            format!("{name:?} cannot be the id of a heartbeat"),
            help,
        ));
    }
    let interval = heartbeat.interval.value.0;
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        let message = format!("no beat can be expected every {}", heartbeat.interval.value);
        found.push(bad(heartbeat.interval.at, message, "from 1s to 366d"));
    }
    let grace = heartbeat.grace.value.0;
    if !(SignedDuration::ZERO..=INTERVAL_MAX).contains(&grace) {
        let message = format!("a beat cannot be {} late", heartbeat.grace.value);
        found.push(bad(heartbeat.grace.at, message, "from 0 to 366d"));
    }
    for (label, value) in &heartbeat.labels {
        if RESERVED.contains(&label.as_str()) {
            let message = format!("the label {label} is given by Mainstay");
            found.push(bad(value.at, message, "leave it out"));
            continue;
        }
        let mut known: Option<Vec<&str>> = None;
        match label.as_str() {
            "tenant" => known = Some(platform.tenants.keys().map(|id| id.as_str()).collect()),
            "cell" => known = Some(platform.cells.keys().map(|id| id.as_str()).collect()),
            "service" => known = Some(platform.services.keys().map(|id| id.as_str()).collect()),
            _ => {}
        }
        if let Some(known) = known.filter(|known| !known.contains(&value.value.as_str())) {
            found.push(document.unknown_reference(label, value, known));
        }
    }
    found
}
