//! Where messages leave: one trait with one method, which the simulator fakes, and the real channels behind it.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use mainstay_catalog::platform::is_e164;
use mainstay_kernel::effect::{Deliver, Outcome};
use serde::Serialize;

use crate::ack_link::AckLinks;
use crate::fence::MaySend;
use crate::http::HttpClient;
use crate::smtp::{Smtp, SmtpOptions};
use crate::telephone::{Callbacks, Telephone, TelephoneOptions};
use crate::templated::{self, Templated};
use crate::{alertmanager, ntfy, pagerduty, slack, teams, webhook};

/// How long one attempt may take, unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a message goes, looked up when it is sent. It is a secret or personal: not even `Debug` shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// Mailboxes, such as `ana@bank.example`; one mail goes to all of them.
    Email(Vec<String>),
    /// An incoming webhook in Slack's format; its URL is a secret.
    ChatWebhook {
        /// The webhook's URL.
        url: String,
        /// The channel (`#alerts`) or person (`@ana`) to post to, for receivers that let the sender choose (Mattermost,
        /// Slack's legacy webhooks).
        channel: Option<String>,
    },
    /// A receiver of [`crate::webhook`] documents.
    Webhook {
        /// Its URL.
        url: String,
    },
    /// A receiver of [`crate::webhook`] documents that are signed.
    SignedWebhook {
        /// Its URL.
        url: String,
        /// The secret that both know.
        secret: Secret,
    },
    /// A receiver of Alertmanager's webhook, version 4 ([`crate::alertmanager`]).
    AlertmanagerWebhook {
        /// Its URL.
        url: String,
    },
    /// A receiver of an Alertmanager's configuration, told in the words of its own templates.
    Templated(Box<Templated>),
    /// A telephone number, E.164: for text messages and calls.
    Phone(String),
    /// A conversation in Slack, reached by a bot.
    Slack {
        /// Where the API is, without a slash at the end.
        url: String,
        /// The bot's token.
        token: Secret,
        /// The channel or person, by name or id.
        channel: String,
        /// Whether posts about pages have buttons: who presses one is told to us, signed.
        buttons: bool,
    },
    /// A service of PagerDuty.
    PagerDuty {
        /// Where the API is, without a slash at the end.
        url: String,
        /// The integration's key.
        routing_key: Secret,
    },
    /// An incoming webhook of Microsoft Teams; its URL is a secret.
    Teams {
        /// The webhook's URL.
        url: String,
    },
    /// A topic of an ntfy server.
    Ntfy {
        /// The server, without the topic.
        url: String,
        /// The topic.
        topic: String,
        /// Who publishes.
        token: Option<Secret>,
    },
}

impl Address {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::ChatWebhook { .. } => "chat",
            Self::Webhook { .. } | Self::SignedWebhook { .. } | Self::AlertmanagerWebhook { .. } => "webhook",
            Self::Templated(to) => to.reach.kind(),
            Self::Phone(_) => "phone",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Teams { .. } => "teams",
            Self::Ntfy { .. } => "ntfy",
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({})", self.kind())
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// One attempt to deliver a message.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// The effect's idempotency key: the same for every attempt, and passed on.
    pub key: &'a str,
    /// Which attempt it is; 1 is the first.
    pub attempt: u32,
    /// Whether an earlier attempt may have arrived: the message then says so.
    pub possible_duplicate: bool,
    /// When the attempt is made.
    pub at: Timestamp,
    /// Where to.
    pub address: &'a Address,
    /// What, and to whom.
    pub deliver: &'a Deliver,
    /// Where the console is, without a slash at the end: links start with it.
    pub base_url: &'a str,
    /// Where those who work on what it tells of meet, if they do.
    pub bridge: Option<&'a Bridge>,
}

/// A conference bridge. Whoever has its link may get in: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Bridge {
    /// The meeting's link.
    pub url: String,
    /// The number to dial in by, with what is to be keyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(bridge)")
    }
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The result.
    pub outcome: Outcome,
    /// Whether the message may have arrived although the outcome is a retry. The next attempt must set
    /// [`Outgoing::possible_duplicate`].
    pub arrival_unknown: bool,
}

