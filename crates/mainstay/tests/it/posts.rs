//! A listener for HTTP posts, in threads of this process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::PATIENCE;

/// What somebody posted.
pub(crate) struct Post {
    pub(crate) path: String,
    /// By names in lower case.
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub(crate) struct Answer {
    /// Status, reason and further headers: `503 Service Unavailable\r\nRetry-After: 1`.
    pub(crate) head: &'static str,
    pub(crate) body: &'static str,
    /// How long that takes.
    pub(crate) wait: Duration,
}

impl Answer {
    /// At once and without a body.
    pub(crate) fn of(head: &'static str) -> Self {
        Self {
            head,
            body: "",
            wait: Duration::ZERO,
        }
    }
}

/// Listens until the process ends, as `http://127.0.0.1:port`; `take` is given what is complete, and only that.
pub(crate) fn listen(take: impl Fn(Post) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let take = Arc::new(take);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let take = Arc::clone(&take);
            std::thread::spawn(move || {
                // Who hangs up, or is killed, leaves half a post, which is none.
                let _ = converse(stream, &*take);
            });
        }
    });
    address
}

fn converse(stream: TcpStream, take: &dyn Fn(Post) -> Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let Answer { head, body, wait } = take(Post { path, headers, body });
        std::thread::sleep(wait);
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}
