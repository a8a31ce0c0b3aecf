//! `mainstay serve`: the control plane at work.

mod announce;
mod channels;
mod discovery;
mod engines;
mod lanes;
mod lead;
mod operations;
mod options;
mod process;
mod recovered;
mod replica;
mod target_files;
pub(crate) mod telephone;
mod tick;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_delivery::channel::RealChannels;
use mainstay_hands::SupervisorHand;
use mainstay_ingest::Scraper;
use mainstay_journal::StoredJournal;
use mainstay_kernel::{Actor, Clock, Entropy};
use mainstay_plane::signing::{SigningError, SigningKey};
use mainstay_plane::telemetry::Judged;
use mainstay_plane::{Directory, Parts, Plane, PlaneError, Telemetry, watchdog};
use mainstay_web::{Auth, Settings, Setup, Tokens, Topic, check_bind};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::adopt::alertmanager::settings;
use crate::backup;
use crate::check;
use crate::clock::{SystemClock, SystemEntropy};
use crate::console::{PlaneConsole, Program, Scrapes, desk};
use crate::database::DatabaseUrl;
use crate::exit::Exit;
use discovery::Sources;
use lead::Fenced;
use operations::DiskOperations;
use replica::Replica;
use tick::Ticks;

use channels::setting_error;

pub(crate) use channels::channel_options;
pub(crate) use options::{Options, without_password};
pub(crate) use process::{start_logging, told_to_stop};

/// How often objectives are judged; rules have clocks of their own.
const EVALUATE_EVERY: Duration = Duration::from_secs(5);
/// How often alerts of others are looked at that must be told again to be believed.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// How often the counts are written down.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15);
/// How often the states are kept, so that the next start is quick.
const SAVE_EVERY: Duration = Duration::from_secs(300);

type LiveChannels = Fenced<RealChannels>;
type LiveHands = Fenced<SupervisorHand>;
type LivePlane = Plane<StoredJournal, LiveChannels, LiveHands, Telemetry>;

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("{0}")]
    Catalog(String),
    #[error("{0}")]
    ScrapeConfig(String),
    #[error("{0}")]
    Setting(#[from] mainstay_catalog::response::SettingError),
    #[error("{0}")]
    Channel(String),
    #[error(transparent)]
    Journal(#[from] mainstay_journal::JournalError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Telemetry(#[from] mainstay_plane::TelemetryError),
    #[error("{0}")]
    Engine(String),
    #[error(transparent)]
    Plane(#[from] PlaneError),
    #[error("{0}")]
    Web(String),
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
    // These threads only pass on what comes and goes: whatever computes or waits for the disk has threads of its own, and
    // every further one here has to be woken for each request.
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build();
    let result = runtime.map_err(ServeError::from).and_then(|runtime| {
        let result = runtime.block_on(serve(options));
        runtime.shutdown_timeout(Duration::from_secs(5));
        result
    });
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            anstream::eprintln!("mainstay serve: {error}");
            Exit::Failure
        }
    }
}

