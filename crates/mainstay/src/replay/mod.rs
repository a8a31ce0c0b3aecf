//! `mainstay slo replay`: the engine that judges live, over the past.

mod file;
mod progress;
mod remote;
mod report;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_kernel::{Ratio, SloId};
use mainstay_plane::telemetry::{StoreSource, TelemetryError, repeat_run};
use mainstay_remote::RemoteError;
use mainstay_series::{SeriesError, Store};
use mainstay_slo::replay::whatif::{Variant, with_targets};
use mainstay_slo::replay::{Batch, Course, Outcome, Source, TICK_MS, Timeline, run_in_shards};
use mainstay_slo::window::Window;
use mainstay_slo::{Evaluation, Settings, SloCatalog, SloError};

use self::file::{FileError, Recorded};
use self::progress::Progress;
use self::remote::Engine;
use self::report::Report;
use crate::exit::Exit;
use crate::output::Form;
use crate::remote::Server;

/// Options of `mainstay slo replay`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The first instant that is judged: 2026-01-15T00:00:00Z. Without --from and --to, the recorded run of --data is repeated
    /// as it was judged live.
    #[arg(long, value_name = "TIME", requires = "to", value_parser = crate::cli::time)]
    from: Option<Timestamp>,
    /// The last instant.
    #[arg(long, value_name = "TIME", requires = "from", value_parser = crate::cli::time)]
    to: Option<Timestamp>,
    /// The catalog to judge by; with --server, the one that the server runs if nothing is said.
    #[arg(long, value_name = "DIR", required_unless_present = "server")]
    catalog: Option<PathBuf>,
    /// Only this objective.
    #[arg(long, value_name = "ID")]
    slo: Option<SloId>,
    /// Judge by these targets, too, as 99.9,99.95.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent)]
    target: Vec<Ratio>,
    #[command(flatten)]
    samples: Samples,
    /// The token that says who asks, of --server and --prometheus.
    #[arg(long, env = "MAINSTAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// How often samples are expected, in seconds: three times that without one is a gap.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    scrape_interval: u16,
    /// How often is judged, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = (TICK_MS / 1_000).unsigned_abs(), value_parser = clap::value_parser!(u64).range(1..=3_600))]
    tick: u64,
    /// Count from --from on only. Else counting begins earlier by the longest window, so that budgets are whole.
    #[arg(long)]
    no_warm_up: bool,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Where samples are.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Samples {
    /// A server's data directory that no server has open: a backup, say.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A running server.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A Prometheus, or what answers like one.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// A file of samples with times: OpenMetrics, or CSV (.csv).
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

fn percent(text: &str) -> Result<Ratio, String> {
    let text = text.trim_end_matches('%');
    format!("{text}%")
        .parse::<Ratio>()
        .map_err(|error| error.to_string())
}

/// Why the past cannot be judged.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("the catalog {catalog} cannot be used\n{findings}")]
    Catalog { catalog: String, findings: String },
    #[error("the catalog has no objective")]
    NoObjective,
    #[error(transparent)]
    Slo(#[from] SloError),
    #[error("{0}\nA server that runs has its directory locked: `mainstay backup` makes a copy to replay.")]
    Locked(SeriesError),
    #[error(transparent)]
    Series(SeriesError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("{url}: {source}")]
    Engine { url: String, source: RemoteError },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Start(std::io::Error),
    #[error(
        "what this run began with is no longer there: it cannot be repeated judgement by judgement\nGive --from and --to: its samples are then judged anew."
    )]
    NotWhole,
    #[error(
        "without --from and --to only a recorded run can be repeated, which a data directory (--data) has"
    )]
    NoTimes,
    #[error("a run is repeated as it was judged: other targets need --from and --to")]
    RunWithTargets,
    #[error("--to is not after --from")]
    Backwards,
    /// It was said already.
    #[error("")]
    Said,
}

impl From<SeriesError> for ReplayError {
    fn from(error: SeriesError) -> Self {
        if matches!(error, SeriesError::Locked { .. }) {
            Self::Locked(error)
        } else {
            Self::Series(error)
        }
    }
}

/// A source whose failures are those of the command.
struct Told<S>(S);

impl<S: Source<Error: Into<ReplayError>>> Source for Told<S> {
    type Error = ReplayError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, ReplayError> {
        self.0.fill(batch).map_err(Into::into)
    }
}

pub(crate) fn run(options: &Options) -> Exit {
    match replay(options) {
        Ok(report) => {
            report.print(options.output);
            Exit::Ok
        }
        Err(ReplayError::Said) => Exit::Failure,
        Err(error) => {
            anstream::eprintln!("mainstay slo replay: {error}");
            Exit::Failure
        }
    }
}

fn replay(options: &Options) -> Result<Report, ReplayError> {
    let catalog = options.slos()?;
    let (judged, variants) = with_targets(&catalog, options.slo.as_ref(), &options.target)?;
    if judged.objectives().is_empty() {
        return Err(ReplayError::NoObjective);
    }
    let Some((from, to)) = options.from.zip(options.to) else {
        return options.repeat(&judged, variants);
    };
    if to <= from {
        return Err(ReplayError::Backwards);
    }
    let course = options.course(&judged, from, to);
    let mut doubts = Vec::new();
    let outcome = options.judge(&judged, course, &mut doubts)?;
    Ok(Report {
        from,
        to,
        counted_from: course.counted_from,
        is_exact: false,
        is_equal: None,
        doubts,
        variants,
        outcome,
    })
}

