//! Where such a receiver is.

use std::sync::Arc;

use super::words::Texts;
use crate::channel::Secret;
use crate::http;

/// A receiver: where it is, and in what words it is told.
#[derive(Clone)]
pub struct Templated {
    /// Where it is.
    pub reach: Reach,
    /// Its templates.
    pub texts: Arc<Texts>,
}

impl PartialEq for Templated {
    fn eq(&self, other: &Self) -> bool {
        self.reach == other.reach && self.texts.wording == other.texts.wording
    }
}

impl Eq for Templated {}

/// How it is reached. Much of it is secret: there is no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Reach {
    /// By mail.
    Mail {
        /// Addresses with commas between; may be a template.
        to: String,
    },
    /// By an incoming webhook of Slack's.
    SlackWebhook {
        /// Its URL.
        url: String,
        /// The channel or person; may be a template.
        channel: Option<String>,
    },
    /// By a bot of Slack's.
    SlackBot {
        /// Where the API is, without a slash at the end.
        url: String,
        /// The bot's token.
        token: Secret,
        /// The channel or person; may be a template.
        channel: String,
    },
    /// A service of PagerDuty.
    PagerDuty {
        /// Where the API is, without a slash at the end.
        url: String,
        /// The integration's key.
        routing_key: Secret,
    },
    /// An incoming webhook of Microsoft Teams.
    Teams {
        /// Its URL.
        url: String,
    },
    /// Alertmanager's own webhook.
    Webhook {
        /// Its URL.
        url: String,
        /// Who posts.
        login: Option<Login>,
    },
}

impl Reach {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mail { .. } => "email",
            Self::SlackWebhook { .. } | Self::SlackBot { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Teams { .. } => "teams",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// The URL that is called, if it is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Mail { .. } => None,
            Self::SlackWebhook { url, .. }
            | Self::SlackBot { url, .. }
            | Self::PagerDuty { url, .. }
            | Self::Teams { url }
            | Self::Webhook { url, .. } => Some(url),
        }
    }
}

/// How a webhook is told who posts.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// By name and password.
    Basic(String, Secret),
    /// By a token.
    Bearer(Secret),
}

impl Login {
    pub(super) fn of(&self) -> http::Login<'_> {
        match self {
            Self::Basic(name, password) => http::Login::Basic(name, password.expose()),
            Self::Bearer(token) => http::Login::Bearer(token.expose()),
        }
    }
}
