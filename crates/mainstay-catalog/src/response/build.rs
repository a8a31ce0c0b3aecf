//! From documents to the response model: references resolved, routes completed, and everybody who may be paged
//! reachable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{Labels, PersonId, Severity};

use super::routing::{RouteSpec, RoutingSpec};
use super::{Channels, EscalationPolicy, GroupBy, Response, Rota, Route, Routing, Target, parse_matcher};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::documents::Documents;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::platform::Platform;
use crate::spanned::Spanned;

/// How long a page may wait before somebody else is paged (ruling R15).
const ACKNOWLEDGE_WITHIN: SignedDuration = SignedDuration::from_mins(5);

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
    let password = channels
        .value
        .smtp
        .iter()
        .filter_map(|smtp| smtp.password.as_ref());
    let urls = channels
        .value
        .chat
        .iter()
        .map(|chat| &chat.url)
        .chain(channels.value.webhooks.values());
    // Slack puts the secret into the path, and others put it before an @.
    let secret_urls =
        urls.filter(|url| url.as_str().contains("hooks.slack.com") || url.as_str().contains('@'));
    for secret in password
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

struct Context<'a> {
    platform: &'a Platform,
    rotas: &'a BTreeMap<String, Sourced<'a, Rota>>,
    channels: &'a Channels,
}