impl Options {
    fn slos(&self) -> Result<SloCatalog, ReplayError> {
        let catalog = match (&self.catalog, &self.samples.server) {
            (Some(path), _) => read_catalog(path)?,
            (None, Some(server)) => {
                let server = Server::at(server.clone(), self.token.clone());
                crate::plan::in_force(&server).map_err(|_| ReplayError::Said)?
            }
            (None, None) => return Err(ReplayError::NoObjective),
        };
        let mut diagnostics = Diagnostics::default();
        Ok(mainstay_slo::spec::load(
            &catalog.documents,
            &catalog.platform,
            &mut diagnostics,
        ))
    }

    fn settings(&self) -> Settings {
        Settings {
            scrape_interval_ms: i64::from(self.scrape_interval) * 1_000,
            ..Settings::default()
        }
    }

    /// Counting begins before judging by the longest window.
    fn course(&self, judged: &SloCatalog, from: Timestamp, to: Timestamp) -> Course {
        let before_ms = judged
            .objectives()
            .iter()
            .map(|objective| match &objective.window {
                Window::Rolling(duration) => duration.nominal_ms(),
                Window::Calendar(_) => from.as_millisecond() - objective.window.bounds(from).start_ms,
            });
        let before_ms = before_ms.max().filter(|_| !self.no_warm_up).unwrap_or(0);
        let counted_ms = from.as_millisecond().saturating_sub(before_ms).max(0);
        Course {
            counted_from: Timestamp::from_millisecond(counted_ms).unwrap_or(from),
            judged_from: from,
            to,
            tick_ms: i64::try_from(self.tick).unwrap_or(i64::MAX).saturating_mul(1_000),
        }
    }

    fn judge(
        &self,
        judged: &SloCatalog,
        course: Course,
        doubts: &mut Vec<String>,
    ) -> Result<Outcome, ReplayError> {
        let settings = self.settings();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let progress = Progress::new(course, cores);
        let told = |part, t_ms| progress.show(part, t_ms);
        let samples = &self.samples;
        let outcome = if let Some(dir) = &samples.data {
            let (store, _) = Store::open(&series_in(dir), mainstay_series::Options::default())?;
            let source = |own: &SloCatalog| Ok(Told(StoreSource::new(&store, own, course)));
            run_in_shards(judged, settings, course, cores, source, told)
        } else if let Some(path) = &samples.file {
            let recorded = Recorded::read(path, judged, course)?;
            let source = |_: &SloCatalog| Ok::<_, ReplayError>(Told(recorded.source()));
            run_in_shards(judged, settings, course, cores, source, told)
        } else {
            let url = samples.server.as_ref().or(samples.prometheus.as_ref());
            let url = url.map(String::as_str).unwrap_or_default();
            doubts.push(
                "the query API says of no counter when it began: what one counted before it was first seen is bounded, not \
                 counted"
                    .to_owned(),
            );
            let engine = Engine::connect(url, self.token.as_deref())?;
            let source = |own: &SloCatalog| Ok(engine.source(own, course));
            run_in_shards(judged, settings, course, cores, source, told)
        };
        progress.end();
        outcome
    }

    /// Repeats the run that a data directory has recorded.
    fn repeat(&self, judged: &SloCatalog, variants: Vec<Variant>) -> Result<Report, ReplayError> {
        let dir = self.samples.data.as_ref().ok_or(ReplayError::NoTimes)?;
        if !self.target.is_empty() {
            return Err(ReplayError::RunWithTargets);
        }
        let mut timeline = Timeline::default();
        let told = |at, Evaluation { alerts, budgets }| timeline.note(at, alerts, budgets);
        let repeated = repeat_run(&series_in(dir), |_| judged.clone(), self.settings(), told)?;
        let repeated = repeated.ok_or(ReplayError::NotWhole)?;
        let mut doubts = Vec::new();
        if repeated.catalogs > 0 {
            doubts.push(format!(
                "the catalog changed {} times while it ran; all of it is judged by the one given",
                repeated.catalogs
            ));
        }
        Ok(Report {
            from: repeated.from,
            to: repeated.to,
            counted_from: repeated.from,
            is_exact: true,
            is_equal: repeated.is_equal,
            doubts,
            variants,
            outcome: timeline.finish(&repeated.slos, repeated.to),
        })
    }
}

/// A server keeps samples in `series` of its data directory; a copy of that alone will do.
fn series_in(dir: &Path) -> PathBuf {
    let series = dir.join("series");
    if series.is_dir() { series } else { dir.to_owned() }
}

fn read_catalog(path: &Path) -> Result<Catalog, ReplayError> {
    let (catalog, findings) = crate::check::examine(path);
    if findings.has_errors() {
        return Err(ReplayError::Catalog {
            catalog: path.display().to_string(),
            findings: findings.render_short(),
        });
    }
    Ok(catalog)
}
