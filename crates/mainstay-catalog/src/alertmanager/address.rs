//! Where the integrations of an Alertmanager's configuration are reached. What is secret is a `${NAME}`: `${sealed:...}` was
//! taken out of the file, `${file:...}` is the text of a file.

use serde::Serialize;

use crate::response::Setting;

/// An integration's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Address {
    /// Mail.
    Email {
        /// The addresses, with commas between; may be a template.
        to: String,
    },
    /// An incoming webhook of Slack's.
    SlackWebhook {
        /// Its URL.
        url: Setting,
        /// The channel or person to post to; may be a template.
        channel: Option<String>,
    },
    /// A bot of Slack's.
    SlackBot {
        /// Where the API is, without the name of a call.
        url: Setting,
        /// Its token.
        token: Setting,
        /// The channel or person to post to; may be a template.
        channel: String,
    },
    /// A service of PagerDuty.
    PagerDuty {
        /// Where the API is; left out, PagerDuty's own.
        url: Option<Setting>,
        /// The integration's key.
        routing_key: Setting,
    },
    /// A webhook in Alertmanager's own format.
    Webhook {
        /// Its URL.
        url: Setting,
        /// Who posts.
        login: Option<Login>,
    },
    /// An incoming webhook of Microsoft Teams.
    Teams {
        /// Its URL.
        url: Setting,
    },
}

/// How a webhook is told who posts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Login {
    /// By name and password.
    Basic {
        /// The name.
        username: Setting,
        /// The password.
        password: Setting,
    },
    /// By a token.
    Bearer {
        /// The token.
        token: Setting,
    },
}
