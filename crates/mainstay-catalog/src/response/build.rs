//! From documents to the response model: references resolved, routes completed, and everybody who may be paged
//! reachable.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::PersonId;

use super::check_policy::Context;
use super::complete::complete;
use super::routing::RoutingSpec;
use super::{Channels, EscalationPolicy, Response, Rota};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::documents::Documents;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::platform::Platform;

impl Response {
    /// Builds the model. Whatever is wrong is reported; what is right is in the model all the same.
    #[must_use]
    pub fn build(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) -> Self {
        let channels = only::<Channels>(documents, "Channels", diagnostics);
        let rotas = by_name("rota", documents.specs::<Rota>("Rota", diagnostics), diagnostics);
        let policies = documents.specs::<EscalationPolicy>("EscalationPolicy", diagnostics);
        let policies = by_name("escalation policy", policies, diagnostics);
        let routing = only::<RoutingSpec>(documents, "Routing", diagnostics);
        if documents.of_kind("Routing").next().is_none() {
            let message = "the catalog has no document of kind Routing: no alert would reach anybody";
            diagnostics.push(
                Diagnostic::whole_file(lint::MISSING_DOCUMENT, "routing.yaml", message)
                    .help("add one with `receivers` and a `route`"),
            );
        }

        if let Some(channels) = &channels {
            check_secrets(channels, diagnostics);
            check_names(channels, diagnostics);
        }
        let channels = channels.map(|channels| channels.value).unwrap_or_default();
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
        let routing = routing.map(|routing| complete(routing, &policies, &channels, diagnostics));
        Self {
            routing: routing.unwrap_or_default(),
            rotas: values(rotas),
            policies: values(policies),
            channels,
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
                .help("names are unique over webhooks, teams, pagerduty and ntfy"),
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
        .chain(channels.value.webhooks.values());
    // Slack puts the secret into the path, and others put it before an @.
    let secret_urls =
        urls.filter(|url| url.as_str().contains("hooks.slack.com") || url.as_str().contains('@'));
    for secret in channels
        .value
        .secrets()
        .chain(secret_urls)
        .filter(|setting| !setting.is_variable())
    {
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

fn check_rota(
    rota: &Sourced<'_, Rota>,
    rotas: &BTreeMap<String, Sourced<'_, Rota>>,
    platform: &Platform,
    diagnostics: &mut Diagnostics,
) {
    let Rota {
        handoff,
        start,
        turn_days,
        participants,
        backs_up,
        ..
    } = &rota.value;
    let document = rota.document;
    for person in participants
        .iter()
        .filter(|person| !platform.people.contains_key(&person.value))
    {
        let known = platform.people.keys().map(AsRef::as_ref);
        diagnostics.push(document.unknown_reference("person", person, known));
    }
    if participants.is_empty() {
        let message = "a rota without participants: nobody would be on call";
        diagnostics.push(
            document
                .diagnostic(lint::BAD_VALUE, document.at, message)
                .help("name at least one person"),
        );
    }
    if turn_days.value == 0 {
        let message = "a turn lasts at least one day";
        diagnostics.push(document.diagnostic(lint::BAD_VALUE, turn_days.at, message));
    }
    if let Some(weekday) = handoff.weekday {
        if start.value.weekday() != weekday.into() {
            let message = format!(
                "{start} is a {:?}, the handoff is on {weekday:?}",
                start.value.weekday()
            );
            let nearest = start.value.nth_weekday(1, weekday.into());
            let help = nearest.map_or_else(
                |_| String::new(),
                |date| format!("the next {weekday:?} is {date}"),
            );
            diagnostics.push(
                document
                    .diagnostic(lint::HANDOFF_WEEKDAY, start.at, message)
                    .help(help),
            );
        }
        if turn_days.value % 7 != 0 {
            let message = format!("turns of {turn_days} days do not change on the same day of the week");
            let help = "use a multiple of 7, or leave the handoff's weekday out";
            diagnostics.push(
                document
                    .diagnostic(lint::HANDOFF_WEEKDAY, turn_days.at, message)
                    .help(help),
            );
        }
    }
    if let Some(name) = backs_up {
        match rotas.get(&name.value) {
            Some(primary) => check_backup(rota, &primary.value, platform, diagnostics),
            None => {
                diagnostics.push(document.unknown_reference("rota", name, rotas.keys().map(String::as_str)))
            }
        }
    }
}

/// In each turn, the backup and the one they back up must be of different teams.
fn check_backup(
    rota: &Sourced<'_, Rota>,
    primary: &Rota,
    platform: &Platform,
    diagnostics: &mut Diagnostics,
) {
    let backup = &rota.value;
    let in_step = (
        &backup.start.value,
        backup.turn_days.value,
        &backup.handoff,
        &backup.time_zone,
    ) == (
        &primary.start.value,
        primary.turn_days.value,
        &primary.handoff,
        &primary.time_zone,
    );
    if !in_step {
        // Turns that overlap in other ways are judged where shifts are computed.
        return;
    }
    let team = |person: &PersonId| platform.people.get(person).map(|person| &person.team.value);
    let (own, other) = (backup.participants.len(), primary.participants.len());
    let mut reported = BTreeSet::new();
    for turn in 0..own * other {
        let (Some(second), Some(first)) = (
            backup.participants.get(turn % own),
            primary.participants.get(turn % other),
        ) else {
            return;
        };
        let shared = team(&second.value).filter(|own| Some(*own) == team(&first.value));
        if let Some(shared) = shared.filter(|_| reported.insert(second.at)) {
            let message = format!("{second} backs up {first}, and both are of {shared}");
            diagnostics.push(
                rota.document
                    .diagnostic(lint::SAME_TEAM_BACKUP, second.at, message)
                    .help("choose somebody of another team for this turn, or reorder the participants"),
            );
        }
    }
}
