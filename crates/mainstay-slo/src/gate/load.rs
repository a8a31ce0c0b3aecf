//! Reading documents of kind `ErrorBudgetPolicy`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::envelope::{Sourced, by_name};
use mainstay_catalog::{Catalog, Diagnostics, Document, Spanned, duration, lint};
use mainstay_kernel::{CellId, Ratio, Role, ServiceId, SloId};
use serde::Deserialize;

use super::policy::{
    Action, Actions, Covered, Exception, FailMode, LAST_ANSWER_VALID, Policies, Policy, RECOVERY_WINDOW,
    Recovery,
};
use crate::engine::SloCatalog;
use crate::objective::{Objective, Promise};

/// The kind of the document.
const KIND: &str = "ErrorBudgetPolicy";
/// The longest that an answer may hold without the server.
const VALID_MAX: SignedDuration = SignedDuration::from_hours(24);
/// What stands for every service or cell in an exception.
const EVERY: &str = "*";

/// The `spec` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PolicySpec {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    objectives: Vec<Spanned<SloId>>,
    #[serde(default)]
    services: Vec<Spanned<ServiceId>>,
    #[serde(default, rename = "default")]
    is_default: bool,
    #[serde(default)]
    applies_to: Vec<Spanned<ServiceId>>,
    states: StatesSpec,
    #[serde(default)]
    recovery: RecoverySpec,
    #[serde(default)]
    exceptions: Vec<ExceptionSpec>,
    #[serde(default)]
    fail_mode: FailMode,
    last_answer_valid: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatesSpec {
    #[serde(default)]
    healthy: ActionSpec,
    #[serde(default)]
    warning: ActionSpec,
    #[serde(default)]
    critical: ActionSpec,
    #[serde(default)]
    exhausted: ActionSpec,
    #[serde(default)]
    unknown: UnknownSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct ActionSpec {
    notify: Vec<Spanned<String>>,
    require_approval: Option<Spanned<Role>>,
    freeze: bool,
}

/// What is not seen freezes nothing, and is told by its own alert: there is nothing else to say of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct UnknownSpec {
    require_approval: Option<Spanned<Role>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct RecoverySpec {
    window: Option<Spanned<String>>,
    left: Option<Spanned<Ratio>>,
    require_approval: Option<Spanned<Role>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionSpec {
    reason: Spanned<String>,
    owner: Spanned<String>,
    expires: Spanned<Timestamp>,
    service: Spanned<String>,
    cell: Spanned<String>,
}

/// Reads the policies of a catalog whose objectives are `slos`. `now` is the instant by which exceptions have expired.
pub fn load(catalog: &Catalog, slos: &SloCatalog, now: Timestamp, diagnostics: &mut Diagnostics) -> Policies {
    let documents = catalog.documents.specs::<PolicySpec>(KIND, diagnostics);
    let documents = by_name("error budget policy", documents, diagnostics);
    let mut reader = Reader {
        catalog,
        slos,
        now,
        diagnostics,
    };
    let mut policies = Vec::with_capacity(documents.len());
    let mut by_objective: BTreeMap<SloId, usize> = BTreeMap::new();
    let mut by_service: BTreeMap<ServiceId, usize> = BTreeMap::new();
    let mut default = None;
    for (name, Sourced { document, value }) in documents {
        let index = policies.len();
        for slo in &value.objectives {
            reader.is_objective(document, slo);
            reader.claim(document, "objective", slo, index, &mut by_objective);
        }
        for service in &value.services {
            reader.is_service(document, service);
            reader.claim(document, "service", service, index, &mut by_service);
        }
        if value.is_default && default.replace(index).is_some() {
            let message = "a second policy is the default";
            reader.bad(
                document,
                document.at,
                message,
                "keep one: every other service falls under it",
            );
        }
        if value.objectives.is_empty() && value.services.is_empty() && !value.is_default {
            let message = "the policy covers nothing";
            reader.bad(
                document,
                document.at,
                message,
                "name `objectives` or `services`, or say `default: true`",
            );
        }
        policies.push(reader.policy(document, name, value));
    }
    let policy_of = |objective: &Objective| {
        let own = by_objective.get(&objective.id);
        let of_service = || by_service.get(objective.service.as_ref()?);
        // A contract is not what changes are judged by, unless it is named.
        let general = || {
            of_service()
                .or(default.as_ref())
                .filter(|_| objective.promise == Promise::Objective)
        };
        own.or_else(general).copied()
    };
    let covered = slos
        .objectives()
        .iter()
        .filter_map(|objective| Some((Covered::new(objective), policy_of(objective)?)));
    let receivers = catalog.response.routing.receivers.iter();
    let receivers = receivers.map(|(name, receiver)| (name.clone(), receiver.recipients()));
    Policies::new(policies, covered, receivers.collect())
}

struct Reader<'a> {
    catalog: &'a Catalog,
    slos: &'a SloCatalog,
    now: Timestamp,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn policy(&mut self, document: &Document, name: String, spec: PolicySpec) -> Policy {
        for service in &spec.applies_to {
            self.is_service(document, service);
        }
        let actions = Actions {
            healthy: self.action(document, spec.states.healthy),
            warning: self.action(document, spec.states.warning),
            critical: self.action(document, spec.states.critical),
            exhausted: self.action(document, spec.states.exhausted),
            unknown_approval: self.approver(document, spec.states.unknown.require_approval),
        };
        let exceptions = spec.exceptions.into_iter();
        let exceptions = exceptions
            .filter_map(|exception| self.exception(document, exception))
            .collect();
        let valid = spec
            .last_answer_valid
            .and_then(|text| self.duration(document, &text, SignedDuration::ZERO, VALID_MAX));
        Policy {
            title: spec.title.unwrap_or_else(|| name.clone()),
            name,
            applies_to: spec.applies_to.into_iter().map(|service| service.value).collect(),
            recovery: self.recovery(document, spec.recovery),
            actions,
            exceptions,
            fail_mode: spec.fail_mode,
            last_answer_valid: valid.unwrap_or(LAST_ANSWER_VALID),
        }
    }

    fn action(&mut self, document: &Document, spec: ActionSpec) -> Action {
        let known = &self.catalog.response.routing.receivers;
        for receiver in spec.notify.iter().filter(|name| !known.contains_key(&name.value)) {
            let names: BTreeSet<&str> = known.keys().map(String::as_str).collect();
            self.diagnostics
                .push(document.unknown_reference("receiver", receiver, names));
        }
        Action {
            notify: spec.notify.into_iter().map(|name| name.value).collect(),
            require_approval: self.approver(document, spec.require_approval),
            freeze: spec.freeze,
        }
    }

    fn approver(&mut self, document: &Document, role: Option<Spanned<Role>>) -> Option<Role> {
        let role = role?;
        if role.value == Role::Viewer {
            self.bad(
                document,
                role.at,
                "a viewer approves nothing",
                "write responder or admin",
            );
        }
        Some(role.value)
    }

    fn recovery(&mut self, document: &Document, spec: RecoverySpec) -> Recovery {
        let longest = SignedDuration::from_millis(crate::prefix::RETENTION_MS);
        let window = spec
            .window
            .and_then(|text| self.duration(document, &text, SignedDuration::from_hours(24), longest));
        if let Some(left) = spec.left.as_ref().filter(|left| left.value > Ratio::ONE) {
            self.bad(
                document,
                left.at,
                "more than all of a budget is never left",
                "write a share such as 20%",
            );
        }
        Recovery {
            window: window.unwrap_or(RECOVERY_WINDOW),
            left: spec.left.map(|left| left.value),
            approval: self
                .approver(document, spec.require_approval)
                .unwrap_or(Role::Responder),
        }
    }

    fn exception(&mut self, document: &Document, spec: ExceptionSpec) -> Option<Exception> {
        if spec.reason.value.trim().is_empty() {
            self.bad(
                document,
                spec.reason.at,
                "an exception without a reason",
                "say why it is agreed on",
            );
        }
        let platform = &self.catalog.platform;
        let people = platform.people.keys().map(|id| id.as_str());
        let owners: BTreeSet<&str> = people
            .chain(platform.teams.keys().map(|id| id.as_str()))
            .collect();
        if !owners.contains(spec.owner.value.as_str()) {
            self.diagnostics
                .push(document.unknown_reference("person or team", &spec.owner, owners));
        }
        if spec.expires.value <= self.now {
            let message = format!("the exception has expired: {}", spec.expires.value);
            let help = "take it out, or agree on a new one with a new reason";
            self.diagnostics.push(
                document
                    .diagnostic(lint::EXPIRED_EXCEPTION, spec.expires.at, message)
                    .help(help),
            );
        }
        let service = self.named(document, &spec.service, |text| ServiceId::new(text).ok())?;
        let cell = self.named(document, &spec.cell, |text| CellId::new(text).ok())?;
        if let Some(service) = &service {
            self.is_service(
                document,
                &Spanned {
                    value: service.clone(),
                    at: spec.service.at,
                },
            );
        }
        if let Some(cell) = cell.as_ref().filter(|cell| !platform.cells.contains_key(*cell)) {
            let known: BTreeSet<&str> = platform.cells.keys().map(|id| id.as_str()).collect();
            let name = Spanned {
                value: cell.clone(),
                at: spec.cell.at,
            };
            self.diagnostics
                .push(document.unknown_reference("cell", &name, known));
        }
        Some(Exception {
            reason: spec.reason.value,
            owner: spec.owner.value,
            expires: spec.expires.value,
            service,
            cell,
        })
    }

    /// A name, or `*` for all of them; what is neither is reported.
    fn named<T>(
        &mut self,
        document: &Document,
        text: &Spanned<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        if text.value == EVERY {
            return Some(None);
        }
        let name = parse(&text.value);
        if name.is_none() {
            let message = format!("{:?} is no name", text.value);
            self.bad(document, text.at, message, "write a name, or \"*\" for every one");
        }
        name.map(Some)
    }

    fn duration(
        &mut self,
        document: &Document,
        text: &Spanned<String>,
        least: SignedDuration,
        most: SignedDuration,
    ) -> Option<SignedDuration> {
        let parsed = duration::parse(&text.value)
            .ok()
            .filter(|length| *length >= least && *length <= most);
        if parsed.is_none() {
            let message = format!("{:?} cannot be used here", text.value);
            let (least, most) = (duration::format(least), duration::format(most));
            self.bad(
                document,
                text.at,
                message,
                &format!("a duration from {least} to {most}"),
            );
        }
        parsed
    }

    fn is_objective(&mut self, document: &Document, slo: &Spanned<SloId>) {
        let known = self.slos.objectives();
        if !known.iter().any(|objective| objective.id == slo.value) {
            let known: BTreeSet<&str> = known.iter().map(|objective| objective.id.as_str()).collect();
            self.diagnostics
                .push(document.unknown_reference("objective", slo, known));
        }
    }

    fn is_service(&mut self, document: &Document, service: &Spanned<ServiceId>) {
        let known = &self.catalog.platform.services;
        if !known.contains_key(&service.value) {
            let known: BTreeSet<&str> = known.keys().map(|id| id.as_str()).collect();
            self.diagnostics
                .push(document.unknown_reference("service", service, known));
        }
    }

    /// Notes that a policy covers something; another one must not.
    fn claim<T: Ord + Clone + std::fmt::Display>(
        &mut self,
        document: &Document,
        what: &str,
        name: &Spanned<T>,
        policy: usize,
        claimed: &mut BTreeMap<T, usize>,
    ) {
        if claimed.insert(name.value.clone(), policy).is_some() {
            let message = format!("the {what} {} is covered twice", name.value);
            let found = document.diagnostic(lint::DUPLICATE_NAME, name.at, message);
            self.diagnostics
                .push(found.help("name it in one policy, once: what holds must be read in one place"));
        }
    }

    fn bad(&mut self, document: &Document, at: mainstay_catalog::At, message: impl Into<String>, help: &str) {
        self.diagnostics
            .push(document.diagnostic(lint::BAD_VALUE, at, message).help(help));
    }
}
