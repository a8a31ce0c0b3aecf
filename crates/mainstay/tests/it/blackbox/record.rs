//! A receiver of webhooks that writes down what it is told, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;

use super::own;
use super::scenarios::Scenario;
use crate::posts::{Answer, Post, listen};

/// A notification.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) at_s: f64,
    pub(super) receiver: String,
    /// `A/c1 -B/c1`: sorted, and what is over has a minus.
    pub(super) alerts: String,
    /// What it says, but for what is of one of the two alone.
    pub(super) payload: Option<Value>,
}

impl Told {
    pub(super) fn is(&self, receiver: &str, alerts: &str, at_s: f64, bound_s: f64) -> bool {
        self.receiver == receiver && self.alerts == alerts && (self.at_s - at_s).abs() <= bound_s
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.1}: {}", self.receiver, self.at_s, self.alerts)
    }
}

#[derive(Default)]
struct Shared {
    began: Option<Instant>,
    told: Vec<(Instant, String, Value)>,
    refuse: BTreeMap<String, usize>,
}

/// See the module's words.
pub(super) struct Recorder {
    pub(super) address: String,
    shared: Arc<Mutex<Shared>>,
}

impl Recorder {
    pub(super) fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let taking = Arc::clone(&shared);
        let address = listen(move |post| take(&post, &taking));
        Self { address, shared }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, at: Instant) {
        self.shared().began = Some(at);
    }

    /// The next message to a receiver is answered with 500.
    pub(super) fn refuse_next(&self, receiver: &str) {
        *self.shared().refuse.entry(receiver.to_owned()).or_default() += 1;
    }

    /// What the receivers of a scenario were told while it lasts.
    pub(super) fn told(&self, scenario: &Scenario) -> Vec<Told> {
        let shared = self.shared();
        let began = shared.began.expect("it has begun");
        let receivers: Vec<String> = scenario
            .receivers
            .iter()
            .map(|name| own(scenario, name))
            .collect();
        let mut told = Vec::new();
        for (at, receiver, document) in &shared.told {
            let at_s = at.saturating_duration_since(began).as_secs_f64();
            if !receivers.contains(receiver) || at_s > scenario.until_s {
                continue;
            }
            assert_eq!(document["receiver"], *receiver, "{document}");
            let alerts = document["alerts"].as_array().expect("alerts").iter();
            let mut alerts: Vec<String> = alerts.map(shown).collect();
            alerts.sort_by(|a, b| a.trim_start_matches('-').cmp(b.trim_start_matches('-')));
            told.push(Told {
                at_s,
                receiver: receiver.clone(),
                alerts: alerts.join(" "),
                payload: Some(plain(document.clone())),
            });
        }
        told
    }
}

fn shown(alert: &Value) -> String {
    let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
    let over = if alert["status"] == "resolved" { "-" } else { "" };
    let cell = match label("cell") {
        "" => String::new(),
        cell => format!("/{cell}"),
    };
    format!("{over}{}{cell}", label("alertname"))
}

/// The document without its sender's address; times in milliseconds.
fn plain(mut document: Value) -> Value {
    document["externalURL"] = Value::Null;
    for alert in document["alerts"].as_array_mut().into_iter().flatten() {
        for name in ["startsAt", "endsAt"] {
            let time = alert[name]
                .as_str()
                .and_then(|text| text.parse::<Timestamp>().ok());
            alert[name] = time.map_or(Value::Null, |time| time.as_millisecond().into());
        }
    }
    document
}

fn take(post: &Post, shared: &Mutex<Shared>) -> Answer {
    let receiver = post.path.trim_start_matches('/').to_owned();
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(left) = shared.refuse.get_mut(&receiver).filter(|left| **left > 0) {
        *left -= 1;
        return Answer::of("500 Internal Server Error");
    }
    let document = serde_json::from_slice(&post.body).expect("JSON");
    shared.told.push((Instant::now(), receiver, document));
    Answer::of("200 OK")
}