/// What a setting is: `${NAME}` in a catalog.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn serve(options: Options) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let auth = match &options.tokens {
        Some(path) => Auth::Tokens(read_tokens(path)?),
        None => Auth::Open,
    };
    for address in [Some(options.listen), options.otlp_grpc_listen]
        .into_iter()
        .flatten()
    {
        check_bind(address, &auth).map_err(|refused| ServeError::Web(refused.to_string()))?;
    }
    let (catalog, judged) = load_catalog(&options.catalog)?;
    let interval = Duration::from_secs(options.scrape_interval_s.into());
    let flags = Arc::new(options.shown());
    let store_limits = options.store();
    let sources = Sources::read(options.targets_urls, interval, options.scrape_config.as_deref())?;
    let lookup = settings(&catalog, &options.catalog, environment);
    let unset = |error| ServeError::Channel(setting_error(&catalog.response.channels, &lookup, &error));
    let directory = Directory::new(&catalog, &lookup).map_err(unset)?;
    let channels =
        RealChannels::new(channel_options(&catalog.response.channels, &lookup).map_err(ServeError::Channel)?)
            .map_err(|error| ServeError::Channel(error.to_string()))?;
    drop(lookup);
    let callbacks = telephone::listen(&catalog, channels.callbacks()).await?;

    for (what, url) in directory.urls() {
        let bad = |reason| ServeError::Channel(format!("the URL of {what} cannot be used: {reason}"));
        channels.check_url(url).map_err(bad)?;
    }

    // The journal's lock, or the replica's, keeps a second process out before anything else is touched.
    let url = options.database_url.as_ref().map(DatabaseUrl::secret);
    let kept = options.data.join("journal");
    let journal = StoredJournal::open(url, &kept, clock.clone(), entropy.clone()).await?;
    let journal = Arc::new(journal);
    let replica = Replica::of(&journal, &options.data, &*entropy)?;
    let (epoch, lead) = replica.stand_by(&journal, &*clock).await?;
    let (stop, stopped) = tokio::sync::watch::channel(());
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stopped.changed().await;
        }
    };
    let mut tasks: JoinSet<Result<(), ServeError>> = JoinSet::new();
    if let Some(epoch) = epoch {
        // From now on, however long recovery takes.
        let (journal, lead, clock) = (journal.clone(), lead.clone(), clock.clone());
        tasks.spawn(lead::keep(journal, epoch, lead, clock, until_stopped()));
    }
    let key = Arc::new(SigningKey::open(&options.data, &*entropy)?);
    let settings = mainstay_slo::Settings {
        scrape_interval_ms: i64::try_from(sources.slowest().as_millis()).unwrap_or(i64::MAX),
        ..mainstay_slo::Settings::default()
    };
    for (objective, width_ms) in judged.slos.narrower_than(settings.scrape_interval_ms) {
        tracing::warn!(
            slo = objective.id.as_str(),
            slice_ms = width_ms,
            scrape_interval_ms = settings.scrape_interval_ms,
            "time slices are narrower than samples are apart: those between two samples look idle"
        );
    }
    let recovering = tokio::time::Instant::now();
    let (telemetry, recovery) = Telemetry::open_with(
        &options.data.join("series"),
        judged,
        settings,
        store_limits,
        clock.clone(),
    )?;
    recovered::tell(&recovery, recovering.elapsed());
    let (telemetry, puller) = options.engines.attach(telemetry, &options.data).await?;
    let telemetry = Arc::new(telemetry);
    let senders = options
        .engines
        .senders(&sources, &telemetry, &options.data, &clock, &entropy)?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| ServeError::Web(error.to_string()))?;
    let channels = Arc::new(Fenced {
        inner: channels.with_ack_links(desk::links(&key)).fenced(lead.may_send()),
        lead: lead.clone(),
    });
    let parts = Parts {
        journal: journal.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        channels: channels.clone(),
        hands: Arc::new(Fenced {
            inner: SupervisorHand::new(client.clone(), &options.supervisor),
            lead,
        }),
        judge: telemetry.clone(),
        base_url: options
            .base_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", options.listen)),
    };
    let plane = match epoch {
        Some(epoch) => Plane::open_in_term(parts, epoch, catalog, directory).await?,
        None => Plane::open(parts, &replica.name, catalog, directory).await?,
    };
    let plane = Arc::new(plane);
    let noted = async |actor, command| plane.submit(actor, command).await.map(drop);
    backup::take_note(&options.data, noted).await?;
    plane.exclude().await;
    let forgotten = plane
        .look(|states| telemetry.adopt(states.alerts, clock.now()))
        .await;
    plane.observe(&Actor::machine("telemetry"), forgotten).await?;

    let (listener, address) = listen(options.listen).await?;
    let otlp_grpc = match options.otlp_grpc_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (live, _) = broadcast::channel(256);
    let scrapes = Arc::new(Scrapes::new(telemetry.clone()));
    let console = PlaneConsole::new(
        plane.clone(),
        telemetry.clone(),
        client.clone(),
        options.inbox.clone(),
        Arc::new(DiskOperations {
            plane: plane.clone(),
            journal,
            telemetry: telemetry.clone(),
            channels,
            data: options.data.clone(),
            backups: options.data.join("backups"),
            catalog: options.catalog.clone(),
        }),
        Program {
            started_at: clock.now(),
            flags,
            doors: Arc::new(desk::Doors::new(&key)),
            key,
            scrapes: scrapes.clone(),
        },
    );
    console.believe_again().await;
    let console = Arc::new(console);
    let setup = Setup {
        console: console.clone(),
        auth,
        clock: clock.clone(),
        entropy,
        live: live.clone(),
        settings: Settings {
            secure_cookies: options
                .base_url
                .as_ref()
                .is_some_and(|url| url.starts_with("https://")),
            ..Settings::default()
        },
    };
    let router = mainstay_web::router(setup);
    if let Some((callbacks, listener)) = callbacks {
        let (desk, until) = (telephone::Desk::new(console.clone()), until_stopped());
        tasks.spawn(async move {
            let ended = callbacks.serve(listener, desk, until).await;
            ended.map_err(|error| ServeError::Channel(format!("callbacks break off: {error}")))
        });
    }
    if let Some((listener, address)) = otlp_grpc {
        let (router, until) = (router.clone(), until_stopped());
        tasks.spawn(async move {
            mainstay_web::serve_otlp_grpc(listener, router, until).await;
            Ok(())
        });
        anstream::println!("mainstay takes OTLP over gRPC on {address}");
    }
    let until = until_stopped();
    tasks.spawn(async move {
        mainstay_web::serve(listener, router, until).await;
        Ok(())
    });
    let scraper = Arc::new(Scraper::new(clock.clone(), scrapes.clone()));
    let (running, until) = (scraper.clone(), until_stopped());
    tasks.spawn(async move {
        running.run(until).await;
        Ok(())
    });
    tasks.spawn(sources.follow(client, scraper, scrapes, until_stopped()));
    tasks.spawn(judge(
        plane.clone(),
        telemetry.clone(),
        clock.clone(),
        live.clone(),
        until_stopped(),
    ));
    if let Some(puller) = puller {
        let (telemetry, clock) = (telemetry.clone(), clock.clone());
        tasks.spawn(engines::pull(puller, telemetry, clock, interval, until_stopped()));
    }
    for sender in senders {
        tasks.spawn(engines::send(sender, until_stopped()));
    }
    tasks.spawn(keep(plane.clone(), telemetry.clone(), until_stopped()));
    tasks.spawn(work::work(plane.clone(), until_stopped()));
    tasks.spawn(expire(console, until_stopped()));
    tasks.spawn(announce::announce(plane.clone(), live, until_stopped()));
    anstream::println!("mainstay listens on http://{address}");

    let first_failure = tokio::select! {
        () = told_to_stop(options.exit_with_parent) => None,
        ended = tasks.join_next() => ended.and_then(|ended| ended.unwrap_or_else(|panic| Err(ServeError::Web(panic.to_string()))).err()),
    };
    drop(stop);
    while let Some(ended) = tasks.join_next().await {
        if let Ok(Err(error)) = ended {
            tracing::error!(%error, "while stopping");
        }
    }
    if first_failure.is_none() {
        telemetry.checkpoint()?;
        plane.save().await?;
        if let Some(epoch) = epoch {
            lead::resign(plane.journal(), epoch).await;
        }
    }
    first_failure.map_or(Ok(()), Err)
}

