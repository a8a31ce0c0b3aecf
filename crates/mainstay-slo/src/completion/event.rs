//! What is told of payments, and how a batch of it is written in the log.

use mainstay_kernel::Labels;

use crate::codec::{Reader, Writer};
use crate::error::SloError;

/// The longest id, state, reason, kind or name, in bytes.
pub const TEXT_MAX_BYTES: usize = 256;
/// The most labels of a payment or a sender.
pub const LABELS_MAX: usize = 8;

/// The version of a written batch.
const VERSION: u64 = 1;

/// One thing that a sender tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionEvent {
    /// A payment was taken in.
    Initiated {
        /// Its id, unique in its stream.
        payment: String,
        /// When, in milliseconds since the epoch.
        at_ms: i64,
        /// Its own deadline, in milliseconds since the epoch.
        deadline_ms: Option<i64>,
        /// What kind it is, where deadlines differ by kind.
        kind: Option<String>,
        /// Tenant, cell and whatever else groups it.
        labels: Labels,
    },
    /// A payment has come to its end.
    Finished {
        /// Its id.
        payment: String,
        /// When, in milliseconds since the epoch.
        at_ms: i64,
        /// The end.
        state: String,
        /// Why, as an ISO 20022 status reason code, where it is not the right end.
        reason: Option<String>,
    },
    /// The sender is alive and has told everything that happened up to then.
    Heartbeat {
        /// Up to when, in milliseconds since the epoch.
        at_ms: i64,
        /// For which groups it answers: those of these labels. None: for all.
        labels: Labels,
    },
}

impl CompletionEvent {
    /// When it happened, in milliseconds since the epoch.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Initiated { at_ms, .. } | Self::Finished { at_ms, .. } | Self::Heartbeat { at_ms, .. } => {
                *at_ms
            }
        }
    }
}

/// What one sender tells at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionBatch {
    /// The stream; indicators name it.
    pub stream: String,
    /// Who tells it.
    pub sender: String,
    /// What, in any order.
    pub events: Vec<CompletionEvent>,
}

impl CompletionBatch {
    /// The batch as it lies in a log.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u64(VERSION);
        out.text(&self.stream);
        out.text(&self.sender);
        out.len(self.events.len());
        for event in &self.events {
            match event {
                CompletionEvent::Initiated {
                    payment,
                    at_ms,
                    deadline_ms,
                    kind,
                    labels,
                } => {
                    out.u64(0);
                    out.text(payment);
                    out.i64(*at_ms);
                    out.option(*deadline_ms);
                    encode_text(&mut out, kind.as_deref());
                    encode_labels(&mut out, labels);
                }
                CompletionEvent::Finished {
                    payment,
                    at_ms,
                    state,
                    reason,
                } => {
                    out.u64(1);
                    out.text(payment);
                    out.i64(*at_ms);
                    out.text(state);
                    encode_text(&mut out, reason.as_deref());
                }
                CompletionEvent::Heartbeat { at_ms, labels } => {
                    out.u64(2);
                    out.i64(*at_ms);
                    encode_labels(&mut out, labels);
                }
            }
        }
        out.into_bytes()
    }

    /// Reads a batch back.
    ///
    /// # Errors
    /// If the bytes are not one, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SloError> {
        let broken = |what: &str| SloError::Snapshot(what.to_owned());
        let mut input = Reader::new(bytes);
        if input.u64()? != VERSION {
            return Err(broken("a batch of completions is of another version"));
        }
        let (stream, sender) = (input.text()?.to_owned(), input.text()?.to_owned());
        let length = input.len()?;
        let events = (0..length).map(|_| {
            Ok(match input.u64()? {
                0 => CompletionEvent::Initiated {
                    payment: input.text()?.to_owned(),
                    at_ms: input.i64()?,
                    deadline_ms: input.option()?,
                    kind: decode_text(&mut input)?,
                    labels: decode_labels(&mut input)?,
                },
                1 => CompletionEvent::Finished {
                    payment: input.text()?.to_owned(),
                    at_ms: input.i64()?,
                    state: input.text()?.to_owned(),
                    reason: decode_text(&mut input)?,
                },
                2 => CompletionEvent::Heartbeat {
                    at_ms: input.i64()?,
                    labels: decode_labels(&mut input)?,
                },
                _ => return Err(broken("an event of a payment is of no known kind")),
            })
        });
        let events = events.collect::<Result<_, SloError>>()?;
        if !input.is_empty() {
            return Err(broken("there is more than there should be"));
        }
        Ok(Self {
            stream,
            sender,
            events,
        })
    }
}

fn encode_text(out: &mut Writer, text: Option<&str>) {
    out.bool(text.is_some());
    out.text(text.unwrap_or_default());
}

fn decode_text(input: &mut Reader<'_>) -> Result<Option<String>, SloError> {
    let is_some = input.bool()?;
    let text = input.text()?;
    Ok(is_some.then(|| text.to_owned()))
}

pub(in crate::completion) fn encode_labels(out: &mut Writer, labels: &Labels) {
    out.len(labels.len());
    for (name, value) in labels.iter() {
        out.text(name);
        out.text(value);
    }
}

pub(in crate::completion) fn decode_labels(input: &mut Reader<'_>) -> Result<Labels, SloError> {
    let length = input.len()?;
    (0..length).map(|_| Ok((input.text()?, input.text()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_the_log_and_damage_is_said() {
        let labels: Labels = [("tenant", "bank-1"), ("cell", "cell-5")].into_iter().collect();
        let batch = CompletionBatch {
            stream: "payments".to_owned(),
            sender: "/cell-5/outbox".to_owned(),
            events: vec![
                CompletionEvent::Initiated {
                    payment: "p1".to_owned(),
                    at_ms: 1_000,
                    deadline_ms: Some(6_000),
                    kind: None,
                    labels: labels.clone(),
                },
                CompletionEvent::Finished {
                    payment: "p1".to_owned(),
                    at_ms: 2_000,
                    state: "FAILED".to_owned(),
                    reason: Some("AB03".to_owned()),
                },
                CompletionEvent::Heartbeat { at_ms: 3_000, labels },
            ],
        };
        let bytes = batch.to_bytes();
        assert_eq!(CompletionBatch::from_bytes(&bytes), Ok(batch));
        for cut in 0..bytes.len() {
            assert!(CompletionBatch::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
