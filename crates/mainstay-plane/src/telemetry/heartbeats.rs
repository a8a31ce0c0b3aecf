//! Heartbeats of others: when each came last, in a file beside the samples, and which are missed.
//!
//! A beat is no event: it is acknowledged when it is in the file. That one was missed is an alert like any other, and the
//! journal knows it; it ends with the next beat and not otherwise. While we did not look (a restart, a machine that was
//! stopped), a beat may have been sent and found nobody: whoever sends then has the whole interval and grace once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertState, Observation};
use mainstay_catalog::response::{HEARTBEAT_ALERT, HEARTBEAT_LABEL, HEARTBEATS_MAX, Heartbeat};
use mainstay_kernel::Labels;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::labels::ALERT_NAME;

use super::TelemetryError;
use super::state_file::Format;

/// The file of the beats.
pub(super) const HEARTBEATS_FILE: &str = "heartbeats.state";
const FORMAT: Format = Format {
    magic: *b"MBEATS\n\n",
    version: 1,
    max_bytes: 1 << 20,
    damaged: "the times of the heartbeats are damaged and were put aside: each is expected anew",
};
/// If nobody looked for longer than this, beats may have found nobody.
const LOOK_GAP: SignedDuration = SignedDuration::from_secs(30);
/// The annotation by which our own alerts are known. Not that of rules and objectives, which answer for theirs.
const HEARTBEAT: &str = "mainstay_heartbeat";

/// How a heartbeat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatState {
    /// The next beat is not due yet.
    Ok,
    /// It is late, within its grace.
    Late,
    /// It is missed, and whoever is to know has been told.
    Missed,
    /// None came yet.
    Waiting,
}

/// A heartbeat as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatStatus {
    /// How it stands.
    pub state: HeartbeatState,
    /// When it came last.
    pub last_at: Option<Timestamp>,
    /// When it is missed unless one comes; of a missed one, since when it is.
    pub missed_at: Timestamp,
}

