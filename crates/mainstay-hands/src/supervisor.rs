//! The hand that asks the local supervisor.

use std::time::Duration;

use mainstay_kernel::effect::{Act, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::Hands;

/// How long the supervisor may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of an answer is kept, in bytes.
const ANSWER_MAX_BYTES: usize = 512;

/// Talks to a supervisor's control API.
#[derive(Debug, Clone)]
pub struct SupervisorHand {
    client: reqwest::Client,
    base_url: String,
}

impl SupervisorHand {
    /// A hand for the supervisor at `base_url`, such as `http://127.0.0.1:7000`.
    #[must_use]
    pub fn new(client: reqwest::Client, base_url: &str) -> Self {
        Self {
            client,
            base_url: base_url.trim_end_matches('/').to_owned(),
        }
    }
}

/// The verb of the control API, and its body.
fn request(act: &Act) -> (String, serde_json::Value) {
    let path = |service: &dyn std::fmt::Display, cell: &dyn std::fmt::Display, verb: &str| {
        format!("/v1/deployments/{cell}/{service}/{verb}")
    };
    match act {
        Act::Rollback { service, cell } => (path(service, cell, "undo"), json!({})),
        Act::Restart { service, cell } => (path(service, cell, "restart"), json!({})),
        Act::Scale {
            service,
            cell,
            replicas,
        } => (path(service, cell, "scale"), json!({ "replicas": replicas })),
    }
}

/// What a deployment is after an act.
#[derive(Deserialize)]
struct Deployment {
    cell: String,
    service: String,
    version: String,
    revision: u64,
    replicas: usize,
    ready: usize,
}

/// The supervisor's answer for people: `payment-service in cell-5 is v1.5.0 (revision 3), 2 of 2 pods ready`.
fn receipt(answer: &str) -> String {
    let Ok(after) = serde_json::from_str::<Deployment>(answer) else {
        return cut(answer).to_owned();
    };
    format!(
        "{} in {} is {} (revision {}), {} of {} pods ready",
        after.service, after.cell, after.version, after.revision, after.ready, after.replicas
    )
}

fn cut(answer: &str) -> &str {
    &answer[..answer.floor_char_boundary(ANSWER_MAX_BYTES)]
}

impl Hands for SupervisorHand {
    /// The supervisor remembers idempotency keys: a rollback that is asked for twice goes back one revision.
    async fn act(&self, key: &str, act: &Act) -> Outcome {
        let (path, body) = request(act);
        let url = format!("{}{path}", self.base_url);
        let sent = self
            .client
            .post(url)
            .timeout(TIMEOUT)
            .header("Idempotency-Key", key)
            .json(&body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                return Outcome::Retry {
                    reason: format!("the supervisor does not answer: {error}"),
                    after_ms: 0,
                };
            }
        };
        let status = response.status();
        let answer = response.text().await.unwrap_or_default();
        if status.is_success() {
            Outcome::Done {
                receipt: receipt(&answer),
            }
        } else if status.is_server_error() || status.as_u16() == 429 {
            Outcome::Retry {
                reason: format!("the supervisor says {status}: {}", cut(&answer)),
                after_ms: 0,
            }
        } else {
            Outcome::Failed {
                reason: format!("the supervisor says {status}: {}", cut(&answer)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_words_and_within_its_limit() {
        let answer = r#"{"cell":"cell-5","service":"payment-service","version":"v1.5.0","revision":3,"replicas":2,
            "ready":2,"rolled_out":false,"revisions":[],"event_id":"cell-5-1"}"#;
        assert_eq!(
            receipt(answer),
            "payment-service in cell-5 is v1.5.0 (revision 3), 2 of 2 pods ready"
        );
        assert_eq!(receipt("accepted"), "accepted");
        assert!(receipt(&"ä".repeat(1_000)).len() <= ANSWER_MAX_BYTES);
    }
}
