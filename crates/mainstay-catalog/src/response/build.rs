//! From documents to the response model: references resolved, routes completed, and everybody who may be paged
//! reachable.

use std::collections::{BTreeMap, BTreeSet};

use super::adopted::{self, AdoptedSpec};
use super::check_policy::Context;
use super::check_rota::{check_rota, complete_rota};
use super::complete::complete;
use super::rota::RotaSpec;
use super::routing::RoutingSpec;
use super::watchdog::{self, Watchdog, WatchdogHost};
use super::{Bridge, Channels, EscalationPolicy, Response, Rota, Setting, heartbeat};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::documents::Documents;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::platform::{Person, Platform};
use crate::spanned::Spanned;

impl Response {
    /// Builds the model. Whatever is wrong is reported; what is right is in the model all the same.
    #[must_use]
    pub fn build(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) -> Self {
        let channels = only::<Channels>(documents, "Channels", diagnostics);
        let rotas = documents.specs::<RotaSpec>("Rota", diagnostics);
        let rotas = by_name("rota", rotas, diagnostics);
        let rotas: BTreeMap<String, Sourced<'_, Rota>> = rotas
            .into_iter()
            .map(|(name, rota)| (name, complete_rota(rota, diagnostics)))
            .collect();
        let policies = documents.specs::<EscalationPolicy>("EscalationPolicy", diagnostics);
        let policies = by_name("escalation policy", policies, diagnostics);
        let routing = only::<RoutingSpec>(documents, "Routing", diagnostics);
        let has_routing = documents.of_kind("Routing").next().is_some();
        let configs = adopted::read(documents, diagnostics);
        let named = only::<AdoptedSpec>(documents, "AlertmanagerRouting", diagnostics);
        let has_config = !configs.is_empty();
        let config = adopted::choose(configs, named.as_ref(), has_routing, diagnostics);
        if !has_routing && !has_config {
            let message = "the catalog has no document of kind Routing: no alert would reach anybody";
            diagnostics.push(
                Diagnostic::whole_file(lint::MISSING_DOCUMENT, "routing.yaml", message)
                    .help("add one with `receivers` and a `route`, or an Alertmanager's configuration"),
            );
        }

        if let Some(channels) = &channels {
            check_secrets(channels, diagnostics);
            check_names(channels, diagnostics);
            check_bridge(channels, diagnostics);
        }
        let mut channels = channels.map(|channels| channels.value).unwrap_or_default();
        let (routing, alertmanager) = match config {
            Some((document, found)) => {
                let (value, adopted) =
                    adopted::take(document, found, named, &policies, &mut channels, diagnostics);
                (Some((Sourced { document, value }, false)), Some(adopted))
            }
            None => (routing.map(|routing| (routing, true)), None),
        };
        for rota in rotas.values() {
            check_rota(rota, &rotas, platform, diagnostics);
        }
        let context = Context {
            platform,
            rotas: &rotas,
            channels: &channels,
        };
        for policy in policies.values() {
            context.check_policy(policy, diagnostics);
        }
        let routing =
            routing.map(|(routing, native)| complete(routing, native, &policies, &channels, diagnostics));
        // What is wrong with the list itself was said when the platform was built.
        for person in documents.items::<Person>("People", &mut Diagnostics::default()) {
            context.check_person(&person, diagnostics);
        }
        let routing = routing.unwrap_or_default();
        let watchdog = only::<Watchdog>(documents, "Watchdog", diagnostics);
        if let Some(watchdog) = &watchdog {
            watchdog::check(watchdog, &routing, &channels, diagnostics);
        }
        let host = only::<WatchdogHost>(documents, "WatchdogHost", diagnostics);
        if let Some(host) = &host {
            watchdog::check_host(host, diagnostics);
            let secrets = host.value.channels.secrets().chain([&host.value.secret]);
            check_secret(host.document, secrets, diagnostics);
        }
        let heartbeats = heartbeat::build(documents, platform, &routing, diagnostics);
        Self {
            alertmanager,
            routing,
            rotas: values(rotas),
            policies: values(policies),
            channels,
            heartbeats,
            watchdog: watchdog.map(|watchdog| watchdog.value),
            watchdog_host: host.map(|host| host.value),
        }
    }
}

