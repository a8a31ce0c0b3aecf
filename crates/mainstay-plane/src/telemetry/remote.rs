//! Other engines behind the seams of the embedded one: their raw samples for our evaluator, our samples for them.

mod departure;
mod forward;
mod pull;

use std::sync::Arc;
use std::sync::mpsc;

use mainstay_kernel::Matcher;
use mainstay_promql::ast::Position;
use mainstay_promql::dialect::Dialect;
use mainstay_promql::{Annotation, Level, Outcome, QueryError, Samples, Series, SourceError};
use mainstay_remote::query::Client;
use tokio::runtime::Handle;

pub use departure::Departure;
pub use forward::StoreLog;
pub use pull::{PullError, PullPace, Puller};

/// The raw samples of another engine, for our own evaluator: queries, rules and counts mean there what they mean here.
///
/// Of Prometheus, whose API shows no stale markers, it is known whether a series had ended at the end of what is selected, but
/// not whether it had ended before that and come back.
///
/// [`Samples`] is asked from a thread that may block. The request runs on the runtime and the asking thread waits for it,
/// which is safe on any thread but the only one of a single-threaded runtime.
#[derive(Debug, Clone)]
pub struct RemoteSamples {
    client: Client,
    dialect: Dialect,
    runtime: Handle,
}

impl RemoteSamples {
    /// Asks by `client` an engine of this dialect, on `runtime`.
    #[must_use]
    pub fn new(client: Client, dialect: Dialect, runtime: Handle) -> Self {
        Self {
            client,
            dialect,
            runtime,
        }
    }
}

impl Samples for RemoteSamples {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let (client, matchers, dialect) = (self.client.clone(), matchers.to_vec(), self.dialect);
        wait_for(&self.runtime, async move {
            client
                .raw(&matchers, min_ms_exclusive, max_ms_inclusive, dialect)
                .await
        })
        .map_err(|error| SourceError::Failed(error.to_string()))
    }
}

/// Who evaluates rules, where an engine has the samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Evaluation {
    /// We do, over its raw samples: a rule means what it means over the embedded store.
    #[default]
    Here,
    /// The engine does, in its own dialect, which is cheaper where the samples are many; what rules of the same group
    /// recorded it knows once that has been sent to it.
    There,
}

/// An engine that has the samples which rules are about.
#[derive(Debug, Clone)]
pub struct RemoteEngine {
    samples: RemoteSamples,
    evaluation: Evaluation,
}

impl RemoteEngine {
    /// An engine with these samples.
    #[must_use]
    pub fn new(samples: RemoteSamples, evaluation: Evaluation) -> Self {
        Self { samples, evaluation }
    }

    /// Its raw samples.
    pub(super) fn samples(&self) -> &RemoteSamples {
        &self.samples
    }

    /// What the engine says to a query, if it is to evaluate it.
    pub(super) fn evaluate(&self, query: &str, at_ms: i64) -> Option<Result<Outcome, QueryError>> {
        if self.evaluation == Evaluation::Here {
            return None;
        }
        let (client, query) = (self.samples.client.clone(), query.to_owned());
        let answer = wait_for(&self.samples.runtime, async move {
            client.instant(&query, at_ms).await
        });
        let annotation = |message: String| Annotation {
            level: Level::Warning,
            message,
            position: Position::default(),
        };
        Some(
            answer
                .map(|answer| Outcome {
                    value: answer.value,
                    annotations: answer.warnings.into_iter().map(annotation).collect(),
                })
                .map_err(|error| SourceError::Failed(error.to_string()).into()),
        )
    }
}

/// Lets the runtime carry out a request while this thread waits.
fn wait_for<T: Send + 'static>(
    runtime: &Handle,
    request: impl Future<Output = Result<T, mainstay_remote::RemoteError>> + Send + 'static,
) -> Result<T, mainstay_remote::RemoteError> {
    let (answer, answered) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Nobody waits any more: then nobody misses the answer.
        let _gone = answer.send(request.await);
    });
    answered.recv().unwrap_or_else(|_| {
        let reason = "the runtime ended".to_owned();
        Err(mainstay_remote::RemoteError::Unanswered(
            mainstay_remote::Unanswered::Broken(reason),
        ))
    })
}

/// Two sources as one: what rules recorded here is seen before it has arrived there. Where both have a sample of one time,
/// the first source's holds. Both lists are in order of labels, and so is what they give.
pub(super) fn merge(first: Vec<Series>, second: Vec<Series>) -> Vec<Series> {
    let mut all: Vec<Series> = first.into_iter().chain(second).collect();
    // Stable: the first source's series stays before the second's of the same labels.
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all.dedup_by(|later, kept| {
        let same = Arc::ptr_eq(&later.labels, &kept.labels) || later.labels == kept.labels;
        if same {
            add(&mut kept.samples, &mut later.samples);
            add(&mut kept.histograms, &mut later.histograms);
        }
        same
    });
    all
}

/// Adds what is later to what is kept, in order of time. Of two of one time the first is kept.
fn add<T>(kept: &mut Vec<(i64, T)>, later: &mut Vec<(i64, T)>) {
    kept.append(later);
    kept.sort_by_key(|(at_ms, _)| *at_ms);
    kept.dedup_by_key(|(at_ms, _)| *at_ms);
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::Labels;

    use super::*;

    fn series(name: &str, samples: &[(i64, f64)]) -> Series {
        Series {
            labels: Arc::new(Labels::from_iter([("__name__", name)])),
            samples: samples.to_vec(),
            histograms: Vec::new(),
        }
    }

    #[test]
    fn the_first_source_holds_and_the_second_fills_in() {
        let first = vec![series("a", &[(2, 20.0), (3, 30.0)]), series("c", &[(1, 1.0)])];
        let second = vec![series("a", &[(1, 1.0), (2, 2.0)]), series("b", &[(1, 1.0)])];
        let merged = merge(first, second);
        assert_eq!(
            merged,
            [
                series("a", &[(1, 1.0), (2, 20.0), (3, 30.0)]),
                series("b", &[(1, 1.0)]),
                series("c", &[(1, 1.0)]),
            ]
        );
    }
}
