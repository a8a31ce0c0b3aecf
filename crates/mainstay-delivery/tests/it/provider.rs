//! A provider that answers as the test says, over a real socket, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_delivery::channel::{ChannelOptions, RealChannels};
use mainstay_delivery::telephone::TelephoneOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No reason and no receipt may hold it.
pub(crate) const SECRET: &str = "hush-3f9ac1";
/// Nor this.
pub(crate) const NUMBER: &str = "+27115550100";

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    /// The headers, in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn is_post(&self) -> bool {
        self.line.starts_with("POST")
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (of, value) = line.split_once(':')?;
            of.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// An answer with this status, this header line and this body.
pub(crate) fn answer(status: &str, header: &str, body: &str) -> String {
    let header = if header.is_empty() {
        String::new()
    } else {
        format!("{header}\r\n")
    };
    format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The provider.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    /// Answers each request with what `says` gives for it and the number of such requests before; nothing is silence.
    pub(crate) async fn start(
        says: impl Fn(&Asked, usize) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (says, all) = (Arc::new(says), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, all) = (Arc::clone(&says), Arc::clone(&all));
                tokio::spawn(async move { serve(stream, &*says, &all).await });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    pub(crate) fn posts(&self) -> usize {
        self.asked().iter().filter(|asked| asked.is_post()).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    says: &(impl Fn(&Asked, usize) -> Option<String> + Send + Sync),
    all: &Mutex<Vec<Asked>>,
) {
    let mut bytes = Vec::new();
    let asked = loop {
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return,
        }
        if let Some(asked) = whole(&bytes) {
            break asked;
        }
    };
    let reply = {
        let mut all = all.lock().expect("no panic");
        let before = all.iter().filter(|one| one.is_post() == asked.is_post()).count();
        all.push(asked.clone());
        says(&asked, before)
    };
    match reply {
        Some(reply) => stream.write_all(reply.as_bytes()).await.expect("writes"),
        // Silence lasts until the other side has enough.
        None => while matches!(stream.read(&mut [0; 64]).await, Ok(read) if read > 0) {},
    }
}

fn whole(bytes: &[u8]) -> Option<Asked> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (line, head) = head.split_once("\r\n")?;
    let asked = Asked {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().expect("a number"));
    (body.len() >= length).then_some(asked)
}

/// Channels with a telephone at `url`, which wait that long and ask that often.
pub(crate) fn telephone(url: &str, wait_ms: u64, callback_url: Option<&str>) -> RealChannels {
    let wait = std::time::Duration::from_millis(wait_ms);
    let mut options = TelephoneOptions::new("AC1", SECRET, "+27115550199");
    options.url = url.to_owned();
    options.callback_url = callback_url.map(str::to_owned);
    options.wait = wait;
    options.poll = wait / 20;
    RealChannels::new(ChannelOptions {
        telephone: Some(options),
        http_timeout: std::time::Duration::from_millis(wait_ms),
        ..ChannelOptions::default()
    })
    .expect("channels")
}

/// What stands in a request's `Authorization`.
pub(crate) fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("AC1:{SECRET}")))
}
