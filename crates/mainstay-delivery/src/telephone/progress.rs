//! What is known of messages that are on their way. It is in memory only: after a restart the provider's log is asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How many messages are remembered; of more, the oldest are asked for in the provider's log.
const REMEMBERED_MAX: usize = 2_000;
/// The longest state that is kept, in bytes.
const WORD_MAX_BYTES: usize = 32;
/// Twilio's codes for trouble that passes: a full queue, a telephone that is off, an unknown error, congestion.
const PASSING: &[u64] = &[30_001, 30_003, 30_008, 30_010, 30_017, 30_022];

/// What is known of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The provider's name for it.
    pub(super) sid: String,
    /// Its state, in the provider's word.
    pub(super) status: String,
    /// The provider's code of what went wrong.
    pub(super) code: Option<u64>,
    /// Whether a human pressed the key.
    pub(super) acknowledged: bool,
    /// How many attempts asked in vain.
    pub(super) asked: u32,
    /// How many times it was sent or called.
    pub(super) times: u32,
    /// What was sent before and is over: the provider's log still has it.
    pub(super) concluded: Vec<String>,
}

/// What a state means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is on its way.
    Open,
    /// It is on the telephone.
    Delivered,
    /// A human pressed the key.
    Acknowledged,
    /// The call is over, and nobody pressed a key: it may have been a mailbox.
    Unheard,
    /// It did not arrive, and may another time.
    Undelivered,
    /// It will never arrive.
    Refused,
}

pub(super) fn judge(call: bool, known: &Known) -> Verdict {
    match known.status.as_str() {
        _ if known.acknowledged => Verdict::Acknowledged,
        "completed" | "busy" | "no-answer" if call => Verdict::Unheard,
        "failed" if call => Verdict::Undelivered,
        "delivered" | "read" if !call => Verdict::Delivered,
        "undelivered" | "failed" => match known.code {
            Some(code) if PASSING.contains(&code) => Verdict::Undelivered,
            _ => Verdict::Refused,
        },
        "canceled" => Verdict::Refused,
        _ => Verdict::Open,
    }
}

/// A state as it is kept: a short word.
pub(super) fn word(status: &str) -> String {
    let word = status.chars().filter(|c| c.is_ascii_lowercase() || *c == '-');
    word.take(WORD_MAX_BYTES).collect()
}

/// The messages on their way, by the key of their effect.
#[derive(Default)]
pub(super) struct Progress {
    known: Mutex<VecDeque<(String, Known)>>,
    news: Notify,
}

impl Progress {
    fn with<T>(&self, use_it: impl FnOnce(&mut VecDeque<(String, Known)>) -> T) -> T {
        use_it(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Known)) {
        self.with(|all| {
            if let Some((_, known)) = all.iter_mut().find(|(of, _)| of == key) {
                change(known);
            }
        });
        self.news.notify_waiters();
    }

    /// Ready when anything became known.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// What is known of a message that was handed over.
    pub(super) fn known(&self, key: &str) -> Option<Known> {
        self.with(|all| {
            let known = all.iter().find(|(of, _)| of == key);
            known
                .map(|(_, known)| known.clone())
                .filter(|known| !known.sid.is_empty())
        })
    }

    /// What was sent of a message before and is over.
    pub(super) fn concluded(&self, key: &str) -> Vec<String> {
        self.with(|all| {
            let known = all.iter().find(|(of, _)| of == key);
            known
                .map(|(_, known)| known.concluded.clone())
                .unwrap_or_default()
        })
    }

    /// A message was handed over.
    pub(super) fn begin(&self, key: &str, sid: &str) {
        self.with(|all| {
            let before = all.iter().position(|(of, _)| of == key);
            let before = before.and_then(|at| all.remove(at));
            let (times, concluded) = before
                .map(|(_, known)| (known.times, known.concluded))
                .unwrap_or_default();
            let known = Known {
                sid: sid.to_owned(),
                status: "queued".to_owned(),
                code: None,
                acknowledged: false,
                asked: 0,
                times: times + 1,
                concluded,
            };
            all.push_back((key.to_owned(), known));
            if all.len() > REMEMBERED_MAX {
                all.pop_front();
            }
        });
    }

    /// The provider said what became of it. A state that comes late changes nothing that is final.
    pub(super) fn state(&self, key: &str, sid: &str, status: &str, code: Option<u64>) {
        self.change(key, |known| {
            let open =
                |known: &Known| judge(true, known) == Verdict::Open && judge(false, known) == Verdict::Open;
            if known.sid == sid && open(known) {
                known.status = word(status);
                known.code = code.or(known.code);
            }
        });
    }

    /// A human pressed the key.
    pub(super) fn acknowledged(&self, key: &str) {
        self.change(key, |known| known.acknowledged = true);
    }

    /// An attempt asked in vain.
    pub(super) fn asked(&self, key: &str) -> Option<Known> {
        self.change(key, |known| known.asked += 1);
        self.known(key)
    }

    /// The next attempt sends anew; how often it was done is remembered, and what is not to be taken for the new one.
    pub(super) fn again(&self, key: &str) {
        self.change(key, |known| {
            let sid = std::mem::take(&mut known.sid);
            known.concluded.push(sid);
        });
    }

    /// Nothing more is to be known.
    pub(super) fn forget(&self, key: &str) {
        self.with(|all| all.retain(|(of, _)| of != key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_delivered_or_a_pressed_key_is_success() {
        let known = |status: &str, code: Option<u64>| Known {
            sid: "SM1".to_owned(),
            status: status.to_owned(),
            code,
            acknowledged: false,
            asked: 0,
            times: 1,
            concluded: Vec::new(),
        };
        for status in [
            "accepted",
            "scheduled",
            "queued",
            "sending",
            "sent",
            "",
            "delivered-almost",
        ] {
            assert_eq!(judge(false, &known(status, None)), Verdict::Open, "{status}");
        }
        for status in ["queued", "initiated", "ringing", "in-progress", "delivered"] {
            assert_eq!(judge(true, &known(status, None)), Verdict::Open, "{status}");
        }
        assert_eq!(judge(false, &known("delivered", None)), Verdict::Delivered);
        assert_eq!(
            judge(false, &known("undelivered", Some(30_008))),
            Verdict::Undelivered
        );
        assert_eq!(
            judge(false, &known("undelivered", Some(30_005))),
            Verdict::Refused
        );
        assert_eq!(judge(false, &known("failed", None)), Verdict::Refused);
        assert_eq!(judge(true, &known("completed", None)), Verdict::Unheard);
        let pressed = Known {
            acknowledged: true,
            ..known("in-progress", None)
        };
        assert_eq!(judge(true, &pressed), Verdict::Acknowledged);
    }

    #[test]
    fn a_late_state_changes_nothing_and_memory_is_limited() {
        let progress = Progress::default();
        progress.begin("k", "SM1");
        progress.state("k", "SM0", "failed", None);
        assert_eq!(progress.known("k").expect("known").status, "queued");
        progress.state("k", "SM1", "delivered", None);
        progress.state("k", "SM1", "sent", None);
        assert_eq!(progress.known("k").expect("known").status, "delivered");
        for number in 0..REMEMBERED_MAX {
            progress.begin(&format!("other {number}"), "SM2");
        }
        assert_eq!(progress.known("k"), None);
    }
}
