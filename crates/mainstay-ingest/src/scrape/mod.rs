//! Scraping: what is fetched from whom, and what is made of it.

mod client;
mod core;
mod metadata;
mod scraper;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_kernel::Labels;

pub use self::core::ScrapeLoop;
pub use self::scraper::{Scraper, ScraperStats, Sink};
use crate::config::http::HttpSettings;
use crate::exposition::{Format, HistogramForm, ParseError, ScrapeProtocol};
use crate::metadata::FamilyMetadata;
use crate::relabel::RelabelRule;
use crate::sample::SeriesSample;

/// One address to scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeTarget {
    /// The label `job` of everything scraped here.
    pub job: String,
    /// The label `instance`; by custom `host:port`.
    pub instance: String,
    /// Where: `http://host:port/metrics`.
    pub url: String,
    /// Further labels of everything scraped here.
    pub labels: Labels,
    /// How often.
    pub interval: Duration,
    /// How long one scrape may take; not above the interval.
    pub timeout: Duration,
    /// Whether exposed labels win over the target's; else those in conflict are renamed `exported_…`.
    pub honor_labels: bool,
    /// Whether exposed times are taken; else all samples bear that of the scrape.
    pub honor_timestamps: bool,
    /// Whether series with exposed times are marked stale when they vanish, like all others.
    pub track_timestamps_staleness: bool,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Whether the scrape reports its timeout, its limit of samples and the size of the body too.
    pub extra_metrics: bool,
    /// What one scrape may bring.
    pub limits: ScrapeLimits,
    /// The limit on targets that its job exceeds: every scrape fails then.
    pub target_limit_exceeded: Option<usize>,
    /// What is done to the labels of samples.
    pub metric_relabel: Arc<[RelabelRule]>,
    /// What was known of it before relabelling; it changes nothing about how it is scraped.
    pub discovered: Labels,
    /// The `job_name` of the configuration that scrapes it, whatever `job` became.
    pub pool: String,
    /// How it is spoken to.
    pub http: Arc<HttpSettings>,
    /// In which formats it is asked for, and what is taken of them.
    pub formats: ScrapeFormats,
}

/// In which formats a target is asked for, and what is taken of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeFormats {
    /// What it is asked for, dearest first.
    pub protocols: Vec<ScrapeProtocol>,
    /// What its answer is read as if it does not say what it is; else such a scrape fails.
    pub fallback: Option<ScrapeProtocol>,
    /// Which form of histograms is taken.
    pub histograms: HistogramForm,
}

impl Default for ScrapeFormats {
    /// The text formats, without native histograms.
    fn default() -> Self {
        Self {
            protocols: ScrapeProtocol::DEFAULT.into(),
            fallback: None,
            histograms: HistogramForm::Classic,
        }
    }
}

impl ScrapeTarget {
    /// A target with the defaults of Prometheus: 1 min interval, 10 s timeout.
    #[must_use]
    pub fn new(job: impl Into<String>, instance: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            job: job.into(),
            instance: instance.into(),
            url: url.into(),
            labels: Labels::new(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            compression: true,
            extra_metrics: false,
            limits: ScrapeLimits::default(),
            target_limit_exceeded: None,
            metric_relabel: Arc::default(),
            discovered: Labels::new(),
            pool: String::new(),
            http: Arc::default(),
            formats: ScrapeFormats::default(),
        }
    }

    /// The labels of everything scraped here, `job` and `instance` included.
    #[must_use]
    pub fn target_labels(&self) -> Labels {
        self.labels
            .clone()
            .with("job", &self.job)
            .with("instance", &self.instance)
    }

    /// Whether a scrape of the one goes on as one of the other: all is the same but how it is spoken to, and what was known
    /// of it before relabelling.
    pub(crate) fn is_scraped_like(&self, other: &Self) -> bool {
        let same_way = Self {
            http: Arc::clone(&other.http),
            discovered: other.discovered.clone(),
            ..self.clone()
        };
        same_way == *other
    }
}

/// What one scrape may bring. A scrape beyond a limit fails as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// The largest body.
    pub body_bytes: usize,
    /// The most samples.
    pub samples: usize,
    /// The largest sum of the sizes of the label names and values of one series.
    pub label_bytes: usize,
    /// The most labels of one series, its metric name included.
    pub labels: usize,
    /// The longest label name.
    pub label_name_bytes: usize,
    /// The longest label value.
    pub label_value_bytes: usize,
}

impl Default for ScrapeLimits {
    /// 10 MiB, 100,000 samples, 16 KiB of labels, however many there are.
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            samples: 100_000,
            label_bytes: 16 << 10,
            labels: usize::MAX,
            label_name_bytes: usize::MAX,
            label_value_bytes: usize::MAX,
        }
    }
}

/// What a target answered.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The format that it said it speaks.
    pub format: Format,
    /// What it exposed.
    pub body: Bytes,
}

/// Why a scrape brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// No answer in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// An answer other than 200.
    #[error("the target answered with status {0}")]
    Status(u16),
    /// It does not say in which format it answers, and there is no `fallback_scrape_protocol`.
    #[error("the target answered with content type {0:?}, which is no exposition format")]
    ContentType(String),
    /// The address is not one.
    #[error("{url:?} is no http address: {reason}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More bytes than allowed.
    #[error("the body has more than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// More samples than allowed.
    #[error("more than {limit} samples")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// A series with more label text than allowed.
    #[error("{metric} has labels of {bytes} bytes, allowed are {limit_bytes}")]
    LabelsTooLarge {
        /// The metric's name.
        metric: String,
        /// The size of its labels.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A series with more labels, or a longer name or value of one, than allowed.
    #[error("{metric} has {what}, allowed are {limit}")]
    LabelLimit {
        /// The metric's name.
        metric: String,
        /// What it has too much of, in words.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// Relabelling took a metric's name away.
    #[error("relabelling leaves {0} without a metric name")]
    NoMetricName(String),
    /// The job has more targets than it may have.
    #[error("the job has more than {limit} targets")]
    TargetLimit {
        /// The limit.
        limit: usize,
    },
    /// What was exposed does not read.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Everything that one scrape says, its own `up` included.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeBatch {
    /// The target's job.
    pub job: String,
    /// The target's instance.
    pub instance: String,
    /// When the scrape began, in milliseconds since 1970.
    pub scrape_time_ms: i64,
    /// What to store, in order.
    pub samples: Vec<SeriesSample>,
    /// What the target says of its metrics, in order of family, if that is not what it said before; nothing when it is no
    /// longer scraped.
    pub metadata: Option<Vec<FamilyMetadata>>,
    /// Why the scrape failed, if it did.
    pub error: Option<ScrapeError>,
}
