//! `mainstay watchdog`: the second process, on a second host. Mainstay tells it each minute that it is well, by the way
//! that every page takes; when it is told nothing, it pages a human by its own way.

mod file;
mod http;
mod machine;
mod ways;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::WatchdogHost;
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_delivery::channel::{Channels as _, Outgoing, RealChannels};
use mainstay_kernel::Clock as _;
use mainstay_kernel::effect::Outcome;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::serve::{environment, start_logging, told_to_stop};
use file::Kept;
use machine::{Notice, Patience, State};
use ways::Ways;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// If it did not look for longer than this, or the clock jumped by more, beats may have found nobody.
const GAP: Duration = Duration::from_secs(10);
/// How long messages on their way may take when it stops.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Options of `mainstay watchdog`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The file that says how it pages: a document of kind WatchdogHost.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where it keeps what it knows.
    #[arg(long, default_value = "mainstay-watchdog", value_name = "DIR")]
    data: PathBuf,
    /// Where Mainstay reaches it: POST /beat. GET /healthz says whether it can do its work.
    #[arg(long, default_value = "127.0.0.1:7079", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Exit when standard input closes: the parent is gone.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
enum WatchdogError {
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Setting(#[from] mainstay_catalog::response::SettingError),
    #[error(transparent)]
    File(#[from] file::FileError),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{0}")]
    Runtime(#[from] std::io::Error),
}

/// Runs until it is told to stop.
pub(crate) fn run(options: Options) -> Exit {
    start_logging();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(WatchdogError::from).and_then(|runtime| {
        let result = runtime.block_on(watch(options));
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            anstream::eprintln!("mainstay watchdog: {error}");
            Exit::Failure
        }
    }
}

/// Everything that listening and looking share.
pub(crate) struct Watching {
    secret: String,
    patience: Patience,
    ways: Ways,
    url: String,
    state: Mutex<State>,
    kept: Kept,
    awake_since: Mutex<Timestamp>,
}

impl Watching {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awake_since(&self) -> Timestamp {
        *self.awake_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and has it on the disk when this returns. A disk that is full keeps no page back.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, file::FileError> {
        let mut state = self.state();
        let before = state.clone();
        let changed = change(&mut state);
        if *state != before {
            self.kept.write(&state)?;
        }
        Ok(changed)
    }

    /// As [`Watching::change`], where the work goes on whatever the disk does.
    fn change_anyway<T>(&self, mut change: impl FnMut(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = state.clone();
        let changed = change(&mut state);
        if *state != before
            && let Err(error) = self.kept.write(&state)
        {
            tracing::error!(%error, "what the watchdog knows cannot be kept");
        }
        changed
    }
}

fn read(path: &Path) -> Result<WatchdogHost, WatchdogError> {
    let (catalog, findings): (Catalog, Diagnostics) = Catalog::check(path);
    if findings.has_errors() {
        let found = findings.render_short();
        return Err(WatchdogError::Config(format!(
            "{} cannot be used\n{found}",
            path.display()
        )));
    }
    catalog.response.watchdog_host.ok_or_else(|| {
        WatchdogError::Config(format!(
            "{} holds no document of kind WatchdogHost",
            path.display()
        ))
    })
}

async fn watch(options: Options) -> Result<(), WatchdogError> {
    let host = read(&options.config)?;
    let channels = crate::serve::channel_options(&host.channels, environment)
        .map_err(WatchdogError::Config)
        .and_then(|options| {
            RealChannels::new(options).map_err(|error| WatchdogError::Config(error.to_string()))
        })?;
    let ways = Ways::of(&host, environment)?;
    for (what, url) in ways.urls() {
        channels
            .check_url(&url)
            .map_err(|reason| WatchdogError::Config(format!("the URL of {what} cannot be used: {reason}")))?;
    }
    let secret = host.secret.value.resolve(environment)?;
    let (kept, mut state) = Kept::open(&options.data)?;
    state.reopened();
    kept.write(&state)?;
    let now = SystemClock.now();
    if let Some(alarm) = &state.alarm {
        tracing::warn!(since = %alarm.since, "Mainstay was silent when the watchdog ended; it is paged about");
    }
    let watching = Arc::new(Watching {
        secret,
        patience: Patience {
            page_after: host.page_after.value.0,
            repeat_every: host.repeat_every.value.0,
        },
        ways,
        url: host.url.trim_end_matches('/').to_owned(),
        state: Mutex::new(state),
        kept,
        awake_since: Mutex::new(now),
    });
    let failed = |source| WatchdogError::Listen {
        address: options.listen,
        source,
    };
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = tokio::sync::watch::channel(());
    let until = |mut stopped: tokio::sync::watch::Receiver<()>| async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stopped.changed().await;
    };
    let serving = tokio::spawn(http::serve(listener, watching.clone(), until(stopped.clone())));
    let looking = tokio::spawn(look(watching, Arc::new(channels), until(stopped)));
    anstream::println!("mainstay watchdog listens on http://{address}");
    tokio::select! {
        () = told_to_stop(options.exit_with_parent) => {}
        ended = serving => match ended {
            Ok(result) => result?,
            Err(panic) => return Err(std::io::Error::other(panic).into()),
        },
    }
    drop(stop);
    if let Err(panic) = looking.await {
        return Err(std::io::Error::other(panic).into());
    }
    Ok(())
}

/// Looks at the clock, and sends what is due.
async fn look(watching: Arc<Watching>, channels: Arc<RealChannels>, stop: impl Future<Output = ()>) {
    let mut under_way = JoinSet::new();
    let mut looked = (Instant::now(), SystemClock.now());
    let gap = GAP.min(Duration::try_from(watching.patience.page_after).unwrap_or(GAP) / 2);
    tokio::pin!(stop);
    loop {
        let (instant, now) = (Instant::now(), SystemClock.now());
        let passed = instant.duration_since(looked.0);
        let by_clock = now.duration_since(looked.1);
        let jump = by_clock - SignedDuration::try_from(passed).unwrap_or_default();
        if passed > gap || jump.unsigned_abs() > gap {
            tracing::warn!(
                seconds = passed.as_secs_f64(),
                jump_seconds = jump.as_secs_f64(),
                "the watchdog did not look for a while, or its clock was set: it waits anew"
            );
            *watching
                .awake_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = now;
        }
        looked = (instant, now);
        let (patience, names) = (watching.patience, watching.ways.names());
        let awake_since = watching.awake_since();
        let due = watching.change_anyway(|state| {
            if state.look(now, awake_since, patience, &names) {
                tracing::error!("Mainstay is silent: a human is paged");
            }
            state.take_due(now)
        });
        for notice in due {
            under_way.spawn(send(watching.clone(), channels.clone(), notice));
        }
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        while under_way.try_join_next().is_some() {}
    }
    let all = async { while under_way.join_next().await.is_some() {} };
    // What is not done by then is known to be under way, and sent again after the next start.
    let _ = tokio::time::timeout(FINISH_WITHIN, all).await;
}

async fn send(watching: Arc<Watching>, channels: Arc<RealChannels>, notice: Notice) {
    let Some((address, deliver)) = watching.ways.deliver(&notice) else {
        // The configuration has this way no more.
        let gone = mainstay_delivery::channel::Sent::failed("the way is gone");
        watching.change_anyway(|state| state.settle(&notice.key, &gone, SystemClock.now()));
        return;
    };
    let sent = channels
        .send(Outgoing {
            key: &notice.key,
            attempt: notice.attempts,
            possible_duplicate: notice.possible_duplicate,
            at: SystemClock.now(),
            address: &address,
            deliver: &deliver,
            base_url: &watching.url,
            bridge: None,
        })
        .await;
    let (way, kind, attempt) = (notice.way, notice.kind, notice.attempts);
    match &sent.outcome {
        Outcome::Done { receipt } => tracing::info!(way, ?kind, attempt, %receipt, "a human is told"),
        Outcome::Retry { reason, .. } | Outcome::Failed { reason } | Outcome::Withdrawn { reason } => {
            tracing::warn!(way, ?kind, attempt, %reason, "a human could not be told");
        }
        Outcome::Withheld => tracing::warn!(way, ?kind, attempt, "a human was not told: nothing left"),
    }
    watching.change_anyway(|state| state.settle(&notice.key, &sent, SystemClock.now()));
}
