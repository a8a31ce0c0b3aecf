//! The endpoints of the HTTP API v1 that are asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay_kernel::{Labels, Matcher};
use mainstay_promql::dialect::Dialect;
use mainstay_promql::{Series, Value, stale_marker};
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;

use super::decode::{Decoded, Envelope, Metric, QueryData};
use super::engine::BuildInfo;
use super::selector::{Names, selector};
use crate::connection::{Connection, Endpoint};
use crate::error::{RemoteError, quote};

/// How old a sample may be and still count as current, where nothing else is configured.
const LOOKBACK_MS: i64 = 300_000;
/// How often a request is made at most.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt; before the third it is twice that.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A client of a server's query API. Cloning it shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its value; vectors in the server's order.
    pub value: Value,
    /// What the server, or the reading of its answer, has to say about it.
    pub warnings: Vec<String>,
}

impl Client {
    /// A client of the server at `endpoint`, whose address is what stands before `/api/v1`.
    ///
    /// # Errors
    /// If the endpoint is not well formed; nothing is sent yet.
    pub fn new(endpoint: &Endpoint) -> Result<Self, RemoteError> {
        Ok(Self {
            connection: Connection::new(endpoint)?,
        })
    }

    /// Evaluates `query` at `at_ms`, in milliseconds since 1970, in the server's own dialect.
    ///
    /// # Errors
    /// As the server says it, or why it did not answer.
    pub async fn instant(&self, query: &str, at_ms: i64) -> Result<Answer, RemoteError> {
        let time = seconds(at_ms);
        self.query("/api/v1/query", &[("query", query), ("time", &time)])
            .await
    }