/// A listener, and where it listens.
async fn listen(address: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn read_tokens(path: &std::path::Path) -> Result<Tokens, ServeError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ServeError::Web(format!("{file}: cannot be read: {error}")))?;
    Tokens::parse(&file, &text).map_err(|error| ServeError::Web(error.to_string()))
}

fn load_catalog(path: &std::path::Path) -> Result<(Arc<Catalog>, Judged), ServeError> {
    let bad =
        |text: String| ServeError::Catalog(format!("the catalog {} cannot be used\n{text}", path.display()));
    let (catalog, findings) = check::examine(path);
    if findings.has_errors() {
        return Err(bad(findings.render_short()));
    }
    let judged = Judged::of(&catalog, &mut Diagnostics::default());
    Ok((Arc::new(catalog), judged))
}

/// Judges objectives and rules on a clock, and asks the counts about open incidents.
async fn judge(
    plane: Arc<LivePlane>,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
    live: broadcast::Sender<Topic>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut ticks = Ticks::new(clock, EVALUATE_EVERY);
    tokio::pin!(stop);
    loop {
        let now = tokio::select! {
            () = &mut stop => return Ok(()),
            now = ticks.next() => now,
        };
        plane.exclude().await;
        let judging = telemetry.clone();
        let found = tokio::task::spawn_blocking(move || judging.evaluate(now)).await;
        let found = found.map_err(|panic| ServeError::Web(panic.to_string()))?;
        for failure in found.failures {
            tracing::warn!(failure, "a rule failed");
        }
        let mut observations = found.observations;
        let heartbeats = telemetry.heartbeats();
        observations.extend(
            plane
                .look(|states| {
                    let response = &states.catalog.response;
                    let mut own = heartbeats.judge(&response.heartbeats, states.alerts, now);
                    own.extend(watchdog::beat(response.watchdog.as_ref(), states.alerts, now));
                    own
                })
                .await,
        );
        match plane.observe(&Actor::machine("telemetry"), observations).await {
            Ok(_) => {}
            Err(PlaneError::Refused(refused)) => tracing::error!(%refused, "alerts were refused"),
            Err(fatal) => return Err(fatal.into()),
        }
        match plane.note_budgets(found.budgets).await {
            Ok(()) => {}
            Err(PlaneError::Refused(refused)) => tracing::error!(%refused, "changes of budgets were refused"),
            Err(fatal) => return Err(fatal.into()),
        }
        plane.measure().await?;
        plane.mind_shifts().await?;
        // Pages show figures that move without events. Nobody listening is fine.
        let _ = live.send(Topic::overview());
    }
}

