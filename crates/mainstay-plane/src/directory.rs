//! Where people and receivers are reached: looked up when a message is sent, never kept in events.

mod adopted;

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_catalog::platform::Contacts;
use mainstay_catalog::response::{self, Channels, Setting, SettingError};
use mainstay_delivery::channel::{Address, Bridge, Secret};
use mainstay_delivery::signature::{self, SignatureError};
use mainstay_kernel::Severity;
use mainstay_kernel::effect::{Channel, Deliver, Recipient};

/// Where those are whom the catalog gives no address.
const SLACK: &str = "https://slack.com/api";
const PAGERDUTY: &str = "https://events.pagerduty.com";

/// The addresses of a catalog, with its settings resolved.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    people: BTreeMap<String, Contacts>,
    receivers: BTreeMap<String, Vec<String>>,
    chat_url: Option<String>,
    slack: Option<(String, Secret)>,
    slack_signing: Option<SlackSigning>,
    webhooks: BTreeMap<String, Address>,
    bridge: Option<Bridge>,
}

impl Directory {
    /// Takes the addresses from a catalog; `lookup` gives the values of its `${VARIABLES}`.
    ///
    /// # Errors
    /// If a variable that a channel needs is not set.
    pub fn new(catalog: &Catalog, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        // What was taken out of a file is nowhere else.
        let sealed = |name: &str| catalog.response.secret(name).map(str::to_owned);
        let lookup = |name: &str| sealed(name).or_else(|| lookup(name));
        let channels = &catalog.response.channels;
        let chat_url = channels
            .chat
            .as_ref()
            .map(|chat| chat.url.value.resolve(lookup))
            .transpose()?;
        let slack = channels.slack.as_ref().map(|slack| {
            let token = slack.token.value.resolve(lookup)?;
            Ok((api(slack.url.as_ref(), SLACK, lookup)?, token.into()))
        });
        let signing = channels
            .slack
            .as_ref()
            .and_then(|slack| slack.signing_secret.as_ref());
        let slack_signing = signing.map(|secret| secret.value.resolve(lookup)).transpose()?;
        let people = catalog.platform.people.iter();
        let people = people.map(|(id, person)| (id.to_string(), person.contacts.clone()));
        let receivers = &catalog.response.routing.receivers;
        let mut webhooks = webhooks(channels, lookup)?;
        if let Some(adopted) = &catalog.response.alertmanager {
            webhooks.extend(self::adopted::addresses(adopted, lookup)?);
        }
        Ok(Self {
            people: people.collect(),
            receivers: receivers
                .iter()
                .map(|(name, receiver)| (name.clone(), receiver.email.clone()))
                .collect(),
            chat_url,
            slack: slack.transpose()?,
            slack_signing: slack_signing.map(SlackSigning),
            webhooks,
            bridge: channels
                .bridge
                .as_ref()
                .map(|bridge| resolved(bridge, lookup))
                .transpose()?,
        })
    }

    /// Where those who work on an incident of this severity meet: those of P0 do.
    #[must_use]
    pub fn bridge(&self, severity: Severity) -> Option<&Bridge> {
        self.bridge.as_ref().filter(|_| severity == Severity::P0)
    }

    /// Where those meet who work on what a message tells of, while it is not over. Webhooks and lists of mail addresses
    /// may be those of others, such as a bank that is told: they are not invited.
    #[must_use]
    pub fn bridge_for(&self, deliver: &Deliver, address: &Address) -> Option<&Bridge> {
        let message = &deliver.message;
        let tells_of_trouble =
            message.page.is_some() || message.incident.is_some() || message.notification.is_some();
        let is_list = matches!(
            (address, &deliver.to),
            (Address::Email(_), Recipient::Receiver(_))
        );
        let is_hook = matches!(
            address,
            Address::Webhook { .. }
                | Address::SignedWebhook { .. }
                | Address::AlertmanagerWebhook { .. }
                | Address::Templated(_)
        );
        let is_ours = !is_list && !is_hook;
        self.bridge(message.severity)
            .filter(|_| is_ours && tells_of_trouble && !message.resolved)
    }

