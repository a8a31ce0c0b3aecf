//! The options of `mainstay serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::engines::Engines;
use crate::database::DatabaseUrl;

/// Options of `mainstay serve`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where everything is kept.
    #[arg(long, env = "MAINSTAY_DATA", default_value = "mainstay-data")]
    pub(crate) data: PathBuf,
    /// The database that keeps the journal instead of DATA/journal, so that several replicas can stand by for each other:
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
    #[arg(
        long,
        env = "MAINSTAY_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database_url: Option<DatabaseUrl>,
    /// The catalog: a directory of documents.
    #[arg(long, env = "MAINSTAY_CATALOG")]
    pub(crate) catalog: PathBuf,
    /// Where the console and the API listen.
    #[arg(long, env = "MAINSTAY_LISTEN", default_value = "127.0.0.1:7070")]
    pub(crate) listen: SocketAddr,
    /// Where OTLP metrics are taken over gRPC, as 127.0.0.1:4317; nowhere if nothing is said.
    #[arg(long, env = "MAINSTAY_OTLP_GRPC_LISTEN")]
    pub(crate) otlp_grpc_listen: Option<SocketAddr>,
    /// The accounts; without it, only loopback is served and everybody there is an administrator.
    #[arg(long, env = "MAINSTAY_TOKENS")]
    pub(crate) tokens: Option<PathBuf>,
    /// Where the console is reached, for links in messages; `http://LISTEN` if nothing is said.
    #[arg(long, env = "MAINSTAY_BASE_URL")]
    pub(crate) base_url: Option<String>,
    /// A list of targets in the form of Prometheus' HTTP service discovery; may be given several times.
    #[arg(long = "targets-url", env = "MAINSTAY_TARGETS_URL", value_delimiter = ',')]
    pub(crate) targets_urls: Vec<String>,
    /// A Prometheus configuration: its `scrape_configs` are scraped, its `remote_write` receivers are sent to.
    #[arg(long, env = "MAINSTAY_SCRAPE_CONFIG")]
    pub(crate) scrape_config: Option<PathBuf>,
    /// How often targets of lists are scraped, in seconds.
    #[arg(long, env = "MAINSTAY_SCRAPE_INTERVAL_S", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) scrape_interval_s: u32,
    /// How long samples are kept, in days.
    #[arg(long, env = "MAINSTAY_METRICS_RETENTION_DAYS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=4000))]
    pub(crate) metrics_retention_days: u32,
    /// How long records of 5 minutes are kept, in days; not at all, if that is no longer than the samples.
    #[arg(long, env = "MAINSTAY_METRICS_5M_RETENTION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(0..=4000))]
    pub(crate) metrics_5m_retention_days: u32,
    /// How long records of an hour are kept, in days; not at all, if that is no longer than what is finer.
    #[arg(long, env = "MAINSTAY_METRICS_1H_RETENTION_DAYS", default_value_t = 396, value_parser = clap::value_parser!(u32).range(0..=4000))]
    pub(crate) metrics_1h_retention_days: u32,
    /// How many series are held at most.
    #[arg(long, env = "MAINSTAY_METRICS_MAX_SERIES", default_value = "1000000")]
    pub(crate) metrics_max_series: NonZeroUsize,
    /// How many series one tenant may have, by the label `tenant`, unless the catalog says otherwise.
    #[arg(long, env = "MAINSTAY_METRICS_MAX_TENANT_SERIES", default_value = "500000")]
    pub(crate) metrics_max_tenant_series: NonZeroUsize,
    /// Engines of others beside the embedded one.
    #[command(flatten)]
    pub(crate) engines: Engines,
    /// The supervisor that carries out rollbacks, restarts and scaling.
    #[arg(long, env = "MAINSTAY_SUPERVISOR", default_value = "http://127.0.0.1:7071")]
    pub(crate) supervisor: String,
    /// The inbox whose messages the console shows (demo only).
    #[arg(long, env = "MAINSTAY_INBOX")]
    pub(crate) inbox: Option<String>,
    /// Exit when standard input closes: the parent is gone.
    #[arg(long)]
    pub(crate) exit_with_parent: bool,
}

impl Options {
    /// The limits of the store of samples.
    pub(super) fn store(&self) -> mainstay_series::Options {
        mainstay_series::Options {
            retention_ms: days_ms(self.metrics_retention_days),
            retention_5m_ms: days_ms(self.metrics_5m_retention_days),
            retention_1h_ms: days_ms(self.metrics_1h_retention_days),
            max_series: self.metrics_max_series.get(),
            max_tenant_series: self.metrics_max_tenant_series.get(),
            ..mainstay_series::Options::default()
        }
    }

    /// Every option with its value; passwords in addresses are left out.
    pub(super) fn shown(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        let maybe = |text: Option<String>| text.unwrap_or_default();
        let urls: Vec<String> = self
            .targets_urls
            .iter()
            .map(|url| without_password(url))
            .collect();
        [
            ("data", path(&self.data)),
            (
                "database-url",
                maybe(self.database_url.as_ref().map(ToString::to_string)),
            ),
            ("catalog", path(&self.catalog)),
            ("listen", self.listen.to_string()),
            (
                "otlp-grpc-listen",
                maybe(self.otlp_grpc_listen.map(|address| address.to_string())),
            ),
            ("tokens", maybe(self.tokens.as_deref().map(path))),
            ("base-url", maybe(self.base_url.as_deref().map(without_password))),
            ("targets-url", urls.join(",")),
            ("scrape-config", maybe(self.scrape_config.as_deref().map(path))),
            ("scrape-interval-s", self.scrape_interval_s.to_string()),
            ("metrics-retention-days", self.metrics_retention_days.to_string()),
            (
                "metrics-5m-retention-days",
                self.metrics_5m_retention_days.to_string(),
            ),
            (
                "metrics-1h-retention-days",
                self.metrics_1h_retention_days.to_string(),
            ),
            ("metrics-max-series", self.metrics_max_series.to_string()),
            (
                "metrics-max-tenant-series",
                self.metrics_max_tenant_series.to_string(),
            ),
            ("supervisor", without_password(&self.supervisor)),
            ("inbox", maybe(self.inbox.as_deref().map(without_password))),
            ("exit-with-parent", self.exit_with_parent.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .chain(self.engines.shown())
        .collect()
    }
}

fn days_ms(days: u32) -> i64 {
    i64::from(days) * 24 * 60 * 60 * 1000
}

pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out() {
        assert_eq!(
            without_password("http://ada:se@cret@h:1/x@y?z"),
            "http://h:1/x@y?z"
        );
        assert_eq!(without_password("http://h:1"), "http://h:1");
    }
}