impl Sent {
    /// The receiver took it.
    #[must_use]
    pub fn done(receipt: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Done {
                receipt: receipt.into(),
            },
            arrival_unknown: false,
        }
    }

    /// It surely did not arrive; try again, after `after_ms` milliseconds if that is not 0.
    #[must_use]
    pub fn retry(reason: impl Into<String>, after_ms: u64) -> Self {
        Self {
            outcome: Outcome::Retry {
                reason: reason.into(),
                after_ms,
            },
            arrival_unknown: false,
        }
    }

    /// Nobody knows whether it arrived; try again, and say that it may be a repetition.
    #[must_use]
    pub fn unknown(reason: impl std::fmt::Display, after_ms: u64) -> Self {
        let reason = format!("{reason}; unknown whether it arrived");
        Self {
            outcome: Outcome::Retry { reason, after_ms },
            arrival_unknown: true,
        }
    }

    /// It will never be taken.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed {
                reason: reason.into(),
            },
            arrival_unknown: false,
        }
    }
}

/// Makes attempts. An implementation never panics, never hangs, and answers with what it knows.
pub trait Channels: Send + Sync {
    /// Makes one attempt.
    fn send(&self, outgoing: Outgoing<'_>) -> impl Future<Output = Sent> + Send;
}

/// Where unencrypted connections are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plaintext {
    /// Only to this machine.
    #[default]
    Loopback,
    /// Anywhere: for a trusted network, and only when the operator says so.
    Anywhere,
}

impl Plaintext {
    /// Whether an unencrypted connection to `host` is allowed. A name other than `localhost` counts as another machine.
    #[must_use]
    pub fn allows(self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback =
            bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self == Self::Anywhere || loopback
    }
}

/// How the real channels behave.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// The mail server, if there is one.
    pub smtp: Option<SmtpOptions>,
    /// The provider of telephony, if there is one.
    pub telephone: Option<TelephoneOptions>,
    /// How long one HTTP attempt may take, from connect to the last byte of the answer.
    pub http_timeout: Duration,
    /// Where unencrypted HTTP is allowed.
    pub http_plaintext: Plaintext,
    /// Certificate authorities to trust besides the public ones, as PEM: for mail servers and receivers inside.
    pub trust_pem: Option<Vec<u8>>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            smtp: None,
            telephone: None,
            http_timeout: DEFAULT_TIMEOUT,
            http_plaintext: Plaintext::default(),
            trust_pem: None,
        }
    }
}

