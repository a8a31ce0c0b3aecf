//! Where the integrations of an Alertmanager's configuration are reached, and in what words.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_catalog::alertmanager::{self, Wording};
use mainstay_catalog::response::{Adopted, Setting, SettingError};
use mainstay_delivery::channel::{Address, Secret};
use mainstay_delivery::templated::{Login, Reach, Templated, Texts};
use mainstay_template::{Limits, Templates, Version};

use super::PAGERDUTY;

/// The addresses by the names of the integrations.
pub(super) fn addresses(
    adopted: &Adopted,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Address>, SettingError> {
    let mut templates = Templates::with_defaults(Limits::default(), Version::default());
    for (name, text) in &adopted.template_files {
        // One that is no template was refused when the catalog was checked.
        if let Err(error) = templates.add(name, text) {
            tracing::warn!(%error, "a template file is left out");
        }
    }
    let templates = Arc::new(templates);
    let mut addresses = BTreeMap::new();
    for (name, address) in &adopted.addresses {
        let wording = adopted.wordings.get(name).cloned().unwrap_or_else(|| Wording {
            kind: String::new(),
            receiver: name.clone(),
            texts: BTreeMap::new(),
        });
        let texts = Arc::new(Texts {
            templates: Arc::clone(&templates),
            wording,
        });
        let reach = reach(address, &lookup)?;
        addresses.insert(
            name.clone(),
            Address::Templated(Box::new(Templated { reach, texts })),
        );
    }
    Ok(addresses)
}

fn reach(
    address: &alertmanager::Address,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Reach, SettingError> {
    // Files end with a newline that is no part of what they hold.
    let text = |setting: &Setting| setting.resolve(&lookup).map(|text| text.trim().to_owned());
    let secret = |setting: &Setting| text(setting).map(Secret::from);
    Ok(match address {
        alertmanager::Address::Email { to } => Reach::Mail { to: to.clone() },
        alertmanager::Address::SlackWebhook { url, channel } => Reach::SlackWebhook {
            url: text(url)?,
            channel: channel.clone(),
        },
        alertmanager::Address::SlackBot { url, token, channel } => Reach::SlackBot {
            url: text(url)?,
            token: secret(token)?,
            channel: channel.clone(),
        },
        alertmanager::Address::PagerDuty { url, routing_key } => Reach::PagerDuty {
            url: match url {
                Some(url) => text(url)?,
                None => PAGERDUTY.to_owned(),
            },
            routing_key: secret(routing_key)?,
        },
        alertmanager::Address::Webhook { url, login } => Reach::Webhook {
            url: text(url)?,
            login: match login {
                Some(alertmanager::Login::Basic { username, password }) => {
                    Some(Login::Basic(text(username)?, secret(password)?))
                }
                Some(alertmanager::Login::Bearer { token }) => Some(Login::Bearer(secret(token)?)),
                None => None,
            },
        },
        alertmanager::Address::Teams { url } => Reach::Teams { url: text(url)? },
    })
}
