//! HTTP and timers for the queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use mainstay_kernel::{Clock, Entropy, Labels};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};

use super::proto::{Families, Metadata, Protocol, encode, encode_metadata};
use super::queue::{Checkpoint, Logged, Next, Pace, Position, Queue, Sent, Tally};
use crate::connection::Connection;
use crate::error::quote;

/// How many samples are read from the log at once.
const READ_SAMPLES: usize = 50_000;
/// How often the log is looked at when there was nothing new.
const POLL_MS: i64 = 500;
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX_MS: i64 = 15 * 60_000;
/// How many numbers a 2.0 receiver took.
const SAMPLES_WRITTEN: &str = "X-Prometheus-Remote-Write-Samples-Written";
/// How many native histograms a 2.0 receiver took.
const HISTOGRAMS_WRITTEN: &str = "X-Prometheus-Remote-Write-Histograms-Written";

/// What the log gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// Samples, whole frames of them but for what of the first one is passed.
    Samples {
        /// The samples, in the order of the log.
        samples: Vec<Logged>,
        /// The frame up to whose end was read.
        up_to: u64,
    },
    /// The frames asked for were dropped.
    Gone {
        /// The oldest frame that is still there.
        oldest: u64,
    },
}

/// The log cannot be read, or a checkpoint cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(
    /// Why.
    pub String,
);

/// Where samples come from, and where it is kept how far they were sent. Calls may block.
pub trait Log: Send + Sync + 'static {
    /// Reads from a position: about `samples_max` samples, to the end of a frame.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn read(&self, from: Position, samples_max: usize) -> Result<Read, LogError>;

    /// What was saved last, or where the log ends if nothing was.
    ///
    /// # Errors
    /// If it cannot be read.
    fn saved(&self) -> Result<Checkpoint, LogError>;

    /// Makes a checkpoint durable. What is settled by it may leave the log.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save(&self, checkpoint: Checkpoint) -> Result<(), LogError>;

    /// What is known of metrics now.
    fn metadata(&self) -> Vec<Metadata> {
        Vec::new()
    }
}

/// How samples are sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In which version. A receiver that does not know 2.0 is sent 1.0.
    pub protocol: Protocol,
    /// Labels added to every series that does not have them.
    pub external_labels: Labels,
    /// Batches and waits.
    pub pace: Pace,
    /// How often what is known of metrics is sent; `None` if not at all.
    pub metadata: Option<MetadataPace>,
}

/// How often what is known of metrics is asked of the log; 1.0 sends it then, 2.0 with every series.
#[derive(Debug, Clone, Copy)]
pub struct MetadataPace {
    /// How often, in milliseconds.
    pub every_ms: i64,
    /// How many families a request of 1.0 bears.
    pub families_per_send: usize,
}

impl Default for MetadataPace {
    /// Once a minute, 2,000 in a request.
    fn default() -> Self {
        Self {
            every_ms: 60_000,
            families_per_send: 2_000,
        }
    }
}

/// Sends what a log holds to one receiver.
pub struct Sender {
    connection: Connection,
    settings: Settings,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tally: Mutex<Tally>,
    /// The number of the newest run, held while a checkpoint is read or written: what a run that was dropped had begun to
    /// save must not come after what the next one saves.
    newest_run: Arc<Mutex<u64>>,
}

/// What became of a request, or of the protocol's version.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Sent(Sent),
    /// The receiver does not know this version; it took nothing.
    OtherVersion,
}

