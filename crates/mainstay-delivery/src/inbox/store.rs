//! The messages: every one in a JSON-lines file, the newest in memory.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most messages kept in memory, whatever their size.
const HELD_MAX: usize = 20_000;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By SMTP.
    Email,
    /// By `POST /chat`.
    Chat,
    /// By `POST /hook`.
    Webhook,
    /// As a text to a telephone.
    Sms,
    /// As a call.
    Voice,
}

/// A message before it has a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draft {
    pub(super) via: Via,
    pub(super) from: Option<String>,
    pub(super) to: Vec<String>,
    pub(super) channel: Option<String>,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) message_id: Option<String>,
    pub(super) labelled_duplicate: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Its number: 1 is the first ever.
    pub seq: u64,
    /// When it was taken.
    pub received_at: Timestamp,
    /// How it came.
    pub via: Via,
    /// The envelope's sender.
    pub from: Option<String>,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The chat channel that it names.
    pub channel: Option<String>,
    /// Its subject, or its first line.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// What tells messages apart: `Message-ID`, or `Idempotency-Key`.
    pub message_id: Option<String>,
    /// Whether the sender marked it as a possible duplicate.
    pub labelled_duplicate: bool,
    /// The first message with the same id.
    pub duplicate_of: Option<u64>,
}

/// The answer of `GET /messages`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Messages {
    /// In the order in which they came.
    pub messages: Vec<Arc<Received>>,
    /// How many older ones are in the file only.
    pub only_in_file: u64,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the inbox file {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path}:{line}:1: not a message of the inbox: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It has reached its limit.
    #[error("the inbox file has reached its limit of {max_bytes} bytes")]
    Full {
        /// The limit.
        max_bytes: u64,
    },
    /// It cannot be read or written.
    #[error("the inbox file: {0}")]
    Io(#[from] io::Error),
}

/// The messages.
pub(super) struct Store {
    file: File,
    file_bytes: u64,
    file_max_bytes: u64,
    held: VecDeque<(Arc<Received>, usize)>,
    held_bytes: usize,
    memory_max_bytes: usize,
    first_by_id: BTreeMap<String, u64>,
    last_seq: u64,
}

impl Store {
    /// Opens the file, or makes it. A last line that was not finished is cut off: nobody was told that it was taken.
    pub(super) fn open(
        path: &Path,
        file_max_bytes: u64,
        memory_max_bytes: usize,
    ) -> Result<Self, StoreError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = opened.map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source,
        })?;
        let mut store = Self {
            file,
            file_bytes: 0,
            file_max_bytes,
            held: VecDeque::new(),
            held_bytes: 0,
            memory_max_bytes,
            first_by_id: BTreeMap::new(),
            last_seq: 0,
        };
        store.replay(path)?;
        store.file.set_len(store.file_bytes)?;
        store.file.seek(SeekFrom::End(0))?;
        Ok(store)
    }

    fn replay(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut reader = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let received = serde_json::from_slice(&line).map_err(|error| StoreError::Foreign {
                path: path.to_owned(),
                line: number,
                reason: error.to_string(),
            })?;
            self.file_bytes += line.len() as u64;
            self.hold(received, line.len());
        }
        Ok(())
    }

    /// Writes a message to the disk and returns its number.
    pub(super) fn append(&mut self, draft: Draft, received_at: Timestamp) -> Result<u64, StoreError> {
        let seq = self.last_seq + 1;
        let duplicate_of = draft
            .message_id
            .as_ref()
            .and_then(|id| self.first_by_id.get(id))
            .copied();
        let Draft {
            via,
            from,
            to,
            channel,
            subject,
            text,
            message_id,
            labelled_duplicate,
        } = draft;
        let received = Received {
            seq,
            received_at,
            via,
            from,
            to,
            channel,
            subject,
            text,
            message_id,
            labelled_duplicate,
            duplicate_of,
        };
        let mut line = serde_json::to_vec(&received).map_err(io::Error::other)?;
        line.push(b'\n');
        if self.file_bytes + line.len() as u64 > self.file_max_bytes {
            return Err(StoreError::Full {
                max_bytes: self.file_max_bytes,
            });
        }
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Whatever arrived of the line goes again, or the next one would be glued to it.
            self.file.set_len(self.file_bytes)?;
            return Err(error.into());
        }
        self.file_bytes += line.len() as u64;
        self.hold(received, line.len());
        Ok(seq)
    }

    /// The messages in memory with numbers above `after`.
    pub(super) fn messages(&self, after: u64) -> Messages {
        let messages: Vec<_> = self
            .held
            .iter()
            .map(|(received, _)| Arc::clone(received))
            .filter(|received| received.seq > after)
            .collect();
        let first_held = self
            .held
            .front()
            .map_or(self.last_seq + 1, |(received, _)| received.seq);
        Messages {
            messages,
            only_in_file: (first_held - 1).saturating_sub(after),
        }
    }

    /// One message in memory.
    pub(super) fn message(&self, seq: u64) -> Option<Arc<Received>> {
        let found = self.held.iter().find(|(received, _)| received.seq == seq);
        found.map(|(received, _)| Arc::clone(received))
    }

    fn hold(&mut self, received: Received, bytes: usize) {
        self.last_seq = received.seq;
        if let Some(id) = &received.message_id {
            self.first_by_id.entry(id.clone()).or_insert(received.seq);
        }
        self.held.push_back((Arc::new(received), bytes));
        self.held_bytes += bytes;
        while self.held.len() > 1 && (self.held_bytes > self.memory_max_bytes || self.held.len() > HELD_MAX) {
            let Some((oldest, bytes)) = self.held.pop_front() else {
                break;
            };
            self.held_bytes -= bytes;
            if let Some(id) = &oldest.message_id
                && self.first_by_id.get(id) == Some(&oldest.seq)
            {
                self.first_by_id.remove(id);
            }
        }
    }
}
