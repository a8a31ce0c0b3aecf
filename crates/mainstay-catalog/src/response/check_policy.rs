//! Whether a page by a policy reaches somebody, and somebody else in time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{PersonId, Severity};

use super::{Channels, EscalationLevel, EscalationPolicy, NotifyStep, Rota, RoundRobin, Target};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::envelope::Sourced;
use crate::lint;
use crate::platform::{Person, Platform};
use crate::spanned::Spanned;

/// How long a page may wait before somebody else is paged (ruling R15).
const ACKNOWLEDGE_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// What a policy refers to.
pub(super) struct Context<'a> {
    pub(super) platform: &'a Platform,
    pub(super) rotas: &'a BTreeMap<String, Sourced<'a, Rota>>,
    pub(super) channels: &'a Channels,
}

impl Context<'_> {
    pub(super) fn check_policy(&self, policy: &Sourced<'_, EscalationPolicy>, diagnostics: &mut Diagnostics) {
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
            check_round_robin(document, level, &mut report);
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
        // What is wrong for P0 and P1 alike is said once.
        let mut places = BTreeSet::new();
        for severity in Severity::ALL.into_iter().filter(|severity| severity.pages()) {
            check_severity(document, policy, severity, &mut |diagnostic: Diagnostic| {
                if places.insert((diagnostic.lint, diagnostic.at)) {
                    report(diagnostic);
                }
            });
        }
        for (severity, steps) in &policy.unacknowledged {
            check_order(document, *severity, steps, &mut report);
        }
        let insisted = policy.unacknowledged.values().flatten();
        let insisted = insisted.flat_map(|step| &step.channels);
        for channel in policy.channels.values().flatten().chain(insisted) {
            self.check_configured(document, channel, &mut report);
        }
    }

    /// Whether a person who says how to be told of pages is told at once, and by channels that there are.
    pub(super) fn check_person(&self, person: &Sourced<'_, Person>, diagnostics: &mut Diagnostics) {
        let document = person.document;
        let mut report = |diagnostic| diagnostics.push(diagnostic);
        let person = &person.value;
        for (severity, steps) in &person.notify {
            check_order(document, *severity, steps, &mut report);
            let Some(first) = steps.first() else {
                let message = format!("{} is told of {severity} by no step", person.id);
                report(
                    document
                        .diagnostic(lint::BAD_VALUE, person.id.at, message)
                        .help("add a step, or leave the severity out: the policy's channels hold then"),
                );
                continue;
            };
            if !first.after.value.0.is_zero() {
                let message = format!(
                    "{} is told of {severity} only after {}",
                    person.id, first.after.value
                );
                report(
                    document
                        .diagnostic(lint::BAD_VALUE, first.after.at, message)
                        .help("begin with a step `after: 0s`"),
                );
            }
            for channel in steps.iter().flat_map(|step| &step.channels) {
                self.check_configured(document, channel, &mut report);
                if !has_address(person, channel.value) {
                    let message = format!("{} has no address for {}", person.id, channel.value.name());
                    report(
                        document
                            .diagnostic(lint::UNREACHABLE_PERSON, channel.at, message)
                            .help("add it to `contacts`, or leave the channel out"),
                    );
                }
            }
        }
    }

    fn check_configured(
        &self,
        document: &Document,
        channel: &Spanned<Channel>,
        report: &mut impl FnMut(Diagnostic),
    ) {
        let (configured, key) = match channel.value {
            Channel::Email => (self.channels.smtp.is_some(), "smtp"),
            Channel::Chat => (
                self.channels.chat.is_some() || self.channels.slack.is_some(),
                "chat",
            ),
            Channel::Webhook => (self.channels.receivers().next().is_some(), "webhooks"),
            Channel::Sms | Channel::Voice => (self.channels.telephone.is_some(), "telephone"),
        };
        if !configured {
            let message = format!("nothing says how to reach people by {}", channel.value.name());
            report(
                document
                    .diagnostic(lint::UNKNOWN_REFERENCE, channel.at, message)
                    .help(format!("add `{key}` to the document of kind Channels")),
            );
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
                Some(rota) => rota.value.participants().collect(),
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
            let mut channels = policy.channels.values().flatten();
            let reachable = channels.any(|channel| has_address(person, channel.value));
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

fn has_address(person: &Person, channel: Channel) -> bool {
    match channel {
        Channel::Email => person.contacts.email.is_some(),
        Channel::Chat => person.contacts.chat.is_some(),
        Channel::Webhook => false,
        Channel::Sms | Channel::Voice => person.contacts.dialled().is_some(),
    }
}

/// Who takes turns answers: each has a while of their own, and there is somebody to take turns with.
fn check_round_robin(document: &Document, level: &EscalationLevel, report: &mut impl FnMut(Diagnostic)) {
    let Some(RoundRobin { every }) = &level.round_robin else {
        return;
    };
    let mut wrong = |message: &str, help: &str| {
        report(document.diagnostic(lint::BAD_VALUE, every.at, message).help(help));
    };
    if every.value.0.is_zero() {
        wrong(
            "nobody of the level is waited for",
            "say how long one has before the next is paged, such as `every: 2m`, or leave `round_robin` out",
        );
    }
    if level.inform {
        wrong(
            "a level that only informs has no turns: nobody answers it",
            "leave `round_robin` or `inform` out",
        );
    }
    if level.targets.len() == 1 {
        wrong(
            "one target takes every turn",
            "name the others among the `targets` of the level, or leave `round_robin` out",
        );
    }
}

/// Steps are written in order of time, each with a channel.
fn check_order(
    document: &Document,
    severity: Severity,
    steps: &[NotifyStep],
    report: &mut impl FnMut(Diagnostic),
) {
    for step in steps.iter().filter(|step| step.channels.is_empty()) {
        let message = format!("a step for {severity} without channels");
        report(
            document
                .diagnostic(lint::BAD_VALUE, step.after.at, message)
                .help("name one, such as `channels: [voice]`"),
        );
    }
    for pair in steps.windows(2).filter(|pair| pair[1].after < pair[0].after) {
        let message = "steps out of order";
        report(
            document
                .diagnostic(lint::BAD_VALUE, pair[1].after.at, message)
                .help("write the steps in order of time"),
        );
    }
}

/// How long after the first level the last one of it is paged before the second is; 0 where all are at once.
fn last_turn(first: &EscalationLevel, second: &EscalationLevel) -> SignedDuration {
    let Some(RoundRobin { every }) = first.round_robin else {
        return SignedDuration::ZERO;
    };
    let every = every.value.0;
    let turns = (1..first.targets.len()).map_while(|turn| {
        let after = every.checked_mul(i32::try_from(turn).ok()?)?;
        (first.delay().checked_add(after)? < second.delay()).then_some(after)
    });
    turns.last().unwrap_or(SignedDuration::ZERO)
}

fn check_severity(
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
    // Where the first level takes turns, others of it may be paged before the second is.
    let turns = first.round_robin.filter(|_| first.targets.len() > 1);
    let too_long = turns.filter(|turns| {
        let next_level = second.and_then(|second| second.delay().checked_sub(first.delay()));
        turns.every.value.0 > ACKNOWLEDGE_WITHIN && next_level.is_none_or(|wait| wait > ACKNOWLEDGE_WITHIN)
    });
    if let Some(RoundRobin { every }) = too_long {
        let message = format!(
            "a {severity} page waits {} for an acknowledgement of whose turn it is",
            every.value
        );
        report(
            document
                .diagnostic(lint::ACKNOWLEDGE_IN_TIME, every.at, message)
                .help("page the next one after 5m at most"),
        );
    }
    let waited = second.map(|second| {
        let last_turn = first.delay().saturating_add(last_turn(first, second));
        (second, second.delay().checked_sub(last_turn))
    });
    match waited {
        _ if too_long.is_some() => {}
        Some((_, Some(wait))) if wait <= ACKNOWLEDGE_WITHIN => {}
        None if turns.is_some() => {}
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
