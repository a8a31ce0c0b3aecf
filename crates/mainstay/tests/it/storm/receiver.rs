//! A receiver of webhooks and chat posts that remembers what reached it, in the order in which it came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_kernel::testing::SeededEntropy;

use crate::posts::{Answer, Post, listen};

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
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            chance: SeededEntropy::new(seed),
            manners: Box::new(manners),
        });
        let takes = Arc::clone(&shared);
        let address = listen(move |post| take(&takes, post));
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

fn take(shared: &Shared, post: Post) -> Answer {
    let manner = (shared.manners)(&post.path);
    let most_us = u64::try_from(manner.answers_within.as_micros()).unwrap_or(u64::MAX);
    let wait = Duration::from_micros(shared.chance.below(most_us));
    if shared.chance.below(100) < manner.busy_percent {
        return Answer {
            wait,
            ..Answer::of("503 Service Unavailable\r\nRetry-After: 1")
        };
    }
    // Taken is taken, whether or not the sender lives to hear of it.
    let body = String::from_utf8_lossy(&post.body).into_owned();
    let arrival = Arrival {
        at: Instant::now(),
        labelled: is_labelled(&body),
        key: post.header("idempotency-key").to_owned(),
        path: post.path,
        body,
    };
    let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.push(arrival);
    Answer {
        head: "200 OK",
        body: "ok",
        wait,
    }
}

/// Webhooks say it in a field, chat in words.
fn is_labelled(body: &str) -> bool {
    body.contains("\"possible_duplicate\":true") || body.contains("possible duplicate")
}