    /// Evaluates `query` at `start_ms`, `start_ms + step_ms` and so on up to `end_ms`, in the server's own dialect.
    ///
    /// # Errors
    /// As [`Client::instant`].
    pub async fn range(
        &self,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, RemoteError> {
        let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
        let params = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        self.query("/api/v1/query_range", &params).await
    }

    /// The samples with `min_ms_exclusive < time <= max_ms_inclusive` of the series that pass every matcher, in order of
    /// labels. Times before 1970 are not asked for.
    ///
    /// It is the instant query of a range selector, so that the server does not compute anything. Of the window's left
    /// edge, which is closed before Prometheus 3, nothing depends: what is too much is left out here.
    ///
    /// Stale markers are in no answer of Prometheus. It is asked for a second time which series are current at the end: one
    /// that has samples no older than the look-back, and is not, has ended, and a marker is put behind its last sample. Ends
    /// before that are not known. VictoriaMetrics shows stale markers as NaN, and keeps no other NaN, so that there they are
    /// stale markers again.
    ///
    /// # Errors
    /// As [`Client::instant`]; and when there are native histograms among the samples, which this API shows in a form
    /// that cannot be computed with.
    pub async fn raw(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
        dialect: Dialect,
    ) -> Result<Vec<Series>, RemoteError> {
        let min_ms = min_ms_exclusive.max(-1);
        if max_ms_inclusive <= min_ms {
            return Ok(Vec::new());
        }
        let selector = selector(matchers, Names::of(dialect))?;
        let query = format!("{selector}[{}ms]", max_ms_inclusive - min_ms);
        let answer = self.instant(&query, max_ms_inclusive).await?;
        let Value::Matrix(mut series) = answer.value else {
            return Err(RemoteError::Malformed(
                "a range selector gave no matrix".to_owned(),
            ));
        };
        if answer.warnings.iter().any(|warning| warning == HISTOGRAMS) {
            return Err(RemoteError::Unaskable(HISTOGRAMS.to_owned()));
        }
        for series in &mut series {
            series
                .samples
                .retain(|(at_ms, _)| *at_ms > min_ms && *at_ms <= max_ms_inclusive);
            in_order(&mut series.samples);
            if dialect == Dialect::VictoriaMetrics {
                for (_, value) in &mut series.samples {
                    if value.is_nan() {
                        *value = stale_marker();
                    }
                }
            }
        }
        series.retain(|series| !series.samples.is_empty());
        let may_have_ended = |series: &Series| {
            let last_ms = series.samples.last().map(|(at_ms, _)| *at_ms);
            last_ms.is_some_and(|at_ms| at_ms < max_ms_inclusive && at_ms > max_ms_inclusive - LOOKBACK_MS)
        };
        if dialect != Dialect::VictoriaMetrics && series.iter().any(may_have_ended) {
            let current = self.current(&selector, max_ms_inclusive).await?;
            for series in series.iter_mut().filter(|series| may_have_ended(series)) {
                if let Some((last_ms, _)) = series.samples.last()
                    && !current.contains(&series.labels)
                {
                    series.samples.push((last_ms + 1, stale_marker()));
                }
            }
        }
        Ok(series)
    }

    /// The series that have a current sample.
    async fn current(&self, selector: &str, at_ms: i64) -> Result<BTreeSet<Arc<Labels>>, RemoteError> {
        match self.instant(selector, at_ms).await?.value {
            Value::Vector(samples) => Ok(samples.into_iter().map(|sample| sample.labels).collect()),
            _ => Err(RemoteError::Malformed("a selector gave no vector".to_owned())),
        }
    }

    /// The label sets of the series that pass every matcher and have samples in the range. VictoriaMetrics judges by
    /// whole days.
    ///
    /// # Errors
    /// As [`Client::instant`].
    pub async fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Labels>, RemoteError> {
        let params = window(matchers, start_ms, end_ms)?;
        let request = || self.post("/api/v1/series", &params);
        let mut series = self
            .ask(request, |body| {
                let envelope: Envelope<'_, Vec<Metric>> = envelope(body)?;
                Ok(envelope.data.unwrap_or_default())
            })
            .await?
            .into_iter()
            .map(|metric| metric.0)
            .collect::<Vec<_>>();
        series.sort();
        Ok(series)
    }

    /// The names of the labels of those series, sorted. Without a matcher, of all.
    ///
    /// # Errors
    /// As [`Client::instant`].
    pub async fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, RemoteError> {
        let params = window(matchers, start_ms, end_ms)?;
        self.data(|| self.post("/api/v1/labels", &params)).await
    }

    /// The values of one label of those series, sorted. Without a matcher, of all.
    ///
    /// # Errors
    /// As [`Client::instant`].
    pub async fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, RemoteError> {
        if !super::selector::is_legacy_name(name) {
            return Err(RemoteError::Unaskable(format!(
                "the label name {name:?} is not of letters, digits and underscores"
            )));
        }
        let params = window(matchers, start_ms, end_ms)?;
        let mut url = self.connection.at(&format!("/api/v1/label/{name}/values"));
        extend(&mut url, &params);
        self.data(|| self.connection.client().get(url.clone())).await
    }

    pub(super) async fn build_info(&self) -> Result<BuildInfo, RemoteError> {
        let url = self.connection.at("/api/v1/status/buildinfo");
        self.data(|| self.connection.client().get(url.clone())).await
    }

    async fn query(&self, path: &str, params: &[(&str, &str)]) -> Result<Answer, RemoteError> {
        // Without `nocache`, VictoriaMetrics moves times to whole steps, and asks for the past where the present is meant.
        // The others know no such parameter.
        let params: Vec<(&str, String)> = params
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .chain([("nocache", "1".to_owned())])
            .collect();
        self.ask(
            || self.post(path, &params),
            |body| {
                let envelope: Envelope<'_, QueryData<'_>> = envelope(body)?;
                let data = envelope.data.ok_or_else(|| malformed("no data"))?;
                let Decoded { value, histograms } = data.decoded().map_err(malformed)?;
                let mut warnings = envelope.warnings;
                warnings.extend(envelope.infos);
                if histograms > 0 {
                    warnings.push(HISTOGRAMS.to_owned());
                }
                Ok(Answer { value, warnings })
            },
        )
        .await
    }

    async fn data<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, RemoteError> {
        self.ask(request, |body| {
            let envelope: Envelope<'_, T> = envelope(body)?;
            envelope.data.ok_or_else(|| malformed("no data"))
        })
        .await
    }

    fn post(&self, path: &str, params: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.connection.at(path);
        extend(&mut url, params);
        let form = url.query().unwrap_or_default().to_owned();
        url.set_query(None);
        self.connection
            .client()
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
    }

    /// Asks, and asks again where that may help.
    async fn ask<T>(
        &self,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(&[u8]) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut wait = BACK_OFF;
        for _ in 1..ATTEMPTS {
            match self.ask_once(request(), &read).await {
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "the engine is asked again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                other => return other,
            }
        }
        self.ask_once(request(), &read).await
    }

    async fn ask_once<T>(
        &self,
        request: RequestBuilder,
        read: impl Fn(&[u8]) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let answer = self.connection.answer(request).await?;
        if (200..300).contains(&answer.status) {
            return read(&answer.body);
        }
        match serde_json::from_slice::<Envelope<'_, serde::de::IgnoredAny>>(&answer.body) {
            Ok(envelope) if envelope.status == "error" => Err(RemoteError::Server {
                status: answer.status,
                error_type: envelope.error_type,
                message: envelope.error,
            }),
            _ => Err(RemoteError::Http {
                status: answer.status,
                body: quote(&answer.body),
            }),
        }
    }
}

/// What is said of native histograms, which are not read.
const HISTOGRAMS: &str = "there are native histograms in the answer, which this API does not show in full";

fn malformed(reason: impl ToString) -> RemoteError {
    RemoteError::Malformed(reason.to_string())
}

fn envelope<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<Envelope<'a, T>, RemoteError> {
    serde_json::from_slice(body).map_err(malformed)
}

fn extend(url: &mut Url, params: &[(&str, String)]) {
    url.query_pairs_mut().extend_pairs(params);
}

fn window(
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<(&'static str, String)>, RemoteError> {
    let mut params = vec![("start", seconds(start_ms)), ("end", seconds(end_ms))];
    if !matchers.is_empty() {
        params.push(("match[]", selector(matchers, Names::Legacy)?));
    }
    Ok(params)
}

/// Puts samples in order of time, each time once. Servers give them so; VictoriaMetrics gives a sample twice that was
/// written twice, unless it deduplicates.
fn in_order(samples: &mut Vec<(i64, f64)>) {
    samples.sort_by_key(|(at_ms, _)| *at_ms);
    samples.dedup_by_key(|(at_ms, _)| *at_ms);
}

/// Milliseconds as seconds with three digits after the point.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(seconds(1_700_000_040_007), "1700000040.007");
        assert_eq!(seconds(-1), "-0.001");
        assert_eq!(seconds(0), "0.000");
    }
}
