//! One of several: who this process is, and waiting for its turn.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_journal::{Epoch, Journal, JournalError, StoredJournal};
use mainstay_kernel::{Clock, Entropy};
use mainstay_plane::LEAD_TTL;
use tokio::time::Instant;

use super::lead::{Lead, lease};

/// How often a replica that stands by looks whether the lead is free.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A replica: its name in the lease, which is the name of its data directory, and the lock of that.
pub(super) struct Replica {
    pub(super) name: String,
    _lock: Option<File>,
}

fn failed(path: &Path, error: &std::io::Error) -> JournalError {
    JournalError::Storage(format!("{}: {error}", path.display()))
}

impl Replica {
    /// The replica that works on `data`. A journal that is locked to one process needs no name.
    pub(super) fn of(
        journal: &StoredJournal,
        data: &Path,
        entropy: &dyn Entropy,
    ) -> Result<Self, JournalError> {
        match journal {
            StoredJournal::Sqlite(_) => Ok(Self {
                name: "serve".to_owned(),
                _lock: None,
            }),
            StoredJournal::Postgres(_) => Self::open(data, entropy),
        }
    }

    fn open(data: &Path, entropy: &dyn Entropy) -> Result<Self, JournalError> {
        let path = data.join("replica");
        let mut directory = DirBuilder::new();
        let made = directory.recursive(true).mode(0o700).create(data);
        made.map_err(|error| failed(data, &error))?;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(&path).map_err(|error| failed(&path, &error))?;
        // A second process on the same directory would be the same replica, and take the lead from the first.
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse {
                path: data.display().to_string(),
            },
            TryLockError::Error(error) => failed(&path, &error),
        })?;
        let mut name = String::new();
        file.read_to_string(&mut name)
            .map_err(|error| failed(&path, &error))?;
        if name.trim().is_empty() {
            let mut random = [0; 8];
            entropy.fill(&mut random);
            name = format!("replica-{:016x}", u64::from_be_bytes(random));
            file.write_all(name.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|error| failed(&path, &error))?;
        }
        Ok(Self {
            name: name.trim().to_owned(),
            _lock: Some(file),
        })
    }

    /// Waits until nobody else leads. Gives the term, where there are others, and the lead.
    ///
    /// A lease is over when its holder was not seen to renew it for as long as it lasts, by this process' own measure: what
    /// the wall clocks of two machines say of each other is no reason to send a page.
    pub(super) async fn stand_by(
        &self,
        journal: &StoredJournal,
        clock: &dyn Clock,
    ) -> Result<(Option<Epoch>, Lead), JournalError> {
        if let StoredJournal::Sqlite(_) = journal {
            return Ok((None, Lead::default()));
        }
        let mut seen: Option<(String, Timestamp, Instant)> = None;
        loop {
            let over = seen.as_ref().filter(|(_, _, since)| since.elapsed() >= lease());
            let now = over.map_or(Timestamp::UNIX_EPOCH, |(_, until, _)| *until);
            let begun = Instant::now();
            match journal.lead(&self.name, now, LEAD_TTL).await {
                Ok(epoch) => {
                    journal.renew(epoch, clock.now(), LEAD_TTL).await?;
                    tracing::info!(replica = self.name, epoch = epoch.0, "this replica leads");
                    return Ok((Some(epoch), Lead::since(begun)));
                }
                Err(JournalError::LeaseHeld { holder, until }) => {
                    let known = seen.as_ref();
                    if known.is_none_or(|(leader, _, _)| *leader != holder) {
                        tracing::info!(replica = self.name, leader = holder, %until, "this replica stands by");
                    }
                    if known.is_none_or(|(leader, last, _)| *leader != holder || *last != until) {
                        seen = Some((holder, until, Instant::now()));
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
