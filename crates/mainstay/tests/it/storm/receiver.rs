//! A receiver of webhooks and chat posts that remembers what reached it, in the order in which it came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_kernel::testing::SeededEntropy;

use crate::harness::PATIENCE;

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// When it was complete.
    pub(crate) at: Instant,
    /// The path it was posted to.
    pub(crate) path: String,
    /// Its idempotency key.
    pub(crate) key: String,
    /// Whether it says that it may be a repetition.
    pub(crate) labelled: bool,
    /// All of it.
    pub(crate) body: String,
}

/// What it does to a message: waits so long, then takes it or says that it is too busy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// How long an answer takes at most.
    pub(crate) answers_within: Duration,
    /// How many of a hundred messages are not taken, with 503.
    pub(crate) busy_percent: u64,
}

type Manners = dyn Fn(&str) -> Manner + Send + Sync;

struct Shared {
    seen: Mutex<Vec<Arrival>>,
    chance: SeededEntropy,
    manners: Box<Manners>,
}

/// See the module. It listens until the process ends.
pub(crate) struct Receiver {
    /// `http://127.0.0.1:port`
    pub(crate) address: String,
    shared: Arc<Shared>,
}

impl Receiver {
    /// One whose manners depend on the path.
    pub(crate) fn start(seed: u64, manners: impl Fn(&str) -> Manner + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            chance: SeededEntropy::new(seed),
            manners: Box::new(manners),
        });
        let takes = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&takes);
                std::thread::spawn(move || {
                    // A sender that is killed leaves half a message, which is none.
                    let _ = converse(&shared, stream);
                });
            }
        });
        Self { address, shared }
    }

    /// What was taken, from the `from`-th on.
    pub(crate) fn since(&self, from: usize) -> Vec<Arrival> {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(from..).unwrap_or_default().to_vec()
    }

    /// How many were taken.
    pub(crate) fn count(&self) -> usize {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

fn converse(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut key) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap_or(0);
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                value.clone_into(&mut key);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let manner = (shared.manners)(&path);
        let most_us = u64::try_from(manner.answers_within.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(shared.chance.below(most_us));
        let answer = if shared.chance.below(100) < manner.busy_percent {
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
        } else {
            // Taken is taken, whether or not the sender lives to hear of it.
            let arrival = Arrival {
                at: Instant::now(),
                labelled: is_labelled(&body),
                path,
                key,
                body,
            };
            let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(arrival);
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        };
        std::thread::sleep(wait);
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}

/// Webhooks say it in a field, chat in words.
fn is_labelled(body: &str) -> bool {
    body.contains("\"possible_duplicate\":true") || body.contains("possible duplicate")
}
