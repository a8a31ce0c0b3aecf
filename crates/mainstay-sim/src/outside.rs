//! The outside: receivers that remember what reached them, and a platform that remembers what was done to it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mainstay_delivery::channel::{Channels, Outgoing, Sent};
use mainstay_hands::Hands;
use mainstay_kernel::effect::{Act, Channel, Outcome, Recipient};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{PageId, Severity};

use crate::kill::{Boundary, KillSwitch};

/// A message that reached a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub at: Timestamp,
    /// By which channel.
    pub channel: Channel,
    /// For whom.
    pub to: Recipient,
    /// The effect's key.
    pub key: String,
    /// Its subject.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// The page that it carries.
    pub page: Option<PageId>,
    /// Whether it says that it may be a repetition.
    pub labelled_duplicate: bool,
}

/// What a receiver does to a message. Chances are in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishap {
    /// Mail: not taken, try again.
    pub mail_refuses: u8,
    /// Chat: not taken, try again.
    pub chat_refuses: u8,
    /// Either: taken, but the answer is lost.
    pub answer_lost: u8,
    /// The provider does not know the token of this channel any more, and refuses for good.
    pub token_revoked: Option<Channel>,
}

#[derive(Default)]
struct Seen {
    messages: Vec<Received>,
    acts: Vec<(Timestamp, String, Act)>,
    mishap: Mishap,
}

/// See the module. Clones share what they hold: it outlives every process.
#[derive(Clone)]
pub(crate) struct Outside {
    clock: Arc<dyn mainstay_kernel::Clock>,
    chance: Arc<SeededEntropy>,
    switch: Arc<KillSwitch>,
    seen: Arc<Mutex<Seen>>,
}

impl Outside {
    pub(crate) fn new(clock: Arc<dyn mainstay_kernel::Clock>, seed: u64, switch: Arc<KillSwitch>) -> Self {
        Self {
            clock,
            chance: Arc::new(SeededEntropy::new(seed ^ 0x0075_1de0)),
            switch,
            seen: Arc::default(),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Seen) -> T) -> T {
        use_it(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_mishap(&self, mishap: Mishap) {
        self.with(|seen| seen.mishap = mishap);
    }

    pub(crate) fn messages(&self) -> Vec<Received> {
        self.with(|seen| seen.messages.clone())
    }

    pub(crate) fn acts(&self) -> Vec<(Timestamp, String, Act)> {
        self.with(|seen| seen.acts.clone())
    }

    fn happens(&self, percent: u8) -> bool {
        percent > 0 && self.chance.below(100) < u64::from(percent)
    }
}

fn dead() -> Sent {
    Sent::unknown("the process was killed", 0)
}

impl Channels for Outside {
    async fn send(&self, outgoing: Outgoing<'_>) -> Sent {
        if !self.switch.pass(Boundary::BeforeSend) {
            return dead();
        }
        let mishap = self.with(|seen| seen.mishap);
        if mishap.token_revoked == Some(outgoing.deliver.channel) {
            return Sent::failed("401 invalid token");
        }
        let refuses = match outgoing.deliver.channel {
            Channel::Email => mishap.mail_refuses,
            Channel::Chat | Channel::Webhook | Channel::Sms | Channel::Voice => mishap.chat_refuses,
        };
        if self.happens(refuses) {
            return Sent::retry("421 try again later", 0);
        }
        let message = &outgoing.deliver.message;
        let received = Received {
            at: self.clock.now(),
            channel: outgoing.deliver.channel,
            to: outgoing.deliver.to.clone(),
            key: outgoing.key.to_owned(),
            subject: message.subject.clone(),
            severity: message.severity,
            page: message.page.clone(),
            labelled_duplicate: outgoing.possible_duplicate,
        };
        self.with(|seen| seen.messages.push(received));
        if !self.switch.pass(Boundary::AfterSend) {
            return dead();
        }
        if self.happens(mishap.answer_lost) {
            return Sent::unknown("connection reset", 0);
        }
        Sent::done("250 ok")
    }
}

impl Hands for Outside {
    async fn act(&self, key: &str, act: &Act) -> Outcome {
        if !self.switch.pass(Boundary::BeforeSend) {
            return Outcome::Retry {
                reason: "the process was killed".to_owned(),
                after_ms: 0,
            };
        }
        // A platform that remembers keys does nothing twice.
        let at = self.clock.now();
        self.with(|seen| {
            if !seen.acts.iter().any(|(_, known, _)| known == key) {
                seen.acts.push((at, key.to_owned(), act.clone()));
            }
        });
        if !self.switch.pass(Boundary::AfterSend) {
            return Outcome::Retry {
                reason: "the process was killed".to_owned(),
                after_ms: 0,
            };
        }
        Outcome::Done {
            receipt: "revision 1".to_owned(),
        }
    }
}
