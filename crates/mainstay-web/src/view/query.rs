//! Queries in the form of Prometheus' HTTP API.

use mainstay_kernel::Labels;
use serde_json::{Value, json};

/// A value at an instant: milliseconds since the epoch, and the value.
pub type Sample = (i64, f64);

/// An instant query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstantQuery {
    /// The expression.
    pub expr: String,
    /// At which instant, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A range query. `start_ms <= end_ms`, `step_ms > 0`, and at most 11,000 steps: checked before it comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeQuery {
    /// The expression.
    pub expr: String,
    /// The first instant, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The last instant.
    pub end_ms: i64,
    /// The distance between instants, in milliseconds.
    pub step_ms: i64,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnswer {
    /// The result.
    pub result: QueryResult,
    /// What the reader should know about it.
    pub warnings: Vec<String>,
}

/// The four kinds of result.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryResult {
    /// One number.
    Scalar(Sample),
    /// One text, with its instant in milliseconds.
    Text(i64, String),
    /// One value per series.
    Vector(Vec<(Labels, Sample)>),
    /// Several values per series.
    Matrix(Vec<(Labels, Vec<Sample>)>),
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The expression or a parameter is wrong (Prometheus: `bad_data`).
    #[error("{0}")]
    BadData(String),
    /// Evaluation failed (Prometheus: `execution`).
    #[error("{0}")]
    Execution(String),
    /// It took too long (Prometheus: `timeout`).
    #[error("query timed out: {0}")]
    Timeout(String),
    /// The store cannot answer now (Prometheus: `unavailable`).
    #[error("{0}")]
    Unavailable(String),
}

impl QueryError {
    /// Prometheus' name for it.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The HTTP status that Prometheus gives it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadData(_) => 400,
            Self::Execution(_) => 422,
            Self::Timeout(_) | Self::Unavailable(_) => 503,
        }
    }
}

impl QueryAnswer {
    /// As Prometheus' API writes it: `{"resultType": …, "result": …}`.
    #[must_use]
    pub fn to_prometheus(&self) -> Value {
        let (kind, result) = match &self.result {
            QueryResult::Scalar(sample) => ("scalar", pair(*sample)),
            QueryResult::Text(at_ms, text) => ("string", json!([seconds(*at_ms), text])),
            QueryResult::Vector(series) => {
                let one =
                    |(labels, sample): &(Labels, Sample)| json!({"metric": labels, "value": pair(*sample)});
                ("vector", series.iter().map(one).collect())
            }
            QueryResult::Matrix(series) => {
                let one = |(labels, samples): &(Labels, Vec<Sample>)| json!({"metric": labels, "values": samples.iter().copied().map(pair).collect::<Vec<_>>()});
                ("matrix", series.iter().map(one).collect())
            }
        };
        json!({ "resultType": kind, "result": result })
    }
}

fn pair((at_ms, value): Sample) -> Value {
    json!([seconds(at_ms), float(value)])
}

/// Seconds since the epoch: an integer where it is one, else with the fraction that milliseconds give.
fn seconds(at_ms: i64) -> Value {
    if at_ms % 1_000 == 0 {
        json!(at_ms / 1_000)
    } else {
        #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
        let value = at_ms as f64 / 1_000.0;
        json!(value)
    }
}

/// A value as Prometheus writes it: the shortest decimal that reads back the same, `NaN`, `+Inf`, `-Inf`.
fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_look_like_prometheus() {
        let labels: Labels = [("__name__", "up"), ("job", "a")].into_iter().collect();
        let answer = QueryAnswer {
            result: QueryResult::Vector(vec![(labels, (1_435_781_451_781, f64::INFINITY))]),
            warnings: Vec::new(),
        };
        assert_eq!(
            answer.to_prometheus().to_string(),
            r#"{"result":[{"metric":{"__name__":"up","job":"a"},"value":[1435781451.781,"+Inf"]}],"resultType":"vector"}"#
        );
        assert_eq!(float(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(seconds(2_000), json!(2));
    }
}
