//! By which ways a watchdog reaches humans.

use mainstay_catalog::Catalog;
use mainstay_catalog::response::{SettingError, WatchdogHost};
use mainstay_delivery::channel::Address;
use mainstay_kernel::effect::{Channel, Deliver, Message, Recipient};
use mainstay_kernel::{PersonId, Severity};
use mainstay_plane::Directory;

use super::machine::{Kind, Notice};

/// The receiver's name in what is sent.
const NAME: &str = "watchdog";

/// Every way, in order.
pub(super) struct Ways {
    ways: Vec<Way>,
    urls: Vec<(String, String)>,
}

struct Way {
    name: String,
    channel: Channel,
    to: Recipient,
    address: Address,
}

impl Ways {
    /// The ways of a configuration, with its settings resolved.
    ///
    /// # Errors
    /// If a variable is not set.
    pub(super) fn of(
        host: &WatchdogHost,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingError> {
        let receiver = host.page.receiver(NAME);
        let mut catalog = Catalog::default();
        catalog.response.channels = host.channels.clone();
        let receivers = &mut catalog.response.routing.receivers;
        receivers.insert(NAME.to_owned(), receiver.clone());
        let directory = Directory::new(&catalog, lookup)?;
        let mut ways = Vec::new();
        for (channel, to) in receiver.recipients() {
            let asked = deliver(channel, to.clone(), message(Kind::Silent, "", ""));
            // What it names was checked with the configuration.
            let Ok(address) = directory.address(&asked) else {
                continue;
            };
            ways.push(Way {
                name: format!("{}/{}", channel.name(), to.name()),
                channel,
                to,
                address,
            });
        }
        for (channel, number) in host.page.telephones() {
            // A telephone is a person's; whose it is, the watchdog does not know.
            let Ok(person) = PersonId::new(NAME) else { continue };
            ways.push(Way {
                name: format!("{}/{number}", channel.name()),
                channel,
                to: Recipient::Person(person),
                address: Address::Phone(number.to_owned()),
            });
        }
        let urls = directory.urls();
        let urls = urls.map(|(what, url)| (what, url.to_owned())).collect();
        Ok(Self { ways, urls })
    }

    /// The URLs among the addresses, each with what it is.
    pub(super) fn urls(&self) -> Vec<(String, String)> {
        self.urls.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.ways.iter().map(|way| way.name.clone()).collect()
    }

    /// What is to be sent, and where to; `None` for a way that there is no more.
    pub(super) fn deliver(&self, notice: &Notice) -> Option<(Address, Deliver)> {
        let way = self.ways.iter().find(|way| way.name == notice.way)?;
        let message = message(notice.kind, &notice.subject, &notice.body);
        Some((way.address.clone(), deliver(way.channel, way.to.clone(), message)))
    }
}

fn deliver(channel: Channel, to: Recipient, message: Message) -> Deliver {
    Deliver { channel, to, message }
}

fn message(kind: Kind, subject: &str, body: &str) -> Message {
    Message {
        subject: subject.to_owned(),
        body: body.to_owned(),
        notification: None,
        change: None,
        severity: Severity::P0,
        resolved: kind == Kind::Well,
        incident: None,
        page: None,
        path: String::new(),
    }
}
