//! What the watchdog knows and decides: pure. It is told of beats, looks at the clock, and says which messages are due.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::Beat;
use mainstay_delivery::channel::Sent;
use mainstay_kernel::effect::Outcome;
use serde::{Deserialize, Serialize};

/// The longest that a message which did not arrive waits for its next attempt.
const BACK_OFF_MAX: SignedDuration = SignedDuration::from_secs(30);

/// How patient it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long after the last beat a human is paged.
    pub(super) page_after: SignedDuration,
    /// How long after a page it is repeated.
    pub(super) repeat_every: SignedDuration,
}

/// Everything that must outlive the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The last beat that counted.
    pub(super) last: Option<Heard>,
    /// Since when nothing came, if a human was to be paged about it.
    pub(super) alarm: Option<Alarm>,
    /// Messages that have not arrived yet.
    pub(super) notices: Vec<Notice>,
    /// How many beats counted, and how many between them never came.
    pub(super) heard: u64,
    pub(super) lost: u64,
    /// What was not believed since the last beat that counted, and why the last of it was not.
    pub(super) refused: u64,
    pub(super) refusal: Option<String>,
}

/// A beat, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) beat: Beat,
    pub(super) received_at: Timestamp,
}

/// That nothing comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm {
    /// When the last beat came, or when the watchdog began to listen.
    pub(super) since: Timestamp,
    pub(super) raised_at: Timestamp,
    /// When humans were last to be told.
    pub(super) told_at: Timestamp,
    /// How often they were to be told.
    pub(super) times: u32,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Silent,
    StillSilent,
    Well,
}

/// One message by one way, until it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// Names it for ever, with its way.
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) way: String,
    /// How many attempts were begun.
    pub(super) attempts: u32,
    /// When the next one is due.
    pub(super) due: Timestamp,
    /// Whether one is under way: after a restart nobody knows what became of it.
    pub(super) under_way: bool,
    /// Whether an earlier attempt may have arrived.
    pub(super) possible_duplicate: bool,
    pub(super) subject: String,
    pub(super) body: String,
}

/// What a beat was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Heard,
    /// It came before, or a later one did.
    Before,
    /// It was raised so long ago that it proves nothing.
    Late,
    /// It is of a clock that is ahead.
    Ahead,
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn span(duration: SignedDuration) -> String {
    mainstay_ui::time::span(u64::try_from(duration.as_millis()).unwrap_or(0))
}

impl State {
    /// What was under way when the last process ended may have arrived.
    pub(super) fn reopened(&mut self) {
        for notice in &mut self.notices {
            notice.possible_duplicate |= std::mem::take(&mut notice.under_way);
        }
    }

    /// A beat came whose signature is right.
    pub(super) fn hear(
        &mut self,
        beat: Beat,
        now: Timestamp,
        patience: Patience,
        ways: &[String],
    ) -> Verdict {
        // One of a clock that has been set back since says nothing of what comes after it.
        let last = self
            .last
            .filter(|last| last.beat.at <= after(now, patience.page_after));
        let last = last.map_or(i64::MIN, |last| last.beat.sequence);
        let verdict = if beat.at > after(now, patience.page_after) {
            Verdict::Ahead
        } else if now > after(beat.at, patience.page_after) {
            Verdict::Late
        } else if beat.sequence <= last {
            Verdict::Before
        } else {
            Verdict::Heard
        };
        match verdict {
            Verdict::Heard => {}
            Verdict::Before => return verdict,
            Verdict::Late => {
                self.refuse(&format!(
                    "it was raised at {}: late, or of another clock",
                    beat.at
                ));
                return verdict;
            }
            Verdict::Ahead => {
                self.refuse(&format!("it was raised at {}: its clock is ahead", beat.at));
                return verdict;
            }
        }
        if let Some(last) = self.last {
            let steps = (beat.sequence - last.beat.sequence) / beat.every_ms;
            self.lost += u64::try_from(steps.saturating_sub(1)).unwrap_or(0);
        }
        self.last = Some(Heard {
            beat,
            received_at: now,
        });
        self.heard += 1;
        self.refused = 0;
        self.refusal = None;
        if let Some(alarm) = self.alarm.take() {
            self.well_again(&alarm, now, ways);
        }
        verdict
    }

    /// Something came that proves nothing.
    pub(super) fn refuse(&mut self, reason: &str) {
        self.refused += 1;
        self.refusal = Some(reason.to_owned());
    }

