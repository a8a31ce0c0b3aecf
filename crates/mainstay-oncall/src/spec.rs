//! What on-call needs of the catalog.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_catalog::Platform;
use mainstay_catalog::response::{EscalationPolicy, NotifyStep, Response, Rota};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{PersonId, Severity};

/// Rotas, policies, and who can be reached how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OncallSpec {
    /// Rotas by name.
    pub rotas: BTreeMap<String, Rota>,
    /// Escalation policies by name.
    pub policies: BTreeMap<String, EscalationPolicy>,
    /// The policy for pages that name none: that of the first receiver that pages.
    pub default_policy: Option<String>,
    /// The channels for which a person has an address.
    pub reach: BTreeMap<PersonId, BTreeSet<Channel>>,
    /// How people want to be told, where they say so.
    pub notify: BTreeMap<PersonId, BTreeMap<Severity, Vec<NotifyStep>>>,
}

impl OncallSpec {
    /// Takes from a catalog what on-call needs.
    #[must_use]
    pub fn from_catalog(platform: &Platform, response: &Response) -> Self {
        let reach = platform.people.iter().map(|(id, person)| {
            let email = person.contacts.email.as_ref().map(|_| Channel::Email);
            let chat = person.contacts.chat.as_ref().map(|_| Channel::Chat);
            let phone = person.contacts.dialled();
            let phone = phone.into_iter().flat_map(|_| [Channel::Sms, Channel::Voice]);
            let reach = [email, chat].into_iter().flatten().chain(phone);
            (id.clone(), reach.collect())
        });
        let paging = response
            .routing
            .receivers
            .values()
            .find_map(|receiver| receiver.page.as_ref());
        Self {
            rotas: response.rotas.clone(),
            policies: response.policies.clone(),
            default_policy: paging
                .map(|policy| policy.value.clone())
                .or_else(|| response.policies.keys().next().cloned()),
            reach: reach.collect(),
            notify: platform
                .people
                .iter()
                .filter(|(_, person)| !person.notify.is_empty())
                .map(|(id, person)| (id.clone(), person.notify.clone()))
                .collect(),
        }
    }

    /// The policy of this name or, where the catalog lacks it, the default one; with the name of the one that counts. A
    /// process may start with a catalog that lacks the policy of an open page: that page climbs nevertheless.
    #[must_use]
    pub fn policy<'a>(&'a self, name: &str) -> Option<(&'a str, &'a EscalationPolicy)> {
        let default = || self.policies.get_key_value(self.default_policy.as_ref()?);
        let found = self.policies.get_key_value(name).or_else(default);
        found.map(|(name, policy)| (name.as_str(), policy))
    }
}
