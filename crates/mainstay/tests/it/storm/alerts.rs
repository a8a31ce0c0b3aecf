//! Alerts as Alertmanager's clients post them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::PATIENCE;

/// An alert of the storm; its number is in its summary, and so in every message about it.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) number: u64,
    pub(crate) priority: &'static str,
    /// To which receiver it goes: `desk` or `slow`.
    pub(crate) lane: &'static str,
    pub(crate) starts_at: Timestamp,
}

impl Alert {
    /// What stands in messages about it and in no others.
    pub(crate) fn mark(&self) -> String {
        mark(self.number)
    }

    /// As it is posted, firing or over.
    pub(crate) fn posted(&self, ended_at: Option<Timestamp>) -> Value {
        let mut alert = json!({
            "labels": {
                "alertname": "StormAlert",
                "number": self.number.to_string(),
                "priority": self.priority,
                "lane": self.lane,
                "cell": format!("cell-{}", self.number % 10 + 1),
            },
            "annotations": {"summary": self.mark()},
            "startsAt": self.starts_at.to_string(),
            "generatorURL": "http://prometheus.example/graph",
        });
        if let Some(ended_at) = ended_at {
            alert["endsAt"] = ended_at.to_string().into();
        }
        alert
    }
}

pub(crate) fn mark(number: u64) -> String {
    format!("storm-{number:06}-mark")
}

/// The numbers of all alerts that a message is about.
pub(crate) fn marked(text: &str) -> impl Iterator<Item = u64> {
    text.match_indices("storm-")
        .filter_map(|(at, _)| text.get(at + 6..at + 17)?.strip_suffix("-mark")?.parse().ok())
}

/// Posts JSON. `None` if no answer came, whole or at all: the server may be gone at any point of it.
pub(crate) fn post(address: &str, path: &str, body: &Value) -> Option<u16> {
    request(address, "POST", path, &body.to_string()).map(|(status, _)| status)
}

/// Makes a request; `None` if no whole answer came.
pub(crate) fn request(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let authority = address.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body.as_bytes()].concat())
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
