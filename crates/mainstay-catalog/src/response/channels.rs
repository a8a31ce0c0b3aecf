//! How channels are reached. Secrets never stand in a catalog: they are named as `${VARIABLE}` and looked up by the
//! binary.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use mainstay_kernel::effect::Channel;
use serde::{Deserialize, Serialize};

use crate::platform::is_e164;
use crate::spanned::Spanned;

/// A text in which `${NAME}` stands for a value that the binary's environment holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Setting(String);

/// A setting cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A variable that it names is not set, or a file that it names cannot be read.
    #[error("{}", unset(.0))]
    Unset(String),
    /// `${` without `}`.
    #[error("a `${{` without its `}}`")]
    Unclosed,
    /// It resolves to what cannot be used.
    #[error("{0}")]
    Unusable(String),
}

fn unset(name: &str) -> String {
    match name.split_once(':') {
        Some(("file", path)) => format!("the file {path} cannot be read"),
        Some(("sealed", place)) => {
            format!("the secret {place} is not here: it is in the file that the configuration was read from")
        }
        _ => format!("the variable {name} is not set"),
    }
}

impl Setting {
    /// The text as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text is one `${NAME}`, as a secret must be.
    #[must_use]
    pub fn is_variable(&self) -> bool {
        self.0
            .strip_prefix("${")
            .is_some_and(|rest| rest.find('}') == Some(rest.len() - 1))
    }

    /// The names that it needs.
    fn variables(&self) -> impl Iterator<Item = &str> {
        let parts = self.0.split("${").skip(1);
        parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
    }

    /// The text with every `${NAME}` replaced by what `lookup` gives for it.
    ///
    /// # Errors
    /// If `lookup` gives nothing for a name, or a brace is not closed.
    pub fn resolve(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<String, SettingError> {
        let mut resolved = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or(SettingError::Unclosed)?;
            resolved.push_str(before);
            resolved.push_str(&lookup(name).ok_or_else(|| SettingError::Unset(name.to_owned()))?);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The `spec` of the document of kind `Channels`. A channel that is not configured is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    /// For mail.
    pub smtp: Option<Smtp>,
    /// For chat.
    pub chat: Option<Chat>,
    /// For webhooks: name to URL.
    pub webhooks: BTreeMap<String, Spanned<Setting>>,
    /// Secrets with which webhooks are signed, by the webhook's name: always a `${VARIABLE}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhook_secrets: BTreeMap<String, Spanned<Setting>>,
    /// Receivers that are told of groups of alerts as by an Alertmanager's webhook, version 4: name to URL. A route names
    /// them among its `webhooks`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub alertmanager_webhooks: BTreeMap<String, Spanned<Setting>>,
    /// For text messages and calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telephone: Option<Telephone>,
    /// For chat by a bot of Slack's; it is preferred to `chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackBot>,
    /// Services of PagerDuty. A route names them among its `webhooks`, as all receivers below.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pagerduty: BTreeMap<String, PagerDuty>,
    /// Incoming webhooks of Microsoft Teams, which take Adaptive Cards: name to URL, always a `${VARIABLE}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, Spanned<Setting>>,
    /// Topics of an ntfy server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ntfy: BTreeMap<String, Ntfy>,
    /// Where those who work on an incident of P0 meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// How much is sent at once and how often, by kind of channel; what is not said is left to the binary.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Channel, Limit>,
}

/// A conference bridge. Either text may be a `${VARIABLE}`, where whoever has it gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// The meeting's link.
    pub url: Spanned<Setting>,
    /// The number to dial in by, E.164, with what is to be keyed after a pause: `+27115550100,,1234#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Spanned<Setting>>,
}

/// The longest link to a bridge, in bytes: it is in text messages.
const BRIDGE_URL_MAX_BYTES: usize = 300;
/// The longest number of a bridge with what is keyed, in bytes.
const BRIDGE_PHONE_MAX_BYTES: usize = 64;

impl Bridge {
    /// What is wrong with a link to a bridge; `None` if nothing is.
    #[must_use]
    pub fn fault_of_url(url: &str) -> Option<String> {
        let rest = url.strip_prefix("https://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "<>|\"`\\".contains(c);
        if host.is_empty() {
            return Some("the link to the bridge does not begin with https:// and a host".to_owned());
        }
        if url.contains(is_odd) {
            return Some("the link to the bridge has a character that no URL has".to_owned());
        }
        (url.len() > BRIDGE_URL_MAX_BYTES).then(|| {
            format!(
                "the link to the bridge has {} bytes; at most {BRIDGE_URL_MAX_BYTES} fit into a text message",
                url.len()
            )
        })
    }

    /// What is wrong with a number to dial in by; `None` if nothing is.
    #[must_use]
    pub fn fault_of_phone(phone: &str) -> Option<String> {
        let (number, keyed) = phone.split_at(phone.find(',').unwrap_or(phone.len()));
        let is_keyed = keyed.chars().all(|c| c.is_ascii_digit() || ",*#".contains(c));
        let fits = phone.len() <= BRIDGE_PHONE_MAX_BYTES;
        (!(is_e164(number) && is_keyed && fits)).then(|| {
            "the number of the bridge is not as E.164 writes it, with what is keyed behind commas".to_owned()
        })
    }
}

/// What one kind of channel takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many messages of P2 and P3 are on their way at once, and beside them as many of P0 and P1; at most 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<NonZeroU16>,
    /// How many messages are begun in a minute; those of P0 and P1 count, but do not wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<NonZeroU32>,
}

impl Channels {
    /// The names that a route may give among its `webhooks`.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        let urls = self.webhooks.keys().chain(self.alertmanager_webhooks.keys());
        urls.chain(self.teams.keys())
            .chain(self.pagerduty.keys())
            .chain(self.ntfy.keys())
            .map(String::as_str)
    }