    /// The addresses of chat and webhooks, each with what it is.
    pub fn urls(&self) -> impl Iterator<Item = (String, &str)> {
        let chat = self
            .chat_url
            .iter()
            .map(|url| ("the chat".to_owned(), url.as_str()));
        let slack = self
            .slack
            .iter()
            .map(|(url, _)| ("Slack".to_owned(), url.as_str()));
        let webhooks = self.webhooks.iter().filter_map(|(name, address)| match address {
            Address::Webhook { url }
            | Address::SignedWebhook { url, .. }
            | Address::AlertmanagerWebhook { url }
            | Address::PagerDuty { url, .. }
            | Address::Teams { url }
            | Address::Ntfy { url, .. } => Some((format!("the webhook {name}"), url.as_str())),
            Address::Templated(to) => Some((name.clone(), to.reach.url()?)),
            _ => None,
        });
        chat.chain(slack).chain(webhooks)
    }

    /// Whether Slack sent this now; without a signing secret, nothing is believed.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify_slack(
        &self,
        timestamp: &str,
        body: &[u8],
        signature: &str,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let secret = self.slack_signing.as_ref().ok_or(SignatureError::Wrong)?;
        signature::slack(&secret.0, timestamp, body, signature, now)
    }

    /// Whether an answer may be posted there: to Slack itself, or to where its API is said to be.
    #[must_use]
    pub fn is_slacks(&self, url: &str) -> bool {
        let origin = |url: &str| {
            let (scheme, rest) = url.split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            (!authority.contains(['@', '\\'])).then(|| format!("{scheme}://{authority}"))
        };
        let own = self.slack.as_ref().and_then(|(url, _)| origin(url));
        let given = origin(url);
        given.is_some() && (given.as_deref() == Some("https://hooks.slack.com") || given == own)
    }

    /// Who is called so in the chat, by the first of these names that is somebody's.
    #[must_use]
    pub fn by_chat(&self, names: &[&str]) -> Option<&str> {
        let bare = |name: &str| name.trim_start_matches('@').to_lowercase();
        names.iter().filter(|name| !name.is_empty()).find_map(|name| {
            let mut people = self.people.iter();
            let called = |contacts: &Contacts| contacts.chat.as_deref().map(bare) == Some(bare(name));
            people
                .find(|(_, contacts)| called(contacts))
                .map(|(person, _)| person.as_str())
        })
    }

    /// Whose telephone has this number.
    pub fn by_phone<'a>(&'a self, number: &'a str) -> impl Iterator<Item = &'a str> {
        let people = self.people.iter();
        people
            .filter(move |(_, contacts)| contacts.phone.as_deref() == Some(number))
            .map(|(person, _)| person.as_str())
    }

    /// Where a message goes, or why it can go nowhere.
    ///
    /// # Errors
    /// With the reason, if the recipient has no address for the channel.
    pub fn address(&self, deliver: &Deliver) -> Result<Address, String> {
        let nowhere = || format!("{:?} has no address for {}", deliver.to, deliver.channel.name());
        let chat = |channel: String| {
            if let Some((url, token)) = &self.slack {
                return Ok(Address::Slack {
                    url: url.clone(),
                    token: token.clone(),
                    channel,
                    buttons: self.slack_signing.is_some(),
                });
            }
            let url = self
                .chat_url
                .clone()
                .ok_or_else(|| "the catalog configures no chat".to_owned())?;
            Ok(Address::ChatWebhook {
                url,
                channel: Some(channel),
            })
        };
        match (deliver.channel, &deliver.to) {
            (Channel::Email, Recipient::Person(person)) => {
                let mail = self
                    .people
                    .get(person.as_str())
                    .and_then(|contacts| contacts.email.clone());
                mail.map(|mail| Address::Email(vec![mail])).ok_or_else(nowhere)
            }
            (Channel::Email, Recipient::Receiver(name)) => {
                let mails = self.receivers.get(name).filter(|addresses| !addresses.is_empty());
                let own = mails.cloned().map(Address::Email);
                own.or_else(|| self.webhooks.get(name).cloned())
                    .ok_or_else(nowhere)
            }
            (Channel::Chat, Recipient::Person(person)) => {
                let handle = self
                    .people
                    .get(person.as_str())
                    .and_then(|contacts| contacts.chat.as_deref())
                    .ok_or_else(nowhere)?;
                chat(handle.to_owned())
            }
            (Channel::Chat, Recipient::ChatChannel(channel)) => chat(channel.to_string()),
            (Channel::Sms | Channel::Voice, Recipient::Person(person)) => {
                let contacts = self.people.get(person.as_str());
                let number = contacts.and_then(|contacts| contacts.phone.clone());
                number.map(Address::Phone).ok_or_else(nowhere)
            }
            (Channel::Webhook, Recipient::Receiver(name)) => {
                self.webhooks.get(name).cloned().ok_or_else(nowhere)
            }
            _ => Err(nowhere()),
        }
    }
}

