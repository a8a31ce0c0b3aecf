//! Effects as data: what the outside world is asked to do. Only `delivery` and `hands` carry them out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fact::ChangeRecorded;
use crate::id::{CellId, ChannelName, IncidentId, PageId, PersonId, ServiceId};
use crate::notification::Notification;
use crate::severity::Severity;

/// A wish for one outside action. `key` names it for ever: the same key is never done a second time on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The idempotency key, passed on to receivers that understand one.
    pub key: String,
    /// Whether it is done once or held for a while.
    pub class: EffectClass,
    /// What to do.
    pub body: EffectBody,
}

impl Effect {
    /// How much it must not wait behind others: 0 is a page of a P0 and whatever changes the platform, 3 a word about a P3.
    #[must_use]
    pub fn urgency(&self) -> u8 {
        match &self.body {
            EffectBody::Deliver(deliver) => match deliver.message.severity {
                Severity::P0 => 0,
                Severity::P1 => 1,
                Severity::P2 => 2,
                Severity::P3 => 3,
            },
            EffectBody::Act(_) => 0,
        }
    }

    /// Whether somebody may be woken by it: what is not urgent never takes up the room of what is.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.urgency() <= URGENT_MAX
    }

    /// The queue that it waits in, one of [`LANES`]: that of its kind of channel, or that of acts.
    #[must_use]
    pub fn lane(&self) -> &'static str {
        match &self.body {
            EffectBody::Deliver(deliver) => deliver.channel.name(),
            EffectBody::Act(_) => ACTS,
        }
    }
}

/// The greatest urgency ([`Effect::urgency`]) that wakes people.
pub const URGENT_MAX: u8 = 1;
/// The lane of acts.
pub const ACTS: &str = "act";
/// Every lane.
pub const LANES: [&str; 6] = ["voice", "sms", "email", "chat", "webhook", ACTS];

/// Whether an effect is over when done, or must be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "class")]
pub enum EffectClass {
    /// Done once; retried until its result is known.
    Once,
    /// Held until `undo_by`; the holder undoes it itself when the lease lapses.
    Held {
        /// The latest instant at which it must be undone.
        undo_by: Timestamp,
    },
}

/// The two kinds of effect: say something to somebody, or do something to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectBody {
    /// Tell a human or a system something.
    Deliver(Deliver),
    /// Change the platform.
    Act(Act),
}

/// A message to be delivered. It names the recipient, never an address: addresses are looked up when it is sent and are
/// personal fields of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// By which kind of channel.
    pub channel: Channel,
    /// To whom.
    pub to: Recipient,
    /// What.
    pub message: Message,
}

/// The kinds of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// SMTP.
    Email,
    /// A chat post in the format of Slack's incoming webhooks.
    Chat,
    /// A JSON webhook.
    Webhook,
    /// A text message to a telephone.
    Sms,
    /// A telephone call that reads the message out.
    Voice,
}

impl Channel {
    /// Its name: `email`, `chat`, `webhook`, `sms`, `voice`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Chat => "chat",
            Self::Webhook => "webhook",
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A human, by handle.
    Person(PersonId),
    /// A chat channel.
    ChatChannel(ChannelName),
    /// A receiver named in the routing document.
    Receiver(String),
}

impl Recipient {
    /// Its handle or name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person(person) => person.as_str(),
            Self::ChatChannel(channel) => channel.as_str(),
            Self::Receiver(name) => name,
        }
    }
}

/// What a message says. Channels render it in their own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// One line: what is wrong, where.
    pub subject: String,
    /// The rest, in plain text.
    pub body: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether this says that something is over.
    pub resolved: bool,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// The page it belongs to: what an acknowledgement must name.
    pub page: Option<PageId>,
    /// The path of the console page about it, such as `/incidents/2025-01-15-001`.
    pub path: String,
    /// The alerts that it tells of, where it tells of a group of them: for receivers that are told as by an Alertmanager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Box<Notification>>,
    /// The change of the platform that it tells of, where it tells of one: for receivers that keep a list of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Box<ChangeRecorded>>,
}

/// A change to the platform, carried out by a hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Act {
    /// Go back to the previous revision of a service in a cell.
    Rollback {
        /// The service.
        service: ServiceId,
        /// The cell.
        cell: CellId,
    },
    /// Restart the pods of a service in a cell.
    Restart {
        /// The service.
        service: ServiceId,
        /// The cell.
        cell: CellId,
    },
    /// Run that many pods of a service in a cell.
    Scale {
        /// The service.
        service: ServiceId,
        /// The cell.
        cell: CellId,
        /// How many pods.
        replicas: u32,
    },
}

/// What became of one attempt at an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It happened; the receiver says so.
    Done {
        /// The receiver's own reference: an SMTP reply, a message id, a revision.
        receipt: String,
    },
    /// It did not happen, or nobody knows; try again after `after_ms`.
    Retry {
        /// What went wrong.
        reason: String,
        /// How long to wait, in milliseconds; 0 leaves it to the usual back-off.
        after_ms: u64,
    },
    /// It is not wanted any more, and was not tried again.
    Withdrawn {
        /// Why not.
        reason: String,
    },
    /// It would have been sent, and was not: its route is in shadow.
    Withheld,
    /// It will never happen: the receiver refuses it.
    Failed {
        /// What the receiver said.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an outbox holds since before messages had their alerts.
    #[test]
    fn an_effect_that_was_written_without_alerts_is_read() {
        const OLD: &str = r##"{"key": "alert/1/chat/#all", "class": {"class": "once"}, "body": {"deliver": {
            "channel": "chat", "to": {"chat_channel": "#all"}, "message": {"subject": "firing: A", "body": "A: ",
            "severity": "P2", "resolved": false, "incident": null, "page": null, "path": "/alerts"}}}}"##;
        let effect: Effect = serde_json::from_str(OLD).expect("it is an effect");
        let EffectBody::Deliver(deliver) = &effect.body else {
            panic!("{effect:?}");
        };
        assert_eq!(deliver.message.notification, None);
        let written: serde_json::Value = serde_json::to_value(&effect).expect("JSON");
        let old: serde_json::Value = serde_json::from_str(OLD).expect("JSON");
        assert_eq!(written, old, "and written as it was");
    }
}
