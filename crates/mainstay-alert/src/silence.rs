//! Silences: alerts that match one are not told while it lasts. Alertmanager's semantics; the journal keeps them.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::{Labels, Matcher};
use serde::{Deserialize, Serialize};

use crate::AlertRefusal;
use crate::event::AlertEvent;
use crate::fold::{AlertState, after_kept};

/// The most silences that are kept, expired ones among them.
pub const SILENCES_MAX: usize = 10_000;
/// The most that the matchers, the author and the comment of a silence may take, in bytes.
pub const SILENCE_MAX_BYTES: usize = 16 << 10;
/// For how long an expired silence is kept: Alertmanager's 120 hours.
pub const KEPT: SignedDuration = SignedDuration::from_hours(120);

/// The name of a silence: a UUID where Mainstay chose it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SilenceId(String);

impl SilenceId {
    /// A name as a client gives it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a silence is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceStatus {
    /// Not yet.
    Pending,
    /// Now.
    Active,
    /// Not any more.
    Expired,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name.
    pub id: SilenceId,
    /// All of them must match an alert.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when; the instant itself is not in it.
    pub ends_at: Timestamp,
    /// Who made it, as they say.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Silence {
    /// Whether it is in force at an instant.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SilenceStatus {
        if now < self.starts_at {
            SilenceStatus::Pending
        } else if now < self.ends_at {
            SilenceStatus::Active
        } else {
            SilenceStatus::Expired
        }
    }

    /// Whether it keeps an alert with these labels from being told at an instant.
    #[must_use]
    pub fn silences(&self, labels: &Labels, now: Timestamp) -> bool {
        self.status(now) == SilenceStatus::Active
            && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// What somebody wants silenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceDraft {
    /// Which silence it changes, if any.
    pub changes: Option<SilenceId>,
    /// All of them must match an alert.
    pub matchers: Vec<Matcher>,
    /// From when on; what lies in the past means now.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl SilenceDraft {
    fn check(&self, now: Timestamp) -> Result<(), AlertRefusal> {
        let bad = |text: &str| Err(AlertRefusal::BadSilence(text.to_owned()));
        let bytes: usize = self
            .matchers
            .iter()
            .map(|matcher| matcher.name().len() + matcher.value().len())
            .chain([self.created_by.len(), self.comment.len()])
            .sum();
        if self.matchers.iter().any(|matcher| matcher.name().is_empty()) {
            bad("a matcher needs the name of a label")
        } else if self.matchers.is_empty() {
            bad("a silence needs a matcher")
        } else if self.matchers.iter().all(|matcher| matcher.matches_value("")) {
            bad("one matcher at least must not match the empty string, or it would silence everything")
        } else if self.ends_at <= self.starts_at {
            bad("it must end after it starts")
        } else if self.ends_at <= now {
            bad("its end lies in the past")
        } else if bytes > SILENCE_MAX_BYTES {
            bad("its matchers, author and comment may take 16 KiB")
        } else {
            Ok(())
        }
    }

    fn into_silence(self, id: SilenceId, now: Timestamp) -> Silence {
        Silence {
            id,
            matchers: self.matchers,
            starts_at: truncate_to_ms(self.starts_at),
            ends_at: truncate_to_ms(self.ends_at),
            created_by: self.created_by,
            comment: self.comment,
            updated_at: now,
        }
    }

    /// Whether a silence that is there may become this one and stay what it was so far.
    fn fits(&self, before: &Silence, now: Timestamp) -> bool {
        let may_start = match before.status(now) {
            SilenceStatus::Pending => self.starts_at >= now,
            SilenceStatus::Active => truncate_to_ms(self.starts_at) == before.starts_at,
            SilenceStatus::Expired => false,
        };
        may_start && self.matchers == before.matchers
    }
}

/// A silence is made or changed. One whose matchers or past would change is ended, and another takes its place.
pub(crate) fn set(
    state: &AlertState,
    id: SilenceId,
    mut draft: SilenceDraft,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    let mut events = Vec::new();
    if let Some(changes) = draft.changes.clone() {
        let before = state
            .silence(&changes)
            .ok_or_else(|| AlertRefusal::UnknownSilence(changes.clone()))?;
        if draft.fits(before, now) {
            draft.check(now)?;
            let silence = draft.into_silence(changes, now);
            return Ok(vec![AlertEvent::Silenced { silence }]);
        }
        if before.status(now) != SilenceStatus::Expired {
            events.push(AlertEvent::Unsilenced {
                silence: changes,
                ended_at: now,
            });
        }
    }
    draft.starts_at = draft.starts_at.max(now);
    draft.check(now)?;
    // The next one makes those forgotten whose time is over.
    let kept = state
        .silences
        .values()
        .filter(|silence| after_kept(silence) > now);
    if kept.count() >= SILENCES_MAX {
        return Err(AlertRefusal::TooManySilences);
    }
    events.push(AlertEvent::Silenced {
        silence: draft.into_silence(id, now),
    });
    Ok(events)
}

/// A silence is ended by hand. Nothing happens to one that is over.
pub(crate) fn end(
    state: &AlertState,
    id: SilenceId,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    let silence = state
        .silence(&id)
        .ok_or_else(|| AlertRefusal::UnknownSilence(id.clone()))?;
    if silence.status(now) == SilenceStatus::Expired {
        return Err(AlertRefusal::SilenceIsOver(id));
    }
    Ok(vec![AlertEvent::Unsilenced {
        silence: id,
        ended_at: now,
    }])
}
