//! The store's log as the sender of remote write reads it.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_ingest::FamilyMetadata;
use mainstay_ingest::remote_write::type_number;
use mainstay_kernel::Labels;
use mainstay_remote::write::{Checkpoint, Entry, Log, LogError, Logged, Metadata, Position, Read};
use mainstay_segment::{SegmentError, write_atomic};
use mainstay_series::{Lsn, SeriesError, Store};

use super::Departure;
use crate::telemetry::Telemetry;

/// The log of a store, for one receiver. How far it was sent is kept in a file of its own; the log is held from there on,
/// up to the store's limit for held log.
pub struct StoreLog {
    store: Arc<Store>,
    consumer: String,
    file: PathBuf,
    leaves: Box<Leaves>,
    departure: Option<Departure>,
    /// Knows what is said of metrics.
    telemetry: Option<Arc<Telemetry>>,
}

/// What the names of receivers begin with among the consumers of the log.
const CONSUMER: &str = "remote-write ";

/// Whether a series leaves.
type Leaves = dyn Fn(&Labels) -> bool + Send + Sync;

impl StoreLog {
    /// The log of `store` for the receiver that the catalog calls `name`, with its place kept in `file`. A receiver that is
    /// new is sent what is accepted from now on.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(store: Arc<Store>, name: &str, file: PathBuf) -> Result<Self, LogError> {
        let log = Self {
            store,
            consumer: format!("{CONSUMER}{name}"),
            file,
            leaves: Box::new(|_| true),
            departure: None,
            telemetry: None,
        };
        match std::fs::read(&log.file) {
            Ok(bytes) => {
                let checkpoint = log.decoded(&bytes)?;
                log.hold(checkpoint)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                log.save(Checkpoint {
                    settled: Position::after_frame(log.store.last_lsn().get()),
                    in_flight: 0,
                })?;
            }
            Err(error) => return Err(log.trouble(&error)),
        }
        Ok(log)
    }

    /// Keeps the log for these receivers, and no longer for others that there were.
    pub fn keep_only(store: &Store, names: &[&str]) {
        for consumer in store.holds().into_keys() {
            let gone = consumer
                .strip_prefix(CONSUMER)
                .is_some_and(|name| !names.contains(&name));
            if gone {
                store.release(&consumer);
            }
        }
    }

    /// Sends only series for which `leaves` says yes: not those, say, that were read from the receiver itself.
    #[must_use]
    pub fn only(self, leaves: impl Fn(&Labels) -> bool + Send + Sync + 'static) -> Self {
        Self {
            leaves: Box::new(leaves),
            ..self
        }
    }

    /// Sends series under the labels that `departure` gives them.
    #[must_use]
    pub fn departing(self, departure: Departure) -> Self {
        Self {
            departure: Some(departure),
            ..self
        }
    }

    /// Tells the receiver what is known of metrics.
    #[must_use]
    pub fn telling(self, telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry: Some(telemetry),
            ..self
        }
    }

    fn decoded(&self, bytes: &[u8]) -> Result<Checkpoint, LogError> {
        serde_json::from_slice(bytes).map_err(|error| self.trouble(&error))
    }

    fn hold(&self, checkpoint: Checkpoint) -> Result<(), LogError> {
        let passed = Lsn::new(checkpoint.settled.frame.saturating_sub(1));
        self.store
            .hold(&self.consumer, passed)
            .map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &dyn std::fmt::Display) -> LogError {
        LogError(format!("{}: {error}", self.file.display()))
    }
}

impl Log for StoreLog {
    fn read(&self, from: Position, samples_max: usize) -> Result<Read, LogError> {
        let mut samples = Vec::new();
        let mut passed = from.samples;
        let after = Lsn::new(from.frame.saturating_sub(1));
        let read = self.store.replay_some(after, samples_max, |sample| {
            if !(self.leaves)(&sample.labels) {
                return;
            }
            let labels = match &self.departure {
                Some(departure) => departure.labels(sample.labels, &sample.value),
                None => Some(sample.labels),
            };
            let Some(labels) = labels else { return };
            if sample.lsn.get() == from.frame && passed > 0 {
                passed -= 1;
                return;
            }
            samples.push(Logged {
                frame: sample.lsn.get(),
                entry: Entry {
                    labels,
                    created_ms: sample.created_ms,
                    t_ms: sample.t_ms,
                    value: sample.value,
                },
            });
        });
        match read {
            Ok(up_to) => Ok(Read::Samples {
                samples,
                up_to: up_to.get(),
            }),
            Err(SeriesError::Segment(SegmentError::Gap { oldest, .. })) => Ok(Read::Gone { oldest }),
            Err(error) => Err(LogError(error.to_string())),
        }
    }

    fn saved(&self) -> Result<Checkpoint, LogError> {
        let bytes = std::fs::read(&self.file).map_err(|error| self.trouble(&error))?;
        self.decoded(&bytes)
    }

    fn save(&self, checkpoint: Checkpoint) -> Result<(), LogError> {
        let bytes = serde_json::to_vec(&checkpoint).map_err(|error| self.trouble(&error))?;
        write_atomic(&self.file, &bytes).map_err(|error| self.trouble(&error))?;
        self.hold(checkpoint)
    }

    fn metadata(&self) -> Vec<Metadata> {
        let known = self
            .telemetry
            .as_ref()
            .map(|telemetry| telemetry.known_metadata());
        let told = |said: FamilyMetadata| Metadata {
            kind: type_number(said.kind),
            family: said.family,
            help: said.help,
            unit: said.unit,
        };
        known.unwrap_or_default().into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_not_kept_for_a_receiver_that_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = Store::open(dir.path(), mainstay_series::Options::default()).expect("a store");
        let store = Arc::new(store);
        store.hold("counts", Lsn::ZERO).expect("a place");
        for name in ["stays", "gone"] {
            StoreLog::open(Arc::clone(&store), name, dir.path().join(name)).expect("a place");
        }
        StoreLog::keep_only(&store, &["stays"]);
        let holds: Vec<String> = store.holds().into_keys().collect();
        assert_eq!(holds, ["counts", "remote-write stays"]);
    }
}