impl Sender {
    /// A sender that is not running yet. The connection's address is the whole one, such as `https://mimir/api/v1/push`.
    #[must_use]
    pub fn new(
        connection: Connection,
        settings: Settings,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            connection,
            settings,
            log,
            clock,
            entropy,
            tally: Mutex::default(),
            newest_run: Arc::default(),
        }
    }

    /// How much was sent since the sender was made.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends for as long as it is polled. A second run ends the first one. Dropping it in the middle loses nothing: the batch under way is
    /// sent again by the next run.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn run(&self) -> Result<(), LogError> {
        let mut protocol = self.settings.protocol;
        let newest_run = Arc::clone(&self.newest_run);
        let (run, saved) = self
            .blocking(move |log| {
                let mut newest_run = newest_run.lock().unwrap_or_else(PoisonError::into_inner);
                *newest_run += 1;
                Ok((*newest_run, log.saved()?))
            })
            .await?;
        let mut durable = saved;
        let mut queue = Queue::new(self.settings.pace, saved).with_tally(self.tally());
        let mut families = Families::default();
        let mut metadata_due_ms = i64::MIN;
        loop {
            let now_ms = self.now_ms();
            if let Some(pace) = self.settings.metadata
                && now_ms >= metadata_due_ms
            {
                metadata_due_ms = now_ms.saturating_add(pace.every_ms);
                families = self.tell(pace, protocol).await?;
            }
            let request = match queue.next(now_ms) {
                Next::Send(entries) => encode(entries, &self.settings.external_labels, protocol, &families),
                Next::WaitUntil(until_ms) => {
                    self.wait_until(until_ms).await;
                    continue;
                }
                Next::Read => {
                    let anything_new = self.read(&mut queue).await?;
                    durable = self.save(run, queue.checkpoint(), durable).await?;
                    if !anything_new {
                        let deadline_ms = queue.deadline_ms().unwrap_or(i64::MAX);
                        self.wait_until(deadline_ms.min(now_ms.saturating_add(POLL_MS)))
                            .await;
                    }
                    continue;
                }
            };
            durable = self.save(run, queue.checkpoint(), durable).await?;
            match self.send(request, protocol).await {
                Verdict::Sent(sent) => queue.settle(sent, self.now_ms(), self.chance()),
                Verdict::OtherVersion => {
                    tracing::warn!("the receiver does not know remote write 2.0: it is sent 1.0");
                    protocol = Protocol::V1;
                    metadata_due_ms = i64::MIN;
                }
            }
            self.tally
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone_from(queue.tally());
        }
    }

    /// Asks what is known of metrics; of 1.0 it is sent by itself. What does not arrive is sent the next time.
    async fn tell(&self, pace: MetadataPace, protocol: Protocol) -> Result<Families, LogError> {
        let known = self.blocking(|log| Ok(log.metadata())).await?;
        if protocol == Protocol::V2 {
            return Ok(Families::new(known));
        }
        for families in known.chunks(pace.families_per_send.max(1)) {
            match self.send(encode_metadata(families), protocol).await {
                Verdict::Sent(Sent::Taken) => {}
                verdict => {
                    tracing::debug!(?verdict, "what is known of metrics was not taken");
                    break;
                }
            }
        }
        Ok(Families::default())
    }

    /// Reads on; says whether there was anything new.
    async fn read(&self, queue: &mut Queue) -> Result<bool, LogError> {
        let from = queue.read_from();
        let read = self.blocking(move |log| log.read(from, READ_SAMPLES)).await?;
        match read {
            Read::Samples { samples, up_to } => {
                let anything_new = !samples.is_empty();
                queue.push(samples, up_to, self.now_ms());
                Ok(anything_new)
            }
            Read::Gone { oldest } => {
                let reason = format!("the log had dropped its frames from {} to {oldest}", from.frame);
                tracing::error!(reason, "samples were not sent");
                queue.skip_to(oldest, reason);
                Ok(true)
            }
        }
    }

    /// Makes a checkpoint durable if it is another.
    async fn save(
        &self,
        run: u64,
        checkpoint: Checkpoint,
        durable: Checkpoint,
    ) -> Result<Checkpoint, LogError> {
        if checkpoint == durable {
            return Ok(durable);
        }
        let newest_run = Arc::clone(&self.newest_run);
        self.blocking(move |log| {
            let newest_run = newest_run.lock().unwrap_or_else(PoisonError::into_inner);
            if *newest_run != run {
                return Err(LogError("another run goes on from here".to_owned()));
            }
            log.save(checkpoint)
        })
        .await?;
        Ok(checkpoint)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Log) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let log = Arc::clone(&self.log);
        tokio::task::spawn_blocking(move || call(&*log))
            .await
            .map_err(|error| LogError(error.to_string()))?
    }

    async fn send(&self, body: Vec<u8>, protocol: Protocol) -> Verdict {
        let request = self
            .connection
            .post()
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, protocol.content_type())
            .header("X-Prometheus-Remote-Write-Version", protocol.version_header())
            .body(body);
        match self.connection.answer(request).await {
            Ok(answer) => verdict(
                answer.status,
                &answer.headers,
                &answer.body,
                protocol,
                self.clock.now(),
            ),
            Err(error) => Verdict::Sent(Sent::Later {
                retry_after_ms: None,
                reason: error.to_string(),
            }),
        }
    }

    async fn wait_until(&self, until_ms: i64) {
        let wait_ms = until_ms.saturating_sub(self.now_ms()).max(1);
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What an answer means. As the specification has it, only 5xx and 429 are tried again.
fn verdict(status: u16, headers: &HeaderMap, body: &[u8], protocol: Protocol, now: Timestamp) -> Verdict {
    let written = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let written = match (written(SAMPLES_WRITTEN), written(HISTOGRAMS_WRITTEN)) {
        (None, None) => None,
        (samples, histograms) => Some(
            samples
                .unwrap_or_default()
                .saturating_add(histograms.unwrap_or_default()),
        ),
    };
    let reason = || format!("HTTP {status}: {}", quote(body));
    Verdict::Sent(match (status, protocol, written) {
        // A receiver that knows only 1.0 finds nothing in a message of 2.0, and says that all is well.
        (200..=299, Protocol::V2, None) | (415, Protocol::V2, _) => return Verdict::OtherVersion,
        (200..=299, ..) => Sent::Taken,
        (429 | 500..=599, ..) => Sent::Later {
            retry_after_ms: retry_after_ms(headers, now),
            reason: reason(),
        },
        (400..=499, Protocol::V2, Some(taken)) if taken > 0 => Sent::Partly {
            taken,
            reason: reason(),
        },
        // These are about the samples: others of the batch may be good.
        (400 | 413 | 422, ..) => Sent::Refused { reason: reason() },
        _ => Sent::Partly {
            taken: 0,
            reason: reason(),
        },
    })
}

/// `Retry-After` in milliseconds: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait_ms = match text.parse::<i64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let at = rfc2822::parse(text).ok()?.timestamp();
            at.as_millisecond().saturating_sub(now.as_millisecond())
        }
    };
    Some(wait_ms.clamp(0, RETRY_AFTER_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = reqwest::header::HeaderName::try_from(*name).expect("a name");
                (name, value.parse().expect("a value"))
            })
            .collect()
    }

    #[test]
    fn only_what_the_specification_names_is_tried_again() {
        let now: Timestamp = "2025-01-15T10:00:00Z".parse().expect("an instant");
        let of = |status: u16, pairs: &[(&'static str, &str)], protocol: Protocol| {
            verdict(status, &headers(pairs), b"because", protocol, now)
        };
        assert_eq!(of(204, &[], Protocol::V1), Verdict::Sent(Sent::Taken));
        assert_eq!(of(204, &[], Protocol::V2), Verdict::OtherVersion);
        assert_eq!(of(415, &[], Protocol::V2), Verdict::OtherVersion);
        assert_eq!(
            of(204, &[(SAMPLES_WRITTEN, "7")], Protocol::V2),
            Verdict::Sent(Sent::Taken)
        );
        let reason = "HTTP 400: because".to_owned();
        let partly = Sent::Partly { taken: 3, reason };
        assert_eq!(
            of(400, &[(SAMPLES_WRITTEN, "3")], Protocol::V2),
            Verdict::Sent(partly)
        );
        let reason = "HTTP 400: because".to_owned();
        assert_eq!(
            of(400, &[], Protocol::V1),
            Verdict::Sent(Sent::Refused { reason })
        );
        let reason = "HTTP 401: because".to_owned();
        assert_eq!(
            of(401, &[], Protocol::V1),
            Verdict::Sent(Sent::Partly { taken: 0, reason })
        );
        for (status, asked, retry_after_ms) in [
            (429, "7", Some(7_000)),
            (503, "Wed, 15 Jan 2025 10:00:30 GMT", Some(30_000)),
            (500, "soon", None),
            (502, "99999", Some(RETRY_AFTER_MAX_MS)),
        ] {
            let later = Sent::Later {
                retry_after_ms,
                reason: format!("HTTP {status}: because"),
            };
            assert_eq!(
                of(status, &[("retry-after", asked)], Protocol::V1),
                Verdict::Sent(later)
            );
        }
    }
}
