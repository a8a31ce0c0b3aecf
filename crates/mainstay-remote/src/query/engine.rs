//! Which engine answers, and in which dialect: asked, not configured.

use std::fmt;

use mainstay_promql::dialect::Dialect;
use mainstay_promql::{Value, VectorSample};
use serde::Deserialize;

use super::client::Client;
use crate::error::RemoteError;

/// What an engine is, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Prometheus, or something that looks the same (Thanos, Cortex).
    Prometheus,
    /// Grafana Mimir.
    Mimir,
    /// VictoriaMetrics.
    VictoriaMetrics,
}

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// What it is.
    pub product: Product,
    /// Its version as it says it, or "".
    pub version: String,
    /// How it understands PromQL.
    pub dialect: Dialect,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.product {
            Product::Prometheus => "Prometheus",
            Product::Mimir => "Grafana Mimir",
            Product::VictoriaMetrics => "VictoriaMetrics",
        })?;
        if !self.version.is_empty() {
            write!(f, " {}", self.version)?;
        }
        write!(f, " ({} dialect)", self.dialect)
    }
}

/// `data` of `status/buildinfo`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BuildInfo {
    #[serde(default)]
    version: String,
    #[serde(default)]
    application: String,
}

/// A query that only MetricsQL understands.
const METRICSQL: &str = "1 default 2";
/// Minutes in a window of two minutes that begins on a minute: two where its left edge is open, three where not.
const MINUTES: &str = "count_over_time(vector(1)[2m:1m])";
const ON_A_MINUTE_MS: i64 = 1_700_000_040_000;

impl Client {
    /// Finds out which engine answers. The dialect is tried out rather than read off a version, because servers that
    /// embed the same evaluator (Mimir, Thanos) number themselves differently, and some give no version.
    ///
    /// # Errors
    /// If the server does not answer queries. A server without build information is no error.
    pub async fn engine(&self) -> Result<Engine, RemoteError> {
        let build = match self.build_info().await {
            Ok(build) => build,
            Err(error @ RemoteError::Unanswered(_)) => return Err(error),
            Err(_) => BuildInfo::default(),
        };
        let refused = |error: &RemoteError| matches!(error, RemoteError::Server { .. });
        let dialect = match self.instant(METRICSQL, ON_A_MINUTE_MS).await {
            Ok(_) => Dialect::VictoriaMetrics,
            Err(error) if refused(&error) => match self.instant(MINUTES, ON_A_MINUTE_MS).await?.value {
                Value::Vector(minutes) if is_one(&minutes, 3.0) => Dialect::Prometheus2,
                Value::Vector(minutes) if is_one(&minutes, 2.0) => Dialect::Prometheus3,
                other => {
                    return Err(RemoteError::Malformed(format!(
                        "{MINUTES} gave {other:?}, which no known engine gives"
                    )));
                }
            },
            Err(error) => return Err(error),
        };
        let product = if dialect == Dialect::VictoriaMetrics {
            Product::VictoriaMetrics
        } else if build.application.contains("Mimir") {
            Product::Mimir
        } else {
            Product::Prometheus
        };
        Ok(Engine {
            product,
            version: build.version,
            dialect,
        })
    }
}

fn is_one(vector: &[VectorSample], value: f64) -> bool {
    matches!(vector, [sample] if sample.value.float() == Some(value))
}