impl Context<'_> {
    fn check_policy(&self, policy: &Sourced<'_, EscalationPolicy>, diagnostics: &mut Diagnostics) {
        let document = policy.document;
        let mut report = |diagnostic| diagnostics.push(diagnostic);
        let policy = &policy.value;
        for level in &policy.levels {
            if level.targets.is_empty() {
                let message = "a level without targets";
                report(
                    document
                        .diagnostic(lint::BAD_VALUE, level.after.at, message)
                        .help("name a rota or a person"),
                );
            }
            for target in &level.targets {
                self.check_target(document, policy, target, &mut report);
            }
        }
        for pair in policy.levels.windows(2) {
            if pair[1].after < pair[0].after {
                let message = "levels out of order";
                let help = "write the levels in order of time";
                report(
                    document
                        .diagnostic(lint::BAD_VALUE, pair[1].after.at, message)
                        .help(help),
                );
            }
        }
        for severity in Severity::ALL.into_iter().filter(|severity| severity.pages()) {
            self.check_severity(document, policy, severity, &mut report);
        }
        for channel in policy.channels.values().flatten() {
            let configured = match channel.value {
                Channel::Email => self.channels.smtp.is_some(),
                Channel::Chat => self.channels.chat.is_some(),
                Channel::Webhook => !self.channels.webhooks.is_empty(),
            };
            if !configured {
                let key = match channel.value {
                    Channel::Email => "smtp",
                    Channel::Chat => "chat",
                    Channel::Webhook => "webhooks",
                };
                let message = format!("nothing says how to reach people by {}", channel.value.name());
                report(
                    document
                        .diagnostic(lint::UNKNOWN_REFERENCE, channel.at, message)
                        .help(format!("add `{key}` to the document of kind Channels")),
                );
            }
        }
    }

    fn check_severity(
        &self,
        document: &Document,
        policy: &EscalationPolicy,
        severity: Severity,
        report: &mut impl FnMut(Diagnostic),
    ) {
        let paging: Vec<_> = policy
            .levels_for(severity)
            .map(|(_, level)| level)
            .filter(|level| !level.inform)
            .collect();
        let (Some(first), second) = (paging.first(), paging.get(1)) else {
            let message = format!("no level pages anybody for {severity}");
            report(
                document
                    .diagnostic(lint::ACKNOWLEDGE_IN_TIME, document.at, message)
                    .help("add a level"),
            );
            return;
        };
        if policy.channels_for(severity).next().is_none() {
            let message = format!("no channel for {severity}");
            let help = format!("add `{severity}: [email, chat]` to `channels`");
            report(
                document
                    .diagnostic(lint::BAD_VALUE, document.at, message)
                    .help(help),
            );
        }
        let waited = second.map(|second| (second, second.delay().checked_sub(first.delay())));
        match waited {
            Some((_, Some(wait))) if wait <= ACKNOWLEDGE_WITHIN => {}
            Some((second, _)) => {
                let message = format!(
                    "a {severity} page waits {} for an acknowledgement",
                    second.after.value
                );
                report(
                    document
                        .diagnostic(lint::ACKNOWLEDGE_IN_TIME, second.after.at, message)
                        .help("page the next one after 5m at most"),
                );
            }
            None => {
                let message = format!("if nobody acknowledges a {severity} page, nobody else is paged");
                report(
                    document
                        .diagnostic(lint::ACKNOWLEDGE_IN_TIME, first.after.at, message)
                        .help("add a level 5m later, with somebody else"),
                );
            }
        }
        let mut paged_at: BTreeMap<&PersonId, String> = BTreeMap::new();
        for level in paging {
            for target in &level.targets {
                let Target::Person(person) = target else { continue };
                if let Some(before) = paged_at.insert(&person.value, level.after.value.to_string()) {
                    let message = format!(
                        "{person} is paged for {severity} after {before} and again after {}",
                        level.after.value
                    );
                    report(
                        document
                            .diagnostic(lint::DIRECTOR_INFORMED, person.at, message)
                            .help("mark the first of the two `inform: true`: told at once, paged later"),
                    );
                }
            }
        }
    }

    fn check_target(
        &self,
        document: &Document,
        policy: &EscalationPolicy,
        target: &Target,
        report: &mut impl FnMut(Diagnostic),
    ) {
        let people: Vec<&Spanned<PersonId>> = match target {
            Target::Rota(name) => match self.rotas.get(&name.value) {
                Some(rota) => rota.value.participants.iter().collect(),
                None => {
                    let known = self.rotas.keys().map(String::as_str);
                    return report(document.unknown_reference("rota", name, known));
                }
            },
            Target::Person(person) if !self.platform.people.contains_key(&person.value) => {
                let known = self.platform.people.keys().map(AsRef::as_ref);
                return report(document.unknown_reference("person", person, known));
            }
            Target::Person(person) => vec![person],
        };
        let at = match target {
            Target::Rota(name) => name.at,
            Target::Person(person) => person.at,
        };
        for id in people {
            let Some(person) = self.platform.people.get(&id.value) else {
                continue;
            };
            let reachable = policy
                .channels
                .values()
                .flatten()
                .any(|channel| match channel.value {
                    Channel::Email => person.contacts.email.is_some(),
                    Channel::Chat => person.contacts.chat.is_some(),
                    Channel::Webhook => false,
                });
            if !reachable {
                let message = format!("{id} cannot be reached by any channel of this policy");
                let help = format!("give {id} an address for one of the policy's channels");
                report(
                    document
                        .diagnostic(lint::UNREACHABLE_PERSON, at, message)
                        .help(help),
                );
            }
        }
    }
}

