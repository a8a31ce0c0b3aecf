//! The counters of indicators, read from another engine and counted as if they had been scraped.
//!
//! What is read goes the way of every sample: into the store's log, and from there into the counts. A sample that is read
//! again is held already and changes nothing; so the place up to which was read is written down after the samples are
//! durable, and a crash between the two costs a repetition, not a count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_kernel::Matcher;
use mainstay_promql::Series;
use mainstay_promql::dialect::Dialect;
use mainstay_remote::RemoteError;
use mainstay_remote::query::Client;
use mainstay_segment::write_atomic;
use mainstay_series::{Row, SeriesError};
use mainstay_slo::SliDefinition;
use serde::{Deserialize, Serialize};

use crate::telemetry::Telemetry;

/// How the engine is read.
#[derive(Debug, Clone, Copy)]
pub struct PullPace {
    /// A sample may arrive at the engine this much later than it was taken, in milliseconds; what comes later is not counted.
    /// It should be below the lateness that the counts allow.
    pub late_ms: i64,
    /// How much time is read at once when there is much to catch up on, in milliseconds.
    pub span_max_ms: i64,
}

impl Default for PullPace {
    /// 2 min late, 10 min at once.
    fn default() -> Self {
        Self {
            late_ms: 2 * 60_000,
            span_max_ms: 10 * 60_000,
        }
    }
}

/// What can go wrong with reading counters from an engine. Nothing is lost by it: the next step reads from where the last
/// one that went well ended.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The engine.
    #[error("{selector}: {source}")]
    Engine {
        /// What was asked for.
        selector: String,
        /// Why there was no answer.
        source: RemoteError,
    },
    /// The store.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// The place up to which was read.
    #[error("{file}: {reason}")]
    Place {
        /// Its file.
        file: PathBuf,
        /// Why it cannot be read or written.
        reason: String,
    },
}

/// What is kept: up to where was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    read_to_ms: i64,
}

/// Reads the counters of every indicator from one engine.
pub struct Puller {
    client: Client,
    dialect: Dialect,
    pace: PullPace,
    file: PathBuf,
    place: Option<Place>,
    /// The times of samples that were handed on already, as far as they are read again.
    seen: BTreeMap<Labels, BTreeSet<i64>>,
}

impl Puller {
    /// A reader that goes on from the place in `file`; without one, it begins with what the first step finds.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn open(client: Client, dialect: Dialect, pace: PullPace, file: PathBuf) -> Result<Self, PullError> {
        let trouble = |reason: String| PullError::Place {
            file: file.clone(),
            reason,
        };
        let place = match std::fs::read(&file) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| trouble(error.to_string()))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(trouble(error.to_string())),
        };
        Ok(Self {
            client,
            dialect,
            pace,
            file,
            place,
            seen: BTreeMap::new(),
        })
    }

    /// Reads what came since the last step, up to `now`, and counts it. Gives how many samples were new. Cost: one request
    /// per counter and span.
    ///
    /// # Errors
    /// If the engine does not answer or a file cannot be written; what was read until then is counted.
    pub async fn pull(&mut self, telemetry: &Arc<Telemetry>, now: Timestamp) -> Result<usize, PullError> {
        let now_ms = now.as_millisecond();
        let selectors = selectors(telemetry);
        let mut read_to_ms = match self.place {
            Some(place) => place.read_to_ms,
            None => now_ms.saturating_sub(self.pace.late_ms),
        };
        let mut new = 0;
        let mut span_ms = self.pace.span_max_ms;
        while read_to_ms < now_ms {
            let to_ms = read_to_ms.saturating_add(span_ms).min(now_ms);
            let from_ms = read_to_ms.saturating_sub(self.pace.late_ms);
            let found = match self.read(&selectors, from_ms, to_ms).await {
                // Less time is less to read, down to what must be read again in any case.
                Err(PullError::Engine {
                    source: RemoteError::TooLarge { .. },
                    ..
                }) if span_ms > 1_000 => {
                    span_ms /= 2;
                    continue;
                }
                other => other?,
            };
            new += self.count(telemetry, found).await?;
            self.keep(Place { read_to_ms: to_ms })?;
            read_to_ms = to_ms;
            let again_ms = to_ms.saturating_sub(self.pace.late_ms);
            self.seen.retain(|_, times| {
                *times = times.split_off(&again_ms);
                !times.is_empty()
            });
        }
        Ok(new)
    }

    async fn read(
        &self,
        selectors: &[Vec<Matcher>],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Series>, PullError> {
        let mut found = Vec::new();
        for matchers in selectors {
            let read = self.client.raw(matchers, from_ms, to_ms, self.dialect).await;
            let named = |source| {
                let matchers: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                PullError::Engine {
                    selector: format!("{{{}}}", matchers.join(",")),
                    source,
                }
            };
            found.extend(read.map_err(named)?);
        }
        Ok(found)
    }

    /// Hands on what was not handed on before, in order of time, as if it had been scraped. A series that several selectors
    /// select comes once.
    async fn count(&mut self, telemetry: &Arc<Telemetry>, found: Vec<Series>) -> Result<usize, PullError> {
        let mut samples: Vec<(i64, Arc<Labels>, f64)> = Vec::new();
        for series in found {
            let seen = self.seen.get(&*series.labels);
            let new = |t_ms: &i64| seen.is_none_or(|seen| !seen.contains(t_ms));
            let of_series = series.samples.into_iter().filter(|(t_ms, _)| new(t_ms));
            samples.extend(of_series.map(|(t_ms, value)| (t_ms, Arc::clone(&series.labels), value)));
        }
        samples.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        samples.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
        let telemetry = Arc::clone(telemetry);
        // The log is synced: that may block.
        let appended = tokio::task::spawn_blocking(move || {
            let rows: Vec<Row<'_>> = samples
                .iter()
                .map(|(t_ms, labels, value)| Row {
                    labels,
                    created_ms: None,
                    t_ms: *t_ms,
                    value: *value,
                })
                .collect();
            telemetry.append(&rows).map(|appended| (appended.stored, samples))
        });
        let (stored, samples) = appended.await.map_err(|error| PullError::Place {
            file: self.file.clone(),
            reason: error.to_string(),
        })??;
        for (t_ms, labels, _) in samples {
            match self.seen.get_mut(&*labels) {
                Some(times) => times.insert(t_ms),
                None => self.seen.entry((*labels).clone()).or_default().insert(t_ms),
            };
        }
        Ok(stored)
    }

    fn keep(&mut self, place: Place) -> Result<(), PullError> {
        let trouble = |reason: String| PullError::Place {
            file: self.file.clone(),
            reason,
        };
        let bytes = serde_json::to_vec(&place).map_err(|error| trouble(error.to_string()))?;
        write_atomic(&self.file, &bytes).map_err(|error| trouble(error.to_string()))?;
        self.place = Some(place);
        Ok(())
    }
}

/// Every counter that an indicator counts or is witnessed by, each once.
fn selectors(telemetry: &Telemetry) -> Vec<Vec<Matcher>> {
    let slos = telemetry.slos();
    let of = |indicator: &SliDefinition| {
        indicator
            .selectors()
            .map(|selector| selector.to_matchers())
            .collect::<Vec<Vec<Matcher>>>()
    };
    let mut all: Vec<Vec<Matcher>> = Vec::new();
    for matchers in slos.indicators().flat_map(of) {
        if !all.contains(&matchers) {
            all.push(matchers);
        }
    }
    all
}
