//! Receivers that write down who told them what.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let taking = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taking = Arc::clone(&taking);
                std::thread::spawn(move || {
                    // Who hangs up told nothing.
                    let _ = take(stream, &taking);
                });
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

fn take(stream: TcpStream, told: &Mutex<Vec<Told>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut theirs) = (0, false);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "user-agent" => theirs = value.starts_with("Alertmanager"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let mut kept = told.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Told { theirs, path, body });
        drop(kept);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}