    /// Looks at the clock. `awake_since`: since when the watchdog listens without a gap of its own; what came to nobody
    /// before that is not held against Mainstay. Says whether a human is to be told.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        awake_since: Timestamp,
        patience: Patience,
        ways: &[String],
    ) -> bool {
        self.clock_is(now);
        if let Some(alarm) = &mut self.alarm {
            if now < after(alarm.told_at, patience.repeat_every) {
                return false;
            }
            alarm.told_at = now;
            alarm.times += 1;
            let (alarm, kind) = (alarm.clone(), Kind::StillSilent);
            let told = self.silence(&alarm, now, kind);
            self.tell(&alarm, kind, told, now, ways);
            return true;
        }
        let last = self.last.map(|last| last.received_at);
        let since = last.unwrap_or(awake_since).max(awake_since).min(now);
        if now < after(since, patience.page_after) {
            return false;
        }
        let alarm = Alarm {
            since: last.unwrap_or(since),
            raised_at: now,
            told_at: now,
            times: 1,
        };
        let told = self.silence(&alarm, now, Kind::Silent);
        self.tell(&alarm, Kind::Silent, told, now, ways);
        self.alarm = Some(alarm);
        true
    }

    /// What was noted under a clock that was ahead, and set back since, counts as of now: patience begins anew, and does
    /// not wait until the clock is there again.
    fn clock_is(&mut self, now: Timestamp) {
        if let Some(last) = &mut self.last {
            last.received_at = last.received_at.min(now);
        }
        if let Some(alarm) = &mut self.alarm {
            alarm.told_at = alarm.told_at.min(now);
        }
        for notice in &mut self.notices {
            notice.due = notice.due.min(after(now, BACK_OFF_MAX));
        }
    }

    /// The words: what is known, and what to do.
    fn silence(&self, alarm: &Alarm, now: Timestamp, kind: Kind) -> (String, String) {
        let how_long = span(now.duration_since(alarm.since));
        let subject = match kind {
            Kind::StillSilent => format!("Mainstay is still silent: nothing heard for {how_long}"),
            _ => format!("Mainstay is silent: nothing heard for {how_long}"),
        };
        let last = match self.last {
            Some(last) => format!(
                "The last beat came at {} and was raised at {}.",
                last.received_at, last.beat.at
            ),
            None => format!("No beat ever came; the watchdog listens since {}.", alarm.since),
        };
        let refused = match (self.refused, &self.refusal) {
            (0, _) | (_, None) => String::new(),
            (many, Some(why)) => {
                format!("\n{many} messages came since that prove nothing; the last one: {why}.")
            }
        };
        let body = format!(
            "{last}{refused}\n\
             Mainstay is down, or does not evaluate, or cannot deliver: take it that nobody is paged about anything.\n\
             Look at its host and its log, start it, and watch the platform by other means until this says that all is well."
        );
        (subject, body)
    }

    fn well_again(&mut self, alarm: &Alarm, now: Timestamp, ways: &[String]) {
        let how_long = span(now.duration_since(alarm.since));
        let told = (
            format!("Mainstay is heard again, after {how_long} of silence"),
            format!(
                "The last beat before came at {}. What fired meanwhile is told by Mainstay itself.",
                alarm.since
            ),
        );
        // Whoever was never tried need not hear that it is over.
        let untried = |way: &String| {
            let mut notices = self.notices.iter();
            notices.any(|notice| notice.way == *way && notice.attempts == 0 && notice.kind == Kind::Silent)
        };
        let ways: Vec<String> = ways.iter().filter(|way| !untried(way)).cloned().collect();
        self.notices.clear();
        self.tell(alarm, Kind::Well, told, now, &ways);
    }

    fn tell(
        &mut self,
        alarm: &Alarm,
        kind: Kind,
        (subject, body): (String, String),
        now: Timestamp,
        ways: &[String],
    ) {
        for way in ways {
            // A page that has not arrived says the same.
            if self.notices.iter().any(|notice| notice.way == *way) {
                continue;
            }
            let number = match kind {
                Kind::Well => "well".to_owned(),
                _ => alarm.times.to_string(),
            };
            self.notices.push(Notice {
                key: format!("watchdog/{}/{number}/{way}", alarm.raised_at.as_millisecond()),
                kind,
                way: way.clone(),
                attempts: 0,
                due: now,
                under_way: false,
                possible_duplicate: false,
                subject: subject.clone(),
                body: body.clone(),
            });
        }
    }

    /// Takes the messages that are due, to be sent.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Notice> {
        let due = self
            .notices
            .iter_mut()
            .filter(|notice| !notice.under_way && notice.due <= now);
        due.map(|notice| {
            notice.under_way = true;
            notice.attempts += 1;
            notice.clone()
        })
        .collect()
    }

    /// What became of an attempt. A way that refuses for good is not asked again before the next page.
    pub(super) fn settle(&mut self, key: &str, sent: &Sent, now: Timestamp) {
        let Some(at) = self.notices.iter().position(|notice| notice.key == key) else {
            return;
        };
        match &sent.outcome {
            Outcome::Done { .. } | Outcome::Failed { .. } | Outcome::Withdrawn { .. } | Outcome::Withheld => {
                self.notices.remove(at);
            }
            Outcome::Retry { after_ms, .. } => {
                let notice = &mut self.notices[at];
                let wait = match i64::try_from(*after_ms) {
                    Ok(0) | Err(_) => {
                        SignedDuration::from_secs(1 << notice.attempts.saturating_sub(1).min(5))
                    }
                    Ok(given) => SignedDuration::from_millis(given),
                };
                notice.under_way = false;
                notice.possible_duplicate |= sent.arrival_unknown;
                notice.due = after(now, wait.min(BACK_OFF_MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests;
