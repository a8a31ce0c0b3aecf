//! Metrics engines of others: one whose samples rules and objectives are about, one that samples are sent to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::config::RemoteWrite;
use mainstay_ingest::http_client;
use mainstay_kernel::{Clock, Digest, Entropy, Labels};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::remote::{
    Departure, Evaluation, PullPace, Puller, RemoteEngine, RemoteSamples, StoreLog,
};
use mainstay_promql::dialect::Dialect;
use mainstay_remote::query::Client;
use mainstay_remote::write::{MetadataPace, Pace, Protocol, Sender, Settings, Tally};
use mainstay_remote::{Auth, Connection, Endpoint};
use tokio::runtime::Handle;

use super::ServeError;
use super::discovery::Sources;
use super::options::without_password;
use super::target_files;
use crate::check::dialect;

/// How the receiver that the options name is called.
const OF_OPTIONS: &str = "--remote-write-url";
/// How long sending rests when the log cannot be read.
const REST: Duration = Duration::from_secs(5);
/// How often it is looked at how sending fares.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Options about engines of others.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Engines {
    /// An engine with a Prometheus API whose samples rules and objectives are about, besides those stored here: what stands
    /// before `/api/v1`.
    #[arg(long, env = "MAINSTAY_ENGINE_URL")]
    engine_url: Option<String>,
    /// Its dialect, so that it need not answer when Mainstay starts: prometheus, prometheus2 or victoriametrics; asked of it
    /// if nothing is said.
    #[arg(long, env = "MAINSTAY_ENGINE_DIALECT", requires = "engine_url", value_parser = dialect)]
    engine_dialect: Option<Dialect>,
    /// The engine evaluates rules itself, in its own dialect; else Mainstay does, over its raw samples.
    #[arg(long, env = "MAINSTAY_ENGINE_EVALUATES", requires = "engine_url")]
    engine_evaluates: bool,
    /// A header of every request to it, as `X-Scope-OrgID=payments`; may be given several times.
    #[arg(long, env = "MAINSTAY_ENGINE_HEADER", requires = "engine_url", value_parser = pair)]
    engine_header: Vec<(String, String)>,
    /// A file with the bearer token that it wants.
    #[arg(long, env = "MAINSTAY_ENGINE_TOKEN_FILE", requires = "engine_url")]
    engine_token_file: Option<PathBuf>,
    /// Where every sample that is stored here is sent to by remote write.
    #[arg(long, env = "MAINSTAY_REMOTE_WRITE_URL")]
    remote_write_url: Option<String>,
    /// Remote write 2.0 if the receiver knows it.
    #[arg(long, env = "MAINSTAY_REMOTE_WRITE_2", requires = "remote_write_url")]
    remote_write_2: bool,
    /// A label of every series that is sent and does not have it, as `cluster=eu-1`; may be given several times.
    #[arg(long, env = "MAINSTAY_REMOTE_WRITE_LABEL", requires = "remote_write_url", value_parser = pair)]
    remote_write_label: Vec<(String, String)>,
    /// A header of every request to the receiver; may be given several times.
    #[arg(long, env = "MAINSTAY_REMOTE_WRITE_HEADER", requires = "remote_write_url", value_parser = pair)]
    remote_write_header: Vec<(String, String)>,
    /// A file with the bearer token that the receiver wants.
    #[arg(long, env = "MAINSTAY_REMOTE_WRITE_TOKEN_FILE", requires = "remote_write_url")]
    remote_write_token_file: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Engines {
    /// Every option with its value; values of headers and passwords in addresses are left out.
    pub(super) fn shown(&self) -> Vec<(String, String)> {
        let names = |pairs: &[(String, String)]| {
            let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
            names.join(",")
        };
        let url = |url: &Option<String>| url.as_deref().map(without_password).unwrap_or_default();
        let path = |path: &Option<PathBuf>| {
            let shown = path.as_ref().map(|path| path.display().to_string());
            shown.unwrap_or_default()
        };
        let dialect = self.engine_dialect.map(|dialect| dialect.to_string());
        let labels: Vec<String> = self
            .remote_write_label
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        [
            ("engine-url", url(&self.engine_url)),
            ("engine-dialect", dialect.unwrap_or_default()),
            ("engine-evaluates", self.engine_evaluates.to_string()),
            ("engine-header", names(&self.engine_header)),
            ("engine-token-file", path(&self.engine_token_file)),
            ("remote-write-url", url(&self.remote_write_url)),
            ("remote-write-2", self.remote_write_2.to_string()),
            ("remote-write-label", labels.join(",")),
            ("remote-write-header", names(&self.remote_write_header)),
            ("remote-write-token-file", path(&self.remote_write_token_file)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Has rules and objectives look at the engine, if there is one.
    pub(super) async fn attach(
        &self,
        telemetry: Telemetry,
        data: &Path,
    ) -> Result<(Telemetry, Option<Puller>), ServeError> {
        let Some(url) = &self.engine_url else {
            return Ok((telemetry, None));
        };
        let endpoint = endpoint(url, &self.engine_header, self.engine_token_file.as_deref())?;
        let client = Client::new(&endpoint).map_err(|error| trouble(url, &error))?;
        let dialect = match self.engine_dialect {
            Some(dialect) => dialect,
            None => {
                let engine = client.engine().await.map_err(|error| {
                    let hint = "to start without its answer, say which one it is by --engine-dialect";
                    ServeError::Engine(format!("{}: {error}; {hint}", without_password(url)))
                })?;
                tracing::info!(%engine, "rules and objectives look at another engine");
                engine.dialect
            }
        };
        let evaluation = if self.engine_evaluates {
            Evaluation::There
        } else {
            Evaluation::Here
        };
        let place = data.join("series").join("engine.place");
        let puller = Puller::open(client.clone(), dialect, PullPace::default(), place);
        let puller = puller.map_err(|error| trouble(url, &error))?;
        let samples = RemoteSamples::new(client, dialect, Handle::current());
        let telemetry = telemetry.with_engine(RemoteEngine::new(samples, evaluation));
        Ok((telemetry, Some(puller)))
    }

    /// What sends stored samples to the receivers that the options and a configuration name, each with its name.
    pub(super) fn senders(
        &self,
        sources: &Sources,
        telemetry: &Arc<Telemetry>,
        data: &Path,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Vec<(String, Sender)>, ServeError> {
        let mut senders = Vec::new();
        if let Some(sender) = self.sender(telemetry, data, clock.clone(), entropy.clone())? {
            senders.push((OF_OPTIONS.to_owned(), sender));
        }
        for receiver in &sources.remote_write {
            // Two of one name would have one place in the log.
            if receiver.name == OF_OPTIONS {
                let reason = format!("remote_write: no receiver may be called {OF_OPTIONS}");
                return Err(ServeError::Engine(reason));
            }
            let wrong = |reason: &dyn std::fmt::Display| {
                ServeError::Engine(format!("remote_write {}: {reason}", receiver.name))
            };
            let http = receiver
                .http
                .resolve(&|path| target_files::text(&sources.base.join(path)));
            let client = http
                .and_then(|http| http_client(&http, receiver.timeout))
                .map_err(|reason| wrong(&reason))?;
            let connection = Connection::over(client, &receiver.url).map_err(|error| wrong(&error))?;
            // A name may have any characters; a file may not.
            let digest = Digest::of(receiver.name.as_bytes()).to_string();
            let place = digest.get(..16).unwrap_or(&digest);
            let place = data.join("series").join(format!("remote-write-{place}.place"));
            let log = StoreLog::open(Arc::clone(telemetry.store()), &receiver.name, place);
            let log = self.not_back(log.map_err(|error| wrong(&error))?, telemetry);
            let departure = Departure::new(
                sources.external_labels.clone(),
                receiver.relabel.clone(),
                receiver.native_histograms,
            );
            let log = log.departing(departure).telling(Arc::clone(telemetry));
            let sender = Sender::new(
                connection,
                settings(receiver),
                Arc::new(log),
                clock.clone(),
                entropy.clone(),
            );
            senders.push((receiver.name.clone(), sender));
        }
        let names: Vec<&str> = senders.iter().map(|(name, _)| name.as_str()).collect();
        StoreLog::keep_only(telemetry.store(), &names);
        Ok(senders)
    }

    /// Counters that were read from the engine are not sent back.
    fn not_back(&self, log: StoreLog, telemetry: &Arc<Telemetry>) -> StoreLog {
        if self.engine_url.is_none() {
            return log;
        }
        let telemetry = Arc::clone(telemetry);
        log.only(move |labels: &Labels| !telemetry.slos().wants_metric(labels.metric_name()))
    }

    /// What sends stored samples to the receiver that the options name, if they do.
    fn sender(
        &self,
        telemetry: &Arc<Telemetry>,
        data: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Option<Sender>, ServeError> {
        let Some(url) = &self.remote_write_url else {
            return Ok(None);
        };
        let place = data.join("series").join("remote-write.place");
        let log = StoreLog::open(Arc::clone(telemetry.store()), OF_OPTIONS, place);
        let log = self.not_back(log.map_err(|error| trouble(url, &error))?, telemetry);
        let token = self.remote_write_token_file.as_deref();
        let connection = Connection::new(&endpoint(url, &self.remote_write_header, token)?);
        let connection = connection.map_err(|error| trouble(url, &error))?;
        let settings = Settings {
            protocol: if self.remote_write_2 {
                Protocol::V2
            } else {
                Protocol::V1
            },
            external_labels: self.remote_write_label.iter().cloned().collect(),
            pace: Pace::default(),
            metadata: Some(MetadataPace::default()),
        };
        let log = log.telling(Arc::clone(telemetry));
        Ok(Some(Sender::new(
            connection,
            settings,
            Arc::new(log),
            clock,
            entropy,
        )))
    }
}

fn settings(receiver: &RemoteWrite) -> Settings {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Settings {
        protocol: if receiver.version_2 {
            Protocol::V2
        } else {
            Protocol::V1
        },
        // They are added before relabelling, when a series leaves.
        external_labels: Labels::new(),
        pace: Pace {
            batch_samples: receiver.queue.samples_per_send,
            deadline_ms: ms(receiver.queue.deadline),
            back_off_min_ms: ms(receiver.queue.back_off_min),
            back_off_max_ms: ms(receiver.queue.back_off_max),
        },
        metadata: receiver.metadata.map(|pace| MetadataPace {
            every_ms: ms(pace.interval),
            families_per_send: pace.families_per_send,
        }),
    }
}

fn endpoint(url: &str, headers: &[(String, String)], token: Option<&Path>) -> Result<Endpoint, ServeError> {
    let mut endpoint = Endpoint::new(url);
    endpoint.headers = headers.to_vec();
    if let Some(path) = token {
        let token = std::fs::read_to_string(path)
            .map_err(|error| ServeError::Engine(format!("{}: {error}", path.display())))?;
        endpoint.auth = Auth::Bearer(token.trim().to_owned());
    }
    Ok(endpoint)
}

fn trouble(url: &str, error: &dyn std::fmt::Display) -> ServeError {
    ServeError::Engine(format!("{}: {error}", without_password(url)))
}

/// Reads the counters of the objectives from the engine, as often as targets are scraped.
pub(super) async fn pull(
    mut puller: Puller,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
    every: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    tokio::pin!(stop);
    let mut away = false;
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        match puller.pull(&telemetry, clock.now()).await {
            Ok(_) => {
                if away {
                    tracing::info!("counters are read from the engine again");
                }
                away = false;
            }
            Err(error) => {
                if !away {
                    tracing::error!(%error, "counters cannot be read from the engine");
                }
                away = true;
            }
        }
    }
}

/// Sends what is stored to the receiver of this name, and says when that fares ill.
pub(super) async fn send(
    (receiver, sender): (String, Sender),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let sending = async {
        loop {
            if let Err(error) = sender.run().await {
                tracing::error!(receiver, %error, "samples cannot be sent");
            }
            tokio::time::sleep(REST).await;
        }
    };
    let looking = async {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        let mut before = Tally::default();
        loop {
            tick.tick().await;
            let tally = sender.tally();
            if (tally.refused, tally.retries, tally.gaps) != (before.refused, before.retries, before.gaps) {
                tracing::warn!(
                    receiver,
                    sent = tally.sent,
                    refused = tally.refused,
                    retries = tally.retries,
                    gaps = tally.gaps,
                    trouble = tally.trouble.as_deref().unwrap_or_default(),
                    "samples are sent, but not all at once or not all"
                );
            }
            before = tally;
        }
    };
    tokio::select! {
        () = sending => {}
        () = looking => {}
        () = stop => {}
    }
    Ok(())
}
