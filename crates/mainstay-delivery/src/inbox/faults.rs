//! What goes wrong on purpose.

use serde::{Deserialize, Serialize};

/// The faults that are switched on. The default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Of mail.
    pub smtp: SmtpFault,
    /// Of `POST /chat`.
    pub chat: HttpFault,
    /// Of `POST /hook`.
    pub hook: HttpFault,
    /// Of texts and calls, as they are handed over.
    pub telephone: HttpFault,
    /// How long the faults that wait do so, in milliseconds.
    pub delay_ms: u64,
    /// What `429` answers as `Retry-After`, in seconds.
    pub retry_after_s: u64,
}

/// What goes wrong with mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SmtpFault {
    /// Nothing.
    #[default]
    #[serde(rename = "none")]
    None,
    /// Connections are closed without a word.
    #[serde(rename = "refuse")]
    Refuse,
    /// `451` to every recipient.
    #[serde(rename = "4xx")]
    Temporary,
    /// `550` to every recipient.
    #[serde(rename = "5xx")]
    Permanent,
    /// The greeting comes after `delay_ms`.
    #[serde(rename = "delay")]
    Delay,
    /// The mail is taken and kept, and the connection closes before the reply.
    #[serde(rename = "lost_reply")]
    LostReply,
    /// The mail is taken and kept, and the reply comes after `delay_ms`.
    #[serde(rename = "late_reply")]
    LateReply,
}

/// What goes wrong with an HTTP receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HttpFault {
    /// Nothing.
    #[default]
    #[serde(rename = "none")]
    None,
    /// `429` with `Retry-After`.
    #[serde(rename = "429")]
    TooMany,
    /// `500`.
    #[serde(rename = "500")]
    Broken,
    /// `404`.
    #[serde(rename = "404")]
    Gone,
    /// `200`, but the body is a proxy's page; nothing is kept.
    #[serde(rename = "error_body")]
    ErrorBody,
    /// The message is not kept, and the answer, a `503`, comes after `delay_ms`.
    #[serde(rename = "timeout")]
    Timeout,
    /// The message is kept, and the answer comes after `delay_ms`.
    #[serde(rename = "late_reply")]
    LateReply,
}
