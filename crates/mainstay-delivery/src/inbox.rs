//! A real mail and chat inbox, and telephones, on this machine: what the demo's humans read, and what tests send to.
//!
//! It listens for SMTP and for HTTP, and writes what it takes to a JSON-lines file before it says so, so that a restart
//! keeps everything. It is for loopback only: nobody logs in. Faults can be switched on, to see what a sender does.
//!
//! HTTP: `POST /chat` (Slack's format, answers `ok`), `POST /hook` (any JSON), events and changes in PagerDuty's format
//! (`POST /v2/enqueue`, `POST /v2/change/enqueue`), texts and calls in Twilio's format,
//! `POST /press` (`{"seq": 7, "digits": "1"}` presses a key of a call), `GET /messages?after=SEQ`, `GET /faults`,
//! `POST /faults`, `GET /healthz`.

mod faults;
mod http;
mod mail;
mod pagerduty;
mod smtp;
mod store;
mod telephone;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_kernel::Clock;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use faults::{Faults, HttpFault, SmtpFault};
pub use store::{Messages, Received, Via};

use store::{Draft, Store, StoreError};

/// The largest message taken, in bytes.
const MESSAGE_MAX_BYTES: usize = 1 << 20;
/// How long open HTTP requests may go on after the end was asked for.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the inbox listens and what it keeps.
#[derive(Debug, Clone)]
pub struct InboxOptions {
    /// Where to listen for SMTP; port 0 takes a free one.
    pub smtp: SocketAddr,
    /// Where to listen for HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// The file that keeps every message, one JSON object a line.
    pub file: PathBuf,
    /// How large the file may grow, in bytes; after that, messages are refused with "try again later".
    pub file_max_bytes: u64,
    /// How much is kept in memory for `GET /messages`, in bytes; older messages stay in the file.
    pub memory_max_bytes: usize,
}

impl InboxOptions {
    /// An inbox on free loopback ports that keeps its messages in `file`.
    #[must_use]
    pub fn on_loopback(file: impl Into<PathBuf>) -> Self {
        Self {
            smtp: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            file: file.into(),
            file_max_bytes: 256 << 20,
            memory_max_bytes: 32 << 20,
        }
    }
}

/// Why the inbox does not run.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// An address is not on this machine.
    #[error("the inbox knows no login, so it listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// It cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Listening broke off.
    #[error("cannot take connections any more: {0}")]
    Accept(#[from] io::Error),
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the listeners share.
struct Shared {
    clock: Arc<dyn Clock>,
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    /// The token of the newest caller, which signs what its callbacks are told.
    telephone_token: Mutex<Option<String>>,
}

impl Shared {
    fn set_telephone_token(&self, token: String) {
        *self
            .telephone_token
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    fn telephone_token(&self) -> Option<String> {
        let token = self.telephone_token.lock();
        token.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn message(&self, seq: u64) -> Option<Arc<Received>> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.message(seq)
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    fn messages(&self, after: u64) -> Messages {
        self.store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .messages(after)
    }

    /// Writes a message to the disk and returns its number.
    async fn keep(self: &Arc<Self>, draft: Draft) -> Result<u64, StoreError> {
        let shared = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let received_at = shared.clock.now();
            shared
                .store
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(draft, received_at)
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Io(io::Error::other(error))))
    }
}

/// An inbox that listens.
pub struct Inbox {
    shared: Arc<Shared>,
    smtp: TcpListener,
    http: TcpListener,
    addresses: (SocketAddr, SocketAddr),
}

impl Inbox {
    /// Opens the file and starts to listen; [`Inbox::serve`] answers.
    ///
    /// # Errors
    /// If an address is not on loopback or taken, or the file cannot be read or written.
    pub async fn bind(options: InboxOptions, clock: Arc<dyn Clock>) -> Result<Self, InboxError> {
        let smtp = listen(options.smtp).await?;
        let http = listen(options.http).await?;
        let store = Store::open(&options.file, options.file_max_bytes, options.memory_max_bytes)?;
        let addresses = (smtp.local_addr()?, http.local_addr()?);
        let shared = Shared {
            clock,
            store: Mutex::new(store),
            faults: Mutex::new(Faults::default()),
            telephone_token: Mutex::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
            smtp,
            http,
            addresses,
        })
    }

    /// Where it takes mail.
    #[must_use]
    pub fn smtp_address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// Where it takes chat posts and webhooks, and shows its messages.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Serves until `shutdown` is ready.
    ///
    /// # Errors
    /// If a listener breaks.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), InboxError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let router = http::router(Arc::clone(&self.shared));
        let web = axum::serve(self.http, router).with_graceful_shutdown(async {
            let _ended_either_way = stopped.await;
        });
        let mut web = std::pin::pin!(web.into_future());
        tokio::select! {
            ended = smtp::serve(self.smtp, self.shared) => return Ok(ended?),
            ended = &mut web => return Ok(ended?),
            () = shutdown => {}
        }
        drop(stop);
        match timeout(FAREWELL, web).await {
            Ok(ended) => Ok(ended?),
            Err(_still_busy) => Ok(()),
        }
    }
}

/// Binds and serves until `shutdown` is ready.
///
/// # Errors
/// As [`Inbox::bind`] and [`Inbox::serve`].
pub async fn serve(
    options: InboxOptions,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), InboxError> {
    Inbox::bind(options, clock).await?.serve(shutdown).await
}

async fn listen(address: SocketAddr) -> Result<TcpListener, InboxError> {
    if !address.ip().is_loopback() {
        return Err(InboxError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| InboxError::Listen { address, source })
}
