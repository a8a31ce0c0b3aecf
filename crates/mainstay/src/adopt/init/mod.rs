//! `mainstay init`: a first catalog, drafted from a running Prometheus and its Alertmanager, and a first true budget of
//! everything that was drafted. It reads; it writes nothing but the catalog's files.

mod budget;
mod draft;
mod found;
mod pace;
mod routes;
mod suggest;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_catalog::Diagnostics;
use mainstay_kernel::Clock as _;
use mainstay_remote::query::{Client, Engine};
use mainstay_remote::{Auth, Endpoint, RemoteError};
use mainstay_slo::SloCatalog;
use mainstay_ui::number::count;

use super::files;
use crate::check::{self, counted};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::Table;
use budget::Counted;
use draft::{Draft, Slo};
use found::Service;
use pace::Pace;
use routes::Drafted;

/// The largest configuration of an Alertmanager that is read, in bytes.
const STATUS_MAX_BYTES: usize = 4 << 20;
const ALERTMANAGER_WITHIN: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;

/// Options of `mainstay init`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The Prometheus, or another engine with its API: what stands before `/api/v1`.
    #[arg(long, value_name = "URL")]
    prometheus: String,
    /// A header of every request to it, as `X-Scope-OrgID=payments`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    prometheus_header: Vec<(String, String)>,
    /// A file with the bearer token that it wants.
    #[arg(long, value_name = "FILE")]
    prometheus_token_file: Option<PathBuf>,
    /// The Alertmanager, for routes and owners.
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
    /// The directory to write the catalog into; no file is replaced.
    #[arg(long, value_name = "DIR", default_value = "reliability")]
    dir: PathBuf,
    /// How long it may take; what cannot be counted in that time is said.
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = time)]
    time: Duration,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn time(text: &str) -> Result<Duration, String> {
    let time = mainstay_catalog::duration::parse(text).map_err(|error| error.to_string())?;
    Duration::try_from(time).map_err(|error| error.to_string())
}

/// Why nothing is drafted.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{url}: {source}")]
    Engine { url: String, source: RemoteError },
    #[error("{path}: {source}")]
    Token { path: PathBuf, source: std::io::Error },
    #[error("{0} is there already and not empty: name another directory")]
    There(PathBuf),
    #[error(transparent)]
    Files(#[from] files::FilesError),
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let done = runtime
            .map_err(InitError::Runtime)
            .and_then(|runtime| runtime.block_on(self.draft()));
        done.unwrap_or_else(|error| {
            anstream::eprintln!("mainstay init: {error}");
            Exit::Failure
        })
    }

    async fn draft(&self) -> Result<Exit, InitError> {
        let pace = Pace::new(self.time);
        if std::fs::read_dir(&self.dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(InitError::There(self.dir.clone()));
        }
        let client = self.client()?;
        let engine = client.engine().await.map_err(|error| self.engine_error(error))?;
        let url = crate::serve::without_password(&self.prometheus);
        pace.say(&format!("{url}: {engine}"));
        let now = SystemClock.now();
        let now_ms = now.as_millisecond();
        let services = found::services(&client, now_ms, &pace).await;
        let services = services.map_err(|error| self.engine_error(error))?;
        pace.say(&format!("{} found", counted(services.len(), "service")));
        let slos = suggested(&client, &services, now_ms, &pace).await;
        let routes = self.routes(&pace).await;
        let draft = Draft {
            prometheus: &url,
            today: jiff::tz::TimeZone::UTC.to_datetime(now).date(),
            services: &services,
            slos: &slos,
            routes: &routes,
        };
        files::make(&self.dir, &draft.files())?;
        let (catalog, findings) = check::examine(&self.dir);
        check::print(&self.dir, &findings);
        let mut found = Diagnostics::new();
        let objectives = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut found);
        pace.say(&format!(
            "{} written: {}, {} and {}",
            self.dir.display(),
            counted(objectives.objectives().len(), "objective"),
            counted(findings.errors(), "error"),
            counted(findings.len() - findings.errors().min(findings.len()), "warning")
        ));
        self.budgets(&client, &engine, &objectives, now, &pace).await;
        pace.say(&format!(
            "\nRead every file of {dir}, above all what is marked as made up. Then, with {} in the environment:\n  \
             mainstay check {dir}\n  mainstay serve --catalog {dir} --engine-url {url}",
            draft.variables().join(", "),
            dir = self.dir.display()
        ));
        Ok(if findings.has_errors() {
            Exit::Problems
        } else {
            Exit::Ok
        })
    }

    fn client(&self) -> Result<Client, InitError> {
        let mut endpoint = Endpoint::new(self.prometheus.as_str());
        endpoint.headers.clone_from(&self.prometheus_header);
        if let Some(path) = &self.prometheus_token_file {
            let token = std::fs::read_to_string(path).map_err(|source| InitError::Token {
                path: path.clone(),
                source,
            })?;
            endpoint.auth = Auth::Bearer(token.trim().to_owned());
        }
        Client::new(&endpoint).map_err(|error| self.engine_error(error))
    }

    fn engine_error(&self, source: RemoteError) -> InitError {
        InitError::Engine {
            url: crate::serve::without_password(&self.prometheus),
            source,
        }
    }

    /// The routes of the Alertmanager; without one, or if it does not answer, none.
    async fn routes(&self, pace: &Pace) -> Drafted {
        let Some(url) = &self.alertmanager else {
            return Drafted::default();
        };
        let shown = crate::serve::without_password(url);
        let drafted = match configuration(url).await {
            Ok(text) => routes::drafted(&text),
            Err(reason) => Err(reason),
        };
        match drafted {
            Ok(drafted) => {
                pace.say(&format!(
                    "{shown}: {}",
                    counted(drafted.receivers.len(), "receiver")
                ));
                for warning in &drafted.warnings {
                    anstream::eprintln!("warning: {warning}");
                }
                drafted
            }
            Err(reason) => {
                anstream::eprintln!("warning: {shown}: {reason}: no routes are drafted");
                Drafted::default()
            }
        }
    }

    /// Counts every objective in its part of the time that is left, and prints how it stands.
    async fn budgets(
        &self,
        client: &Client,
        engine: &Engine,
        slos: &SloCatalog,
        now: Timestamp,
        pace: &Pace,
    ) {
        let mut table = Table::new(&[
            "OBJECTIVE",
            "PROMISED",
            "BAD",
            "TOTAL",
            "BUDGET LEFT",
            "COUNTED",
            "UNKNOWN",
            "IN DOUBT",
        ]);
        let mut left = u32::try_from(slos.objectives().len()).unwrap_or(u32::MAX);
        for objective in slos.objectives() {
            let Some(indicator) = slos.indicators().iter().find(|sli| sli.name == objective.sli) else {
                continue;
            };
            let time = pace.left() / left.max(1);
            left = left.saturating_sub(1);
            if pace.is_over() {
                pace.say(&format!("{}: no time is left to count it", objective.id));
                continue;
            }
            match budget::count(client, engine.dialect, objective, indicator, now, time, pace).await {
                Ok(Some(counted)) => table.row(row(&counted, &objective.target.percent(2))),
                Ok(None) => {}
                Err(error) => pace.say(&format!("{}: cannot be counted: {error}", objective.id)),
            }
        }
        table.print("No objective was counted.");
    }
}