/// Why the channels cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The sender's address is not one.
    #[error("the sender {address:?} is not a mail address: {reason}")]
    Sender {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Mail would leave this machine unencrypted.
    #[error("mail to {host} would not be encrypted: say `tls: true` in the document of kind Channels")]
    PlaintextMail {
        /// The mail server.
        host: String,
    },
    /// The provider of telephony cannot be used.
    #[error("the telephone provider cannot be used: {0}")]
    Telephone(String),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// The channels of the real world.
pub struct RealChannels {
    smtp: RwLock<Option<Arc<Smtp>>>,
    /// Authorities that mail servers are trusted by, too.
    trust_pem: Option<Vec<u8>>,
    ack_links: Option<AckLinks>,
    telephone: Option<Telephone>,
    http: HttpClient,
}

/// A mail server that can be used, or none.
pub struct MailServer(Option<Arc<Smtp>>);

impl RealChannels {
    /// Sets the channels up; no connection is made yet.
    ///
    /// # Errors
    /// If the options contradict themselves or TLS cannot be set up.
    pub fn new(options: ChannelOptions) -> Result<Self, ChannelError> {
        let trust = options.trust_pem.as_deref();
        let http = HttpClient::new(options.http_timeout, options.http_plaintext, trust)?;
        let smtp = options.smtp.map(|smtp| Smtp::new(smtp, trust)).transpose()?;
        let smtp = RwLock::new(smtp.map(Arc::new));
        let telephone = match options.telephone {
            Some(telephone) => {
                http.check(&telephone.url).map_err(ChannelError::Telephone)?;
                if !is_e164(&telephone.from) {
                    return Err(ChannelError::Telephone(
                        "`from` is not a number as E.164 writes it".to_owned(),
                    ));
                }
                Some(Telephone::new(telephone))
            }
            None => None,
        };
        Ok(Self {
            smtp,
            trust_pem: options.trust_pem,
            ack_links: None,
            telephone,
            http,
        })
    }

    /// A mail server, for [`RealChannels::set_mail`]: whatever may be wrong with it is wrong here.
    ///
    /// # Errors
    /// If the options contradict themselves or TLS cannot be set up.
    pub fn prepare_mail(&self, smtp: Option<SmtpOptions>) -> Result<MailServer, ChannelError> {
        let trust = self.trust_pem.as_deref();
        let smtp = smtp.map(|smtp| Smtp::new(smtp, trust)).transpose()?;
        Ok(MailServer(smtp.map(Arc::new)))
    }

    /// Mail goes by another server from now on, or with another password; what is on its way goes by the one before.
    pub fn set_mail(&self, server: MailServer) {
        *self.smtp.write().unwrap_or_else(PoisonError::into_inner) = server.0;
    }

    fn mail(&self) -> Option<Arc<Smtp>> {
        self.smtp.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a link into mails about pages by which they are acknowledged.
    #[must_use]
    pub fn with_ack_links(self, links: AckLinks) -> Self {
        Self {
            ack_links: Some(links),
            ..self
        }
    }

    /// Hands messages to the network only as long as it may, asked at the last moment.
    #[must_use]
    pub fn fenced(self, may_send: MaySend) -> Self {
        Self {
            http: self.http.fenced(may_send),
            ..self
        }
    }

    /// The receiving end of what the telephone provider tells, if it was told where that is.
    #[must_use]
    pub fn callbacks(&self) -> Option<Callbacks> {
        self.telephone.as_ref()?.callbacks(&self.http)
    }

    /// Whether a URL could be posted to: at the start is a better time to hear of it than when somebody is to be paged.
    ///
    /// # Errors
    /// Why not. The URL, which is a secret, is not told.
    pub fn check_url(&self, url: &str) -> Result<(), String> {
        self.http.check(url).map(|_| ())
    }
}

impl Channels for RealChannels {
    async fn send(&self, outgoing: Outgoing<'_>) -> Sent {
        let http = &self.http;
        match outgoing.address {
            Address::Email(to) => match self.mail() {
                Some(smtp) => smtp.send(&outgoing, to, self.ack_links.as_ref()).await,
                None => Sent::failed("no mail server is configured"),
            },
            Address::Phone(number) => match &self.telephone {
                Some(telephone) => telephone.send(http, &outgoing, number).await,
                None => Sent::failed("no telephone provider is configured"),
            },
            Address::ChatWebhook { url, channel } => {
                slack::send(http, &outgoing, url, channel.as_deref()).await
            }
            Address::Slack {
                url,
                token,
                channel,
                buttons,
            } => slack::post(http, &outgoing, url, token, channel, *buttons).await,
            Address::Webhook { url } => webhook::send(http, &outgoing, url, None).await,
            Address::SignedWebhook { url, secret } => webhook::send(http, &outgoing, url, Some(secret)).await,
            Address::AlertmanagerWebhook { url } => alertmanager::send(http, &outgoing, url).await,
            Address::Templated(to) => templated::send(http, self.mail().as_deref(), &outgoing, to).await,
            Address::PagerDuty { url, routing_key } => {
                pagerduty::send(http, &outgoing, url, routing_key).await
            }
            Address::Teams { url } => teams::send(http, &outgoing, url).await,
            Address::Ntfy { url, topic, token } => {
                ntfy::send(http, &outgoing, url, topic, token.as_ref()).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_addresses_are_not_shown() {
        let secret = || Secret::from("hush".to_owned());
        let (url, topic) = ("https://hooks.example/hush".to_owned(), "hush".to_owned());
        let shown = format!(
            "{:?}",
            [
                Address::Phone("+27115550100 hush".to_owned()),
                Address::Teams { url: url.clone() },
                Address::SignedWebhook {
                    url: url.clone(),
                    secret: secret()
                },
                Address::PagerDuty {
                    url: url.clone(),
                    routing_key: secret()
                },
                Address::Ntfy {
                    url,
                    topic,
                    token: Some(secret())
                },
            ]
        );
        assert!(!shown.contains("hush") && !shown.contains("+27"), "{shown}");
        let mut options = TelephoneOptions::new("AC1", "hush", "+27115550199");
        options.callback_url = Some("https://mainstay.example".to_owned());
        assert!(!format!("{options:?}").contains("hush"));
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for host in ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"] {
            assert!(Plaintext::Loopback.allows(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "mail.example", "0.0.0.0", ""] {
            assert!(!Plaintext::Loopback.allows(host), "{host}");
            assert!(Plaintext::Anywhere.allows(host), "{host}");
        }
    }
}
