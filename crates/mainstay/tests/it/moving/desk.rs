//! Receivers that write down who told them what.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::posts::{Answer, listen};

/// What came.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Whether an Alertmanager sent it.
    pub(super) theirs: bool,
    /// The receiver.
    pub(super) path: String,
    pub(super) body: Value,
}

impl Told {
    /// `firing Down/c1 Slow/c1`, sorted.
    pub(super) fn says(&self) -> String {
        let alerts = self.body["alerts"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = alerts
            .iter()
            .filter(|alert| !is_end_of_held_back(alert))
            .map(|alert| format!("{}/{}", label(alert, "alertname"), label(alert, "cell")))
            .collect();
        names.sort();
        let status = self.body["status"].as_str().unwrap_or_default();
        format!(
            "{} {status} {}",
            self.path.trim_start_matches('/'),
            names.join(" ")
        )
    }
}

/// An Alertmanager that never told of an alert, for another held it back, nevertheless names it when both end together.
/// Mainstay does not.
pub(super) fn is_end_of_held_back(alert: &Value) -> bool {
    alert["labels"]["severity"] == "low" && alert["status"] == "resolved"
}

/// See the module's words. It listens until the process ends.
pub(super) struct Desk {
    pub(super) address: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Desk {
    pub(super) fn start() -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let taking = Arc::clone(&told);
        let address = listen(move |post| {
            let told = Told {
                theirs: post.header("user-agent").starts_with("Alertmanager"),
                body: serde_json::from_slice(&post.body).unwrap_or_default(),
                path: post.path,
            };
            taking.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            Answer {
                body: "ok",
                ..Answer::of("200 OK")
            }
        });
        Self { address, told }
    }

    /// What one of the two told so far, but for the posts to Slack.
    pub(super) fn told(&self, theirs: bool) -> Vec<String> {
        let mut said: Vec<String> = self.all(theirs).iter().map(Told::says).collect();
        said.retain(|text| !text.starts_with("slack"));
        said
    }

    /// All that one of the two told so far, in the order in which it came.
    pub(super) fn all(&self, theirs: bool) -> Vec<Told> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.retain(|told| told.theirs == theirs);
        told
    }
}