/// When beats came.
#[derive(Debug)]
pub struct Heartbeats {
    file: PathBuf,
    kept: Mutex<Kept>,
    /// Which generation of the beats is in the file; held while it is written.
    written: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Names and milliseconds since 1970.
    beats: BTreeMap<String, i64>,
    generation: u64,
    /// Since when somebody looks without a gap, and when they looked last.
    looking: Option<(Timestamp, Timestamp)>,
    /// Since when each is expected at all.
    expected: BTreeMap<String, Timestamp>,
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// What fires because of a heartbeat, by its name.
fn missed(alerts: &AlertState) -> BTreeMap<String, Vec<&AlertFact>> {
    let mut missed: BTreeMap<String, Vec<&AlertFact>> = BTreeMap::new();
    for alert in alerts.firing().map(|active| &active.alert) {
        let ours = alert.labels.get(ALERT_NAME) == Some(HEARTBEAT_ALERT)
            && alert.annotations.get(HEARTBEAT).is_some();
        if let Some(name) = alert.labels.get(HEARTBEAT_LABEL).filter(|_| ours) {
            missed.entry(name.to_owned()).or_default().push(alert);
        }
    }
    missed
}

fn over(alert: &AlertFact, at: Timestamp) -> Observation {
    Observation {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at,
        ended_at: Some(at),
        believed_for_ms: None,
    }
}

fn firing(heartbeat: &Heartbeat, last: Option<Timestamp>, since: Timestamp) -> Observation {
    let last = last.map_or_else(
        || "no beat ever came".to_owned(),
        |last| format!("the last beat came at {last}"),
    );
    let mut annotations = Labels::new()
        .with(
            "summary",
            format!("no heartbeat of {}: {}", heartbeat.id.value, heartbeat.summary),
        )
        .with(
            "description",
            format!(
                "{last}; one is expected every {}, and may be {} late",
                heartbeat.interval.value, heartbeat.grace.value
            ),
        )
        .with(HEARTBEAT, &heartbeat.id.value);
    if let Some(runbook) = &heartbeat.runbook {
        let key = match runbook.value.contains("://") {
            true => "runbook_url",
            false => "runbook",
        };
        annotations.set(key, &runbook.value);
    }
    Observation {
        labels: heartbeat.alert_labels(),
        annotations,
        starts_at: since,
        ended_at: None,
        believed_for_ms: None,
    }
}

impl Heartbeats {
    /// Reads what is kept in `dir`. A file that is damaged is put aside: then every heartbeat is expected anew.
    pub(super) fn open(dir: &Path) -> Result<Self, TelemetryError> {
        let file = dir.join(HEARTBEATS_FILE);
        let beats = FORMAT.read(&file)?;
        Ok(Self {
            file,
            kept: Mutex::new(Kept {
                beats,
                ..Kept::default()
            }),
            written: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A beat of `name`, which the catalog knows, came at `now`. When this returns it is on the disk; beats that come
    /// meanwhile are written together.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn beat(&self, name: &str, now: Timestamp) -> Result<(), TelemetryError> {
        let mine = {
            let mut kept = self.kept();
            if kept.beats.len() >= HEARTBEATS_MAX && !kept.beats.contains_key(name) {
                // Names of catalogs of the past: the one that was silent longest goes.
                let oldest = kept.beats.iter().min_by_key(|(_, ms)| **ms);
                let oldest = oldest.map(|(name, _)| name.clone()).unwrap_or_default();
                kept.beats.remove(&oldest);
            }
            let ms = now.as_millisecond();
            let last = kept.beats.entry(name.to_owned()).or_insert(ms);
            *last = ms.max(*last);
            kept.generation += 1;
            kept.generation
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written >= mine {
            return Ok(());
        }
        let (beats, generation) = {
            let kept = self.kept();
            (kept.beats.clone(), kept.generation)
        };
        write(&self.file, &beats)?;
        *written = generation;
        Ok(())
    }

    /// Writes a copy.
    pub(super) fn backup(&self, to: &Path) -> Result<(), TelemetryError> {
        let beats = self.kept().beats.clone();
        write(&to.join(HEARTBEATS_FILE), &beats)
    }

    /// What is missed now, and what is not any more: all that fires is told, for the journal ignores what it knows.
    /// Cost: the alerts that fire.
    pub fn judge(
        &self,
        heartbeats: &BTreeMap<String, Heartbeat>,
        alerts: &AlertState,
        now: Timestamp,
    ) -> Vec<Observation> {
        let mut missed = missed(alerts);
        let mut kept = self.kept();
        kept.look(heartbeats, now);
        let mut told = Vec::new();
        for (name, heartbeat) in heartbeats {
            let last = kept.last(name);
            let mut since = None;
            for alert in missed.remove(name).unwrap_or_default() {
                match last.filter(|last| *last >= alert.starts_at) {
                    Some(last) => told.push(over(alert, last)),
                    None => {
                        since = Some(alert.starts_at.min(since.unwrap_or(Timestamp::MAX)));
                        // The catalog says something else of it now.
                        if alert.labels != heartbeat.alert_labels() {
                            told.push(over(alert, now));
                        }
                    }
                }
            }
            let due = kept.due(heartbeat, now);
            if let Some(since) = since.or((due <= now).then_some(due)) {
                told.push(firing(heartbeat, last, since));
            }
        }
        // The catalog does not have these any more.
        told.extend(missed.into_values().flatten().map(|alert| over(alert, now)));
        told
    }

    /// What ends because a beat came.
    #[must_use]
    pub fn ended(&self, name: &str, alerts: &AlertState) -> Vec<Observation> {
        let last = self.kept().last(name);
        let missed = missed(alerts).remove(name).unwrap_or_default();
        let ends = missed
            .into_iter()
            .filter_map(|alert| Some(over(alert, last.filter(|last| *last >= alert.starts_at)?)));
        ends.collect()
    }

    /// How each stands, in the order of the catalog's names.
    #[must_use]
    pub fn status(
        &self,
        heartbeats: &BTreeMap<String, Heartbeat>,
        alerts: &AlertState,
        now: Timestamp,
    ) -> Vec<HeartbeatStatus> {
        let missed = missed(alerts);
        let kept = self.kept();
        let status = |(name, heartbeat): (&String, &Heartbeat)| {
            let last_at = kept.last(name);
            let due = kept.due(heartbeat, now);
            let alerts = missed.get(name).into_iter().flatten();
            let since = alerts.map(|alert| alert.starts_at).min();
            let late = last_at.is_some_and(|last| after(last, heartbeat.interval.value.0) <= now);
            HeartbeatStatus {
                state: match (since, last_at) {
                    (Some(_), _) => HeartbeatState::Missed,
                    (None, None) => HeartbeatState::Waiting,
                    (None, Some(_)) if late => HeartbeatState::Late,
                    (None, Some(_)) => HeartbeatState::Ok,
                },
                last_at,
                missed_at: since.unwrap_or(due),
            }
        };
        heartbeats.iter().map(status).collect()
    }
}

impl Kept {
    /// Somebody looks.
    fn look(&mut self, heartbeats: &BTreeMap<String, Heartbeat>, now: Timestamp) {
        let since = match self.looking {
            Some((since, last)) if now.duration_since(last) <= LOOK_GAP && now >= since => since,
            _ => now,
        };
        self.looking = Some((since, now));
        self.expected.retain(|name, _| heartbeats.contains_key(name));
        for name in heartbeats.keys() {
            self.expected.entry(name.clone()).or_insert(now);
        }
    }

    fn last(&self, name: &str) -> Option<Timestamp> {
        self.beats.get(name).copied().map(instant)
    }

    /// When it is missed unless a beat comes.
    fn due(&self, heartbeat: &Heartbeat, now: Timestamp) -> Timestamp {
        let name = &heartbeat.id.value;
        let looking = self.looking.map_or(now, |(since, _)| since);
        let expected = self.expected.get(name).copied().unwrap_or(now);
        // A clock that was set back since: the beat came no later than now.
        let last = self.last(name).map(|last| last.min(now));
        let from = match last {
            // Known before this start: it was expected all the time.
            Some(last) => last.max(looking),
            None => expected.max(looking),
        };
        after(from, heartbeat.patience())
    }
}

fn write(file: &Path, beats: &BTreeMap<String, i64>) -> Result<(), TelemetryError> {
    let bytes = serde_json::to_vec(beats).map_err(|error| TelemetryError::File {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    FORMAT.write(file, &bytes)
}

impl super::Telemetry {
    /// The heartbeats of others.
    #[must_use]
    pub fn heartbeats(&self) -> Arc<Heartbeats> {
        Arc::clone(&self.heartbeats)
    }
}

#[cfg(test)]
mod tests;
