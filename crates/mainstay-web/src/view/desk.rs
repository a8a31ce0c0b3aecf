//! Acknowledgements of people who are not signed in.

use jiff::Timestamp;
use mainstay_kernel::{IncidentId, PageId, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A link of a mail, as it came back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct AckLink {
    /// The page.
    pub page: String,
    /// Whom it was sent to.
    pub person: String,
    /// Until when it is good, in seconds since 1970.
    pub until: String,
    /// What proves that it is ours.
    pub signature: String,
}

/// What a link is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedPage {
    /// The page.
    pub page: PageId,
    /// Its incident.
    pub incident: IncidentId,
    /// How bad it is.
    pub severity: Severity,
    /// What it says.
    pub title: String,
    /// In whose name it is acknowledged, by handle.
    pub person: String,
    /// The same by name.
    pub name: String,
    /// Who has it, since when.
    pub acknowledged: Option<(Timestamp, String)>,
    /// Whether its incident is over, or another page took its place.
    pub over: bool,
}

/// What Slack sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackRequest {
    /// The header `X-Slack-Request-Timestamp`.
    pub timestamp: String,
    /// The header `X-Slack-Signature`.
    pub signature: String,
    /// The form, as it came.
    pub body: Vec<u8>,
}

/// What is said to whoever pressed a button, or to all who see the post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SlackAnswer {
    /// `ephemeral` for whoever pressed, `in_channel` for all.
    pub response_type: String,
    /// The post stays as it is.
    pub replace_original: bool,
    /// The words.
    pub text: String,
}