    /// Every `${NAME}` of a channel for which `lookup` gives nothing, each once: whoever sets them need not find them one
    /// by one.
    #[must_use]
    pub fn unset(&self, lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut unset: Vec<String> = Vec::new();
        for name in self.settings().flat_map(Setting::variables) {
            if !unset.iter().any(|known| known == name) && lookup(name).is_none() {
                unset.push(name.to_owned());
            }
        }
        unset
    }

    /// Every text that may name a variable.
    fn settings(&self) -> impl Iterator<Item = &Setting> {
        let Self {
            smtp,
            chat,
            webhooks,
            webhook_secrets,
            alertmanager_webhooks,
            telephone,
            slack,
            pagerduty,
            teams,
            ntfy,
            bridge,
            limits: _,
        } = self;
        let smtp = smtp.iter().flat_map(|smtp| {
            let password = smtp.password.as_ref().map(|password| &password.value);
            let login = smtp.username.as_ref().zip(password);
            let login = login
                .into_iter()
                .flat_map(|(username, password)| [username, password]);
            [&smtp.host, &smtp.port, &smtp.from].into_iter().chain(login)
        });
        let telephone = telephone.iter().flat_map(|telephone| {
            let own = [
                &telephone.account_sid,
                &telephone.auth_token.value,
                &telephone.from,
            ];
            own.into_iter()
                .chain(&telephone.url)
                .chain(&telephone.callback_url)
                .chain(&telephone.callback_listen)
        });
        let slack = slack.iter().flat_map(|slack| {
            let signing = slack.signing_secret.iter().map(|secret| &secret.value);
            std::iter::once(&slack.token.value)
                .chain(signing)
                .chain(&slack.url)
        });
        let pagerduty = pagerduty
            .values()
            .flat_map(|one| std::iter::once(&one.routing_key.value).chain(&one.url));
        let ntfy = ntfy.values().flat_map(|topic| {
            let token = topic.token.iter().map(|token| &token.value);
            [&topic.url, &topic.topic].into_iter().chain(token)
        });
        let bridge = bridge.iter().flat_map(|bridge| {
            let phone = bridge.phone.iter().map(|phone| &phone.value);
            std::iter::once(&bridge.url.value).chain(phone)
        });
        let urls = webhooks
            .values()
            .chain(webhook_secrets.values())
            .chain(alertmanager_webhooks.values())
            .chain(teams.values())
            .map(|url| &url.value);
        smtp.chain(chat.iter().map(|chat| &chat.url.value))
            .chain(urls)
            .chain(telephone)
            .chain(slack)
            .chain(pagerduty)
            .chain(ntfy)
            .chain(bridge)
    }

    /// The names of those services of PagerDuty that a test chooses.
    #[must_use]
    pub fn pagerduty_that(&self, chosen: impl Fn(&PagerDuty) -> bool) -> Vec<String> {
        let services = self.pagerduty.iter();
        let chosen = services.filter(|(_, service)| chosen(service));
        chosen.map(|(name, _)| name.clone()).collect()
    }