/// The secret with which Slack signs; it is not shown.
#[derive(Clone)]
struct SlackSigning(String);

impl std::fmt::Debug for SlackSigning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where an API is, without a slash at the end.
fn api(
    url: Option<&Setting>,
    default: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, SettingError> {
    let url = url.map_or_else(|| Ok(default.to_owned()), |url| url.resolve(lookup))?;
    Ok(url.trim_end_matches('/').to_owned())
}

/// A bridge with its settings filled in.
fn resolved(
    bridge: &response::Bridge,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Bridge, SettingError> {
    let url = bridge.url.value.resolve(&lookup)?;
    let phone = bridge.phone.as_ref().map(|phone| phone.value.resolve(&lookup));
    let phone = phone.transpose()?;
    let fault = response::Bridge::fault_of_url(&url);
    let fault = fault.or_else(|| response::Bridge::fault_of_phone(phone.as_deref()?));
    match fault {
        Some(fault) => Err(SettingError::Unusable(fault)),
        None => Ok(Bridge { url, phone }),
    }
}

/// Everything that a route may name among its `webhooks`.
fn webhooks(
    channels: &Channels,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Address>, SettingError> {
    let mut addresses = BTreeMap::new();
    for (name, url) in &channels.webhooks {
        let url = url.value.resolve(&lookup)?;
        let address = match channels.webhook_secrets.get(name) {
            Some(secret) => Address::SignedWebhook {
                url,
                secret: secret.value.resolve(&lookup)?.into(),
            },
            None => Address::Webhook { url },
        };
        addresses.insert(name.clone(), address);
    }
    for (name, url) in &channels.alertmanager_webhooks {
        let url = url.value.resolve(&lookup)?;
        addresses.insert(name.clone(), Address::AlertmanagerWebhook { url });
    }
    for (name, url) in &channels.teams {
        let url = url.value.resolve(&lookup)?;
        addresses.insert(name.clone(), Address::Teams { url });
    }
    for (name, service) in &channels.pagerduty {
        let address = Address::PagerDuty {
            url: api(service.url.as_ref(), PAGERDUTY, &lookup)?,
            routing_key: service.routing_key.value.resolve(&lookup)?.into(),
        };
        addresses.insert(name.clone(), address);
    }
    for (name, topic) in &channels.ntfy {
        let token = topic.token.as_ref().map(|token| token.value.resolve(&lookup));
        let address = Address::Ntfy {
            url: topic.url.resolve(&lookup)?,
            topic: topic.topic.resolve(&lookup)?,
            token: token.transpose()?.map(Secret::from),
        };
        addresses.insert(name.clone(), address);
    }
    Ok(addresses)
}