/// The text of an Alertmanager's configuration.
async fn configuration(url: &str) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Status {
        config: Config,
    }
    #[derive(serde::Deserialize)]
    struct Config {
        original: String,
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ALERTMANAGER_WITHIN)
        .build();
    let client = client.map_err(|error| error.to_string())?;
    let address = format!("{}/api/v2/status", url.trim_end_matches('/'));
    let mut answer = client
        .get(address)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("HTTP status {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > STATUS_MAX_BYTES {
            return Err(format!("the answer is longer than {STATUS_MAX_BYTES} bytes"));
        }
    }
    let status: Status = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(status.config.original)
}

/// The objectives that the histories of the services suggest.
async fn suggested(client: &Client, services: &[Service], now_ms: i64, pace: &Pace) -> Vec<Slo> {
    let mut slos: Vec<Slo> = Vec::new();
    for service in services {
        if pace.is_over() {
            pace.say("no time is left to look at more services");
            break;
        }
        for (index, requests) in service.requests.iter().enumerate() {
            match suggest::of_requests(client, requests, now_ms).await {
                Ok(suggestion) => slos.extend(draft::availability(service, index, suggestion)),
                Err(error) => pace.say(&format!("{} is passed over: {error}", requests.total)),
            }
        }
        if let Some(durations) = &service.durations {
            match suggest::of_durations(client, durations, now_ms).await {
                Ok(Some((le, suggestion))) => slos.extend(draft::latency(service, &le, suggestion)),
                Ok(None) => pace.say(&format!("{} is passed over: it has no buckets", durations.bucket)),
                Err(error) => pace.say(&format!("{} is passed over: {error}", durations.bucket)),
            }
        }
    }
    // Two services whose names differ in what names do not have.
    let mut known = std::collections::BTreeSet::new();
    slos.retain(|slo| known.insert(slo.id.clone()));
    slos
}

/// One line about an objective: what was counted, and what nobody can know.
fn row(counted: &Counted, promised: &str) -> [String; 8] {
    let status = &counted.status;
    let budget = status.budget;
    let since = counted
        .first_ms
        .unwrap_or(counted.from_ms)
        .max(status.window.start_ms);
    let since = Timestamp::from_millisecond(since)
        .map_or_else(|_| String::new(), |at| at.strftime("%F %H:%M").to_string());
    let doubt = status.doubt;
    let mut doubts = Vec::new();
    for (number, what) in [
        (doubt.missed_marked.max(doubt.missed_total), "unseen event"),
        (doubt.restarts, "restart"),
        (doubt.unbounded, "ended source"),
    ] {
        if number > 0 {
            let plural = if number == 1 { "" } else { "s" };
            doubts.push(format!("{} {what}{plural}", count(number)));
        }
    }
    [
        status.slo.to_string(),
        promised.to_owned(),
        count(budget.counts.bad),
        count(budget.counts.total),
        if budget.counts.total == 0 {
            "unknown".to_owned()
        } else {
            budget.left_percent()
        },
        format!("since {since}, {} samples", count(counted.samples)),
        days_ms(status.unknown_ms),
        if doubts.is_empty() {
            "nothing".to_owned()
        } else {
            doubts.join(", ")
        },
    ]
}

/// `1 day`, `30 days`.
fn days(days: usize) -> String {
    counted(days, "day")
}

/// A stretch of time for people: `29.5 days`, `3 min`.
fn days_ms(ms: i64) -> String {
    if ms < DAY_MS {
        return mainstay_ui::time::span(ms.unsigned_abs());
    }
    let tenths = ms * 10 / DAY_MS;
    format!("{}.{} days", tenths / 10, tenths % 10)
}