    /// Everything that must not be written out.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Spanned<Setting>> {
        let smtp = self.smtp.iter().filter_map(|smtp| smtp.password.as_ref());
        let telephone = self.telephone.iter().map(|telephone| &telephone.auth_token);
        let slack = self.slack.iter();
        let slack = slack.flat_map(|slack| std::iter::once(&slack.token).chain(&slack.signing_secret));
        let pagerduty = self.pagerduty.values().map(|service| &service.routing_key);
        let ntfy = self.ntfy.values().filter_map(|topic| topic.token.as_ref());
        smtp.chain(telephone)
            .chain(slack)
            .chain(pagerduty)
            .chain(ntfy)
            .chain(self.teams.values())
            .chain(self.webhook_secrets.values())
    }
}

/// A provider of telephony that speaks Twilio's API of 2010-04-01.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telephone {
    /// The account.
    pub account_sid: Setting,
    /// Its token: always a `${VARIABLE}`.
    pub auth_token: Spanned<Setting>,
    /// The number that calls and writes, E.164.
    pub from: Setting,
    /// Where the API is; left out, Twilio's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Setting>,
    /// Where the provider reaches this server, without a slash at the end. Left out, nobody is called back: states are
    /// asked for, and keys that are pressed in a call are not heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Setting>,
    /// Where this server listens for callbacks, such as `127.0.0.1:9097`: behind what terminates TLS, and apart from the
    /// console, which need not be on the Internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_listen: Option<Setting>,
}

/// A bot of Slack's, which posts by `chat.postMessage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackBot {
    /// Its token: always a `${VARIABLE}`.
    pub token: Spanned<Setting>,
    /// The secret with which Slack signs what it sends: always a `${VARIABLE}`. With it, posts about pages have buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<Spanned<Setting>>,
    /// Where the API is; left out, Slack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Setting>,
}

/// A service of PagerDuty, told by Events API v2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration's key: always a `${VARIABLE}`.
    pub routing_key: Spanned<Setting>,
    /// Whether it is told of changes of the platform, as change events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub changes: bool,
    /// Whether its alerts are acknowledged when somebody takes their incident on here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub acknowledge: bool,
    /// Where the API is; left out, PagerDuty's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Setting>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A topic of an ntfy server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// The server, without the topic.
    pub url: Setting,
    /// The topic. On a public server it is as good as a secret.
    pub topic: Setting,
    /// The token of who publishes, if the server wants one: always a `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Spanned<Setting>>,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its name or address.
    pub host: Setting,
    /// Its port.
    pub port: Setting,
    /// The sender's address.
    pub from: Setting,
    /// Whether to insist on TLS (implicit, or by STARTTLS).
    #[serde(default)]
    pub tls: bool,
    /// Who logs in, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Setting>,
    /// Their password: always a `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Spanned<Setting>>,
}

/// An incoming webhook in Slack's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Its URL. Slack's own URLs are secrets: they must be a `${VARIABLE}`.
    pub url: Spanned<Setting>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_resolve_or_say_what_is_missing() {
        let lookup = |name: &str| (name == "HOST").then(|| "mail.example".to_owned());
        assert_eq!(
            Setting::from("smtp://${HOST}:25").resolve(lookup).as_deref(),
            Ok("smtp://mail.example:25")
        );
        assert_eq!(
            Setting::from("${PORT}").resolve(lookup),
            Err(SettingError::Unset("PORT".to_owned()))
        );
        assert_eq!(
            Setting::from("${HOST").resolve(lookup),
            Err(SettingError::Unclosed)
        );
        assert_eq!(
            Setting::from("plain $5").resolve(lookup).as_deref(),
            Ok("plain $5")
        );
        assert!(Setting::from("${A}").is_variable());
        assert!(!Setting::from("${A}${B}").is_variable());
        assert!(!Setting::from("x${A}").is_variable());
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let channels = Channels {
            smtp: Some(Smtp {
                host: Setting::from("${HOST}"),
                port: Setting::from("${PORT}"),
                from: Setting::from("a@${DOMAIN}.${HOST}"),
                tls: false,
                username: Some(Setting::from("${USERNAME_WITHOUT_PASSWORD}")),
                password: None,
            }),
            slack: Some(SlackBot {
                token: Spanned::nowhere(Setting::from("${TOKEN}")),
                signing_secret: None,
                url: None,
            }),
            ..Channels::default()
        };
        let lookup = |name: &str| (name == "PORT").then(String::new);
        assert_eq!(channels.unset(lookup), ["HOST", "DOMAIN", "TOKEN"]);
    }
}
