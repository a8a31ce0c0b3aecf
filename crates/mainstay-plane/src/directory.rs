//! Where people and receivers are reached: looked up when a message is sent, never kept in events.

use std::collections::BTreeMap;

use mainstay_catalog::Catalog;
use mainstay_catalog::response::SettingError;
use mainstay_delivery::channel::Address;
use mainstay_kernel::effect::{Channel, Deliver, Recipient};

/// The addresses of a catalog, with its settings resolved.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    people: BTreeMap<String, (Option<String>, Option<String>)>,
    receivers: BTreeMap<String, Vec<String>>,
    chat_url: Option<String>,
    webhooks: BTreeMap<String, String>,
}

impl Directory {
    /// Takes the addresses from a catalog; `lookup` gives the values of its `${VARIABLES}`.
    ///
    /// # Errors
    /// If a variable that a channel needs is not set.
    pub fn new(catalog: &Catalog, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let channels = &catalog.response.channels;
        let chat_url = channels
            .chat
            .as_ref()
            .map(|chat| chat.url.value.resolve(&lookup))
            .transpose()?;
        let webhooks = channels
            .webhooks
            .iter()
            .map(|(name, url)| Ok((name.clone(), url.value.resolve(&lookup)?)));
        let people = catalog.platform.people.iter().map(|(id, person)| {
            (
                id.to_string(),
                (person.contacts.email.clone(), person.contacts.chat.clone()),
            )
        });
        let receivers = &catalog.response.routing.receivers;
        Ok(Self {
            people: people.collect(),
            receivers: receivers
                .iter()
                .map(|(name, receiver)| (name.clone(), receiver.email.clone()))
                .collect(),
            chat_url,
            webhooks: webhooks.collect::<Result<_, SettingError>>()?,
        })
    }

    /// The addresses of chat and webhooks, each with what it is.
    pub fn urls(&self) -> impl Iterator<Item = (String, &str)> {
        let chat = self
            .chat_url
            .iter()
            .map(|url| ("the chat".to_owned(), url.as_str()));
        let webhooks = self.webhooks.iter();
        chat.chain(webhooks.map(|(name, url)| (format!("the webhook {name}"), url.as_str())))
    }

    /// Where a message goes, or why it can go nowhere.
    ///
    /// # Errors
    /// With the reason, if the recipient has no address for the channel.
    pub fn address(&self, deliver: &Deliver) -> Result<Address, String> {
        let nowhere = || format!("{:?} has no address for {}", deliver.to, deliver.channel.name());
        let chat = |channel: String| {
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
                    .and_then(|(mail, _)| mail.clone());
                mail.map(|mail| Address::Email(vec![mail])).ok_or_else(nowhere)
            }
            (Channel::Email, Recipient::Receiver(name)) => {
                let mails = self.receivers.get(name).filter(|addresses| !addresses.is_empty());
                mails.cloned().map(Address::Email).ok_or_else(nowhere)
            }
            (Channel::Chat, Recipient::Person(person)) => {
                let handle = self
                    .people
                    .get(person.as_str())
                    .and_then(|(_, chat)| chat.as_deref())
                    .ok_or_else(nowhere)?;
                chat(handle.to_owned())
            }
            (Channel::Chat, Recipient::ChatChannel(channel)) => chat(channel.to_string()),
            (Channel::Webhook, Recipient::Receiver(name)) => self
                .webhooks
                .get(name)
                .map(|url| Address::Webhook { url: url.clone() })
                .ok_or_else(nowhere),
            _ => Err(nowhere()),
        }
    }
}
