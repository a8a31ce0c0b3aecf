//! The smallest HTTP client and sink that the tests can do with.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// Sends a request on a connection of its own.
pub(crate) fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(head.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (first, _) = head_of(&mut reader)?;
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| std::io::Error::other(first))?,
        text,
    })
}

pub(crate) fn get(url: &str) -> Answer {
    request("GET", url, &[], "").unwrap_or_else(|e| panic!("GET {url}: {e}"))
}

pub(crate) fn post(url: &str, body: &str) -> Answer {
    request("POST", url, &[("content-type", "application/json")], body)
        .unwrap_or_else(|e| panic!("POST {url}: {e}"))
}

fn head_of(reader: &mut impl BufRead) -> std::io::Result<(String, usize)> {
    let (mut first, mut length, mut line) = (String::new(), 0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if first.is_empty() {
            first = line.trim().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    Ok((first, length))
}

/// A control plane that takes change records, and refuses the first few.
pub(crate) struct Sink {
    pub(crate) url: String,
    accepted: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Sink {
    pub(crate) fn refusing_first(mut refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!(
            "http://{}/api/v1/changes",
            listener.local_addr().expect("an address")
        );
        let accepted = Arc::<Mutex<Vec<_>>>::default();
        let taken = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Ok((_, length)) = head_of(&mut reader) else {
                    continue;
                };
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let refused = refusals > 0;
                refusals = refusals.saturating_sub(1);
                let status = if refused {
                    "503 Service Unavailable"
                } else {
                    "202 Accepted"
                };
                if !refused {
                    let event = serde_json::from_slice(&body).expect("an event in JSON");
                    taken.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { url, accepted }
    }

    pub(crate) fn accepted(&self) -> Vec<serde_json::Value> {
        self.accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