/// Resolves the receivers and completes the routes by inheritance.
fn complete(
    routing: Sourced<'_, RoutingSpec>,
    policies: &BTreeMap<String, Sourced<'_, EscalationPolicy>>,
    channels: &Channels,
    diagnostics: &mut Diagnostics,
) -> Routing {
    let Sourced {
        document,
        value: RoutingSpec { receivers, route },
    } = routing;
    let named = receivers
        .into_iter()
        .map(|value| (value.name.clone(), Sourced { document, value }));
    let receivers = values(by_name("receiver", named, diagnostics));
    for receiver in receivers.values() {
        if let Some(policy) = receiver
            .page
            .as_ref()
            .filter(|policy| !policies.contains_key(&policy.value))
        {
            let known = policies.keys().map(String::as_str);
            diagnostics.push(document.unknown_reference("escalation policy", policy, known));
        }
        for webhook in receiver
            .webhooks
            .iter()
            .filter(|name| !channels.webhooks.contains_key(&name.value))
        {
            let known = channels.webhooks.keys().map(String::as_str);
            diagnostics.push(document.unknown_reference("webhook", webhook, known));
        }
        let first_post = receiver.chat.first().filter(|_| channels.chat.is_none());
        if let Some(channel) = first_post {
            let message = "nothing says how to reach the chat";
            diagnostics.push(
                document
                    .diagnostic(lint::UNKNOWN_REFERENCE, channel.at, message)
                    .help("add `chat` to the document of kind Channels"),
            );
        }
    }

    let mut report = |diagnostic| diagnostics.push(diagnostic);
    let root_at = route.at;
    let root = &route.value;
    if root.receiver.is_none() {
        let message = "the root route has no receiver";
        report(
            document
                .diagnostic(lint::MISSING_KEY, root_at, message)
                .help("add `receiver:`: it takes what no other route takes"),
        );
    }
    if let Some(matcher) = root.matchers.first() {
        let message = "the root route has matchers";
        report(
            document
                .diagnostic(lint::BAD_VALUE, matcher.at, message)
                .help("it matches everything: put them on a route below it"),
        );
    }
    if root.continues {
        let message = "the root route continues";
        report(
            document
                .diagnostic(lint::BAD_VALUE, root_at, message)
                .help("nothing comes after the root: leave `continue` out"),
        );
    }
    let known: BTreeSet<&str> = receivers.keys().map(String::as_str).collect();
    let mut tree = inherit(document, root, &Route::default(), &known, &mut report);
    tree.matchers.clear();
    tree.continues = false;
    let routing = Routing {
        receivers,
        route: tree,
    };

    for (severity, word) in [(Severity::P0, "critical"), (Severity::P1, "high")] {
        let labels: Labels = [("priority", severity.to_string()), ("severity", word.to_owned())]
            .into_iter()
            .collect();
        let taken = routing.route.matching(&labels);
        let pages = taken.iter().any(|(_, route)| {
            routing
                .receivers
                .get(&route.receiver)
                .is_some_and(|receiver| receiver.page.is_some())
        });
        if !pages {
            let names: Vec<&str> = taken.iter().map(|(_, route)| route.receiver.as_str()).collect();
            let message = format!(
                "an alert with severity={word:?} and priority=\"{severity}\" goes to {}, which pages nobody",
                names.join(", ")
            );
            let at = root.receiver.as_ref().map_or(root_at, |receiver| receiver.at);
            diagnostics.push(
                document
                    .diagnostic(lint::SEVERITY_UNROUTED, at, message)
                    .help("add a route for it whose receiver has `page:`"),
            );
        }
    }
    routing
}

fn inherit(
    document: &Document,
    spec: &RouteSpec,
    above: &Route,
    receivers: &BTreeSet<&str>,
    report: &mut impl FnMut(Diagnostic),
) -> Route {
    if let Some(receiver) = spec
        .receiver
        .as_ref()
        .filter(|name| !receivers.contains(name.as_str()))
    {
        report(document.unknown_reference("receiver", receiver, receivers.iter().copied()));
    }
    let mut matchers = Vec::new();
    for text in &spec.matchers {
        match parse_matcher(text) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => report(
                document
                    .diagnostic(lint::BAD_VALUE, text.at, error.to_string())
                    .help("write it as Alertmanager does: 'severity=\"critical\"'"),
            ),
        }
    }
    let group_by = spec.group_by.as_ref().map(|names| {
        if names.iter().any(|name| name.value == "...") {
            GroupBy::All
        } else {
            GroupBy::Labels(names.iter().map(|name| name.value.clone()).collect())
        }
    });
    let mut route = Route {
        receiver: spec
            .receiver
            .as_ref()
            .map_or_else(|| above.receiver.clone(), |name| name.value.clone()),
        matchers,
        group_by: group_by.unwrap_or_else(|| above.group_by.clone()),
        group_wait: spec.group_wait.unwrap_or(above.group_wait),
        group_interval: spec.group_interval.unwrap_or(above.group_interval),
        repeat_interval: spec.repeat_interval.unwrap_or(above.repeat_interval),
        continues: spec.continues,
        routes: Vec::new(),
    };
    route.routes = spec
        .routes
        .iter()
        .map(|below| inherit(document, below, &route, receivers, report))
        .collect();
    route
}