/// A route finds a receiver by its name alone, and a secret its webhook.
fn check_names(channels: &Sourced<'_, Channels>, diagnostics: &mut Diagnostics) {
    let document = channels.document;
    let mut names = BTreeSet::new();
    for twice in channels.value.receivers().filter(|name| !names.insert(*name)) {
        let message = format!("two receivers are called {twice}");
        diagnostics.push(
            document
                .diagnostic(lint::DUPLICATE_NAME, document.at, message)
                .help("names are unique over webhooks, alertmanager_webhooks, teams, pagerduty and ntfy"),
        );
    }
    for (name, secret) in &channels.value.webhook_secrets {
        if !channels.value.webhooks.contains_key(name) {
            let message = format!("a secret for the webhook {name}, which there is not");
            diagnostics.push(
                document
                    .diagnostic(lint::UNKNOWN_REFERENCE, secret.at, message)
                    .help("name one of `webhooks`, or leave it out"),
            );
        }
    }
}

/// People find out that a link leads nowhere when they are needed there: it is read before.
fn check_bridge(channels: &Sourced<'_, Channels>, diagnostics: &mut Diagnostics) {
    let Some(bridge) = &channels.value.bridge else {
        return;
    };
    let written = |setting: &Setting| !setting.as_str().contains("${");
    let url = Some((&bridge.url, Bridge::fault_of_url as fn(&str) -> Option<String>));
    let phone = bridge
        .phone
        .as_ref()
        .map(|phone| (phone, Bridge::fault_of_phone as fn(&str) -> Option<String>));
    for (setting, fault) in url.into_iter().chain(phone) {
        let Some(fault) = fault(setting.as_str()).filter(|_| written(&setting.value)) else {
            continue;
        };
        diagnostics.push(
            channels
                .document
                .diagnostic(lint::BAD_VALUE, setting.at, fault)
                .help("such as `bridge: {url: \"https://meet.shop.example/p0\", phone: \"+27115550100,,1234#\"}`"),
        );
    }
}

/// The one document of a kind of which there is only one.
fn only<'a, T: serde::de::DeserializeOwned>(
    documents: &'a Documents,
    kind: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Sourced<'a, T>> {
    let mut specs = documents.specs::<T>(kind, diagnostics).into_iter();
    let (_, first) = specs.next()?;
    for (name, other) in specs {
        let message = format!("a second document of kind {kind}");
        let help = format!("keep one; the first is in {}", first.document.file);
        diagnostics.push(
            other
                .document
                .diagnostic(lint::DUPLICATE_NAME, name.at, message)
                .help(help),
        );
    }
    Some(first)
}

fn check_secrets(channels: &Sourced<'_, Channels>, diagnostics: &mut Diagnostics) {
    let document = channels.document;
    let urls = channels
        .value
        .chat
        .iter()
        .map(|chat| &chat.url)
        .chain(channels.value.webhooks.values())
        .chain(channels.value.alertmanager_webhooks.values());
    // Slack puts the secret into the path, and others put it before an @.
    let secret_urls =
        urls.filter(|url| url.as_str().contains("hooks.slack.com") || url.as_str().contains('@'));
    check_secret(document, channels.value.secrets().chain(secret_urls), diagnostics);
}

fn check_secret<'a>(
    document: &Document,
    secrets: impl Iterator<Item = &'a Spanned<Setting>>,
    diagnostics: &mut Diagnostics,
) {
    for secret in secrets.filter(|setting| !setting.is_variable()) {
        let message = "a secret written into the catalog";
        diagnostics.push(
            document
                .diagnostic(lint::SECRET_IN_CATALOG, secret.at, message)
                .help(
                    "write `${NAME}` and set NAME in the environment of the binary; then change the secret",
                ),
        );
    }
}
