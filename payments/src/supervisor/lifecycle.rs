//! What becomes of payments, told to the control plane: one CloudEvent when a payment begins and one when it ends.
//!
//! The cell's database is the buffer: what was not accepted yet is read again, so nothing is lost while the control plane is
//! gone, and nothing is held in memory but the ids of the last seconds. A payment may be told twice, after a restart or a
//! lost answer; the receiver knows it by its id.

use super::spool::write_durably;
use crate::{
    client, clock,
    log::Logger,
    store::{self, StoreError, payments::Change},
};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How often it is told what happened.
const EVERY: Duration = Duration::from_secs(1);
/// How much later than its time a change may become visible: commits wait for each other.
const COMMIT_MAX_MS: i64 = 5_000;
/// How far back a supervisor that does not know where it was begins.
const BACK_MS: i64 = 10 * 60_000;
/// Changes in one request.
const PAGE: u32 = 1_000;
/// How often it is written down how far it came.
const SAVE_EVERY_MS: i64 = 10_000;

/// Where the events of all cells go.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) token: Option<String>,
}

struct Teller {
    cell: String,
    receiver: Receiver,
    http: client::Http,
    file: PathBuf,
    /// Everything before this was told.
    told_ms: i64,
    saved_ms: i64,
    /// What was told of the changes since [`COMMIT_MAX_MS`] before that: by id, the time of its last change.
    recent: BTreeMap<String, i64>,
}

/// Tells of the payments of a cell, for ever.
pub(super) fn tell(cell: &str, data: &Path, receiver: Receiver, log: Arc<Logger>) {
    let (db, file) = (super::database(data, cell), data.join(format!("{cell}.told")));
    let known = std::fs::read_to_string(&file).ok();
    let told_ms = known.and_then(|text| text.trim().parse().ok());
    let mut teller = Teller {
        cell: cell.to_owned(),
        receiver,
        http: client::http(),
        file,
        told_ms: told_ms.unwrap_or_else(|| clock::unix_ms() - BACK_MS),
        saved_ms: 0,
        recent: BTreeMap::new(),
    };
    tokio::spawn(async move {
        let mut pause = EVERY;
        let mut connection = None;
        loop {
            tokio::time::sleep(pause).await;
            pause = match teller.round(&db, &mut connection).await {
                Ok(()) => EVERY,
                Err(error) => {
                    log.warn("payments not told yet", &error);
                    (pause * 2).min(Duration::from_secs(10))
                }
            };
        }
    });
}

impl Teller {
    /// Tells everything up to now. What fails is told by the next round.
    async fn round(&mut self, db: &Path, connection: &mut Option<SqliteConnection>) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(store::connect(db).await.map_err(text)?),
        };
        let now_ms = clock::unix_ms();
        let mut from = (self.told_ms - COMMIT_MAX_MS, String::new());
        loop {
            let page = store::payments::changed_after(connection, from.0, &from.1, PAGE)
                .await
                .map_err(text)?;
            let is_last = page.len() < PAGE as usize;
            if let Some(last) = page.last() {
                from = (last.updated_at_ms, last.payment_id.clone());
            }
            let is_news =
                |change: &&Change| self.recent.get(&change.payment_id) != Some(&change.updated_at_ms);
            let news: Vec<&Change> = page.iter().filter(is_news).collect();
            let mut events: Vec<Value> = news.iter().flat_map(|change| self.events(change)).collect();
            if is_last {
                events.push(self.event(
                    "heartbeat",
                    "",
                    now_ms - COMMIT_MAX_MS,
                    json!({ "cell": self.cell }),
                ));
            }
            if !events.is_empty() {
                self.send(&Value::Array(events)).await?;
            }
            let told: Vec<(String, i64)> = news
                .iter()
                .map(|change| (change.payment_id.clone(), change.updated_at_ms))
                .collect();
            self.recent.extend(told);
            if is_last {
                break;
            }
        }
        self.told_ms = now_ms;
        self.recent
            .retain(|_, changed_ms| *changed_ms >= now_ms - 2 * COMMIT_MAX_MS);
        if now_ms - self.saved_ms >= SAVE_EVERY_MS {
            write_durably(&self.file, now_ms.to_string().as_bytes()).map_err(|error| error.to_string())?;
            self.saved_ms = now_ms;
        }
        Ok(())
    }

    /// That a payment began, and where it has ended that it did.
    fn events(&self, change: &Change) -> Vec<Value> {
        let id = &change.payment_id;
        let labels = json!({ "cell": self.cell, "tenant": change.tenant });
        let mut events = vec![self.event("initiated", id, change.created_at_ms, labels)];
        if change.status != "accepted" {
            let mut end = json!({ "state": change.status.to_uppercase() });
            if let Some(code) = change.reason.as_deref().and_then(reason_code) {
                end["reason"] = code.into();
            }
            events.push(self.event("finished", id, change.updated_at_ms, end));
        }
        events
    }

    fn event(&self, kind: &str, payment: &str, at_ms: i64, mut data: Value) -> Value {
        data["stream"] = "payments".into();
        json!({
            "specversion": "1.0",
            "id": format!("{payment}-{kind}-{at_ms}"),
            "source": format!("/payments/{}", self.cell),
            "type": format!("com.mainstay.completion.{kind}"),
            "subject": payment,
            "time": clock::rfc3339(at_ms),
            "data": data,
        })
    }

    async fn send(&self, events: &Value) -> Result<(), String> {
        let bearer = self
            .receiver
            .token
            .as_ref()
            .map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/cloudevents-batch+json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let body = Bytes::from(events.to_string());
        let (url, timeout) = (&self.receiver.url, Duration::from_secs(5));
        let answer = client::request(&self.http, Method::POST, url, &headers, body, timeout).await?;
        if !answer.status.is_success() {
            return Err(format!(
                "{url}: {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            ));
        }
        Ok(())
    }
}

/// The ISO 20022 status reason code that a reason begins with, such as `AM04 insufficient funds`.
fn reason_code(reason: &str) -> Option<&str> {
    let code = reason.split(' ').next()?;
    let is_code = code.len() == 4 && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::reason_code;

    #[test]
    fn a_reason_begins_with_its_code_or_has_none() {
        assert_eq!(reason_code("AM04 insufficient funds"), Some("AM04"));
        assert_eq!(reason_code("CUST"), Some("CUST"));
        for none in ["", "invalid", "the bank could not be reached", "AM4"] {
            assert_eq!(reason_code(none), None, "{none}");
        }
    }
}
