//! Change records on their way to the control plane: CloudEvents, durable before the change is made, sent in order
//! until they are accepted.

use crate::{
    client, clock,
    error::{Error, Result},
    log::Logger,
};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::json;
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// Records kept for a control plane that is gone; the oldest are dropped beyond, with a word in the log.
const MAX_RECORDS: usize = 10_000;

/// What kind of change it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Deploy,
    Rollback,
    Configuration,
}

/// A change of one deployment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) cell: String,
    pub(super) service: String,
    pub(super) from_version: String,
    pub(super) to_version: String,
    pub(super) summary: String,
    pub(super) revision: u64,
}

/// Records that have not been accepted yet, one file each.
pub(super) struct Spool {
    directory: PathBuf,
    next: u64,
    added: Arc<Notify>,
}

impl Spool {
    /// Opens the directory; records of an earlier run are still to be sent.
    pub(super) fn open(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&directory).map_err(Error::file(&directory))?;
        let next = pending(&directory)?
            .last()
            .and_then(|path| sequence(path))
            .map_or(1, |last| last + 1);
        Ok(Self {
            directory,
            next,
            added: Arc::new(Notify::new()),
        })
    }

    /// Makes the record durable and returns the event's id.
    pub(super) fn add(&mut self, kind: Kind, change: &Change) -> Result<String> {
        let now = clock::unix_ms();
        let id = format!("{}-{now}-{}", change.cell, self.next);
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/supervisor/{}", change.cell),
            "type": format!("com.mainstay.change.{}", serde_json::to_value(kind).ok().and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default()),
            "subject": change.service,
            "time": clock::rfc3339(now),
            "datacontenttype": "application/json",
            "data": change,
        });
        let path = self.directory.join(format!("{:012}.json", self.next));
        write_durably(&path, event.to_string().as_bytes())?;
        self.next += 1;
        self.added.notify_one();
        Ok(id)
    }

    /// Sends what there is and what comes, for ever.
    pub(super) fn send_to(&self, url: String, token: Option<String>, log: Arc<Logger>) {
        let (directory, added) = (self.directory.clone(), Arc::clone(&self.added));
        tokio::spawn(async move {
            let http = client::http();
            let mut pause = Duration::from_millis(100);
            loop {
                match send_all(&http, &directory, &url, token.as_deref(), &log).await {
                    Ok(()) => {
                        pause = Duration::from_millis(100);
                        added.notified().await;
                    }
                    Err(error) => {
                        log.warn("change record not accepted yet", &error);
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(5));
                    }
                }
            }
        });
    }
}

async fn send_all(
    http: &client::Http,
    directory: &Path,
    url: &str,
    token: Option<&str>,
    log: &Logger,
) -> std::result::Result<(), String> {
    let paths = pending(directory).map_err(|e| e.to_string())?;
    let surplus = paths.len().saturating_sub(MAX_RECORDS);
    for (position, path) in paths.iter().enumerate() {
        if position < surplus {
            log.error("change record dropped, the spool is full", &path.display());
        } else {
            let body = std::fs::read(path).map_err(|e| e.to_string())?;
            let bearer = token.map(|token| format!("Bearer {token}"));
            let mut headers = vec![("content-type", "application/cloudevents+json")];
            headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
            let timeout = Duration::from_secs(5);
            let answer =
                client::request(http, Method::POST, url, &headers, Bytes::from(body), timeout).await?;
            if !answer.status.is_success() {
                return Err(format!("{url}: {}", answer.status));
            }
        }
        std::fs::remove_file(path).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn pending(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).map_err(Error::file(directory))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| sequence(path).is_some())
        .collect();
    paths.sort();
    Ok(paths)
}

fn sequence(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

/// Writes a file so that it is there in whole or not at all, also after a loss of power.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        // A path of one component has the empty parent: the directory that we are in.
        let parent = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::File::open(parent)?.sync_all()
    };
    write().map_err(Error::file(path))
}