/// Keeps counts and states on disk, and drops what is past its retention.
async fn keep(
    plane: Arc<LivePlane>,
    telemetry: Arc<Telemetry>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut tick = tokio::time::interval(CHECKPOINT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut last_save = tokio::time::Instant::now();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        let keeping = telemetry.clone();
        let kept = tokio::task::spawn_blocking(move || keeping.maintain()).await;
        match kept.map_err(|panic| ServeError::Web(panic.to_string()))? {
            Ok(done) => {
                for damage in done.damage {
                    tracing::error!(damage, "samples are damaged");
                }
            }
            // A full disk today is not a reason to stop paging; the log keeps what the counts lack.
            Err(error) => tracing::error!(%error, "counts or samples could not be maintained"),
        }
        if last_save.elapsed() >= SAVE_EVERY {
            plane.save().await?;
            let epoch = plane.epoch().await;
            plane.journal().prune_effects(epoch, plane.clock().now()).await?;
            last_save = tokio::time::Instant::now();
        }
    }
}

/// Ends alerts of others that were not told again in time.
async fn expire(
    console: Arc<PlaneConsole<StoredJournal, LiveChannels, LiveHands>>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut tick = tokio::time::interval(EXPIRE_EVERY);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        match console.expire().await {
            Ok(()) | Err(PlaneError::Refused(_)) => {}
            Err(fatal) => return Err(fatal.into()),
        }
    }
}
