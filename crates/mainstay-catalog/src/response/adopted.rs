//! An Alertmanager's configuration in the place of a document of kind `Routing`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::routing::RoutingSpec;
use super::{Channels, EscalationPolicy};
use crate::alertmanager::{self, Address, Found, Secrets, Wording};
use crate::diagnostic::{Diagnostic, Diagnostics, Level};
use crate::document::{Document, Format};
use crate::documents::Documents;
use crate::envelope::Sourced;
use crate::lint;
use crate::spanned::Spanned;

/// What is in force of it beside its routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The file, below the catalog's directory.
    pub file: String,
    /// Where its integrations are reached, by their names.
    pub addresses: BTreeMap<String, Address>,
    /// What they say, by their names.
    pub wordings: BTreeMap<String, Wording>,
    /// Globs of template files; those that are relative are so to the file's directory.
    pub templates: Vec<String>,
    /// What the template files hold, by their paths: read by the binary, for they stand outside of the catalog.
    #[serde(skip)]
    pub template_files: Vec<(String, String)>,
    /// Values of the settings `${sealed:...}`.
    #[serde(skip)]
    pub secrets: Secrets,
}

/// The `spec` of the document of kind `AlertmanagerRouting`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdoptedSpec {
    /// The configuration, below the catalog's directory.
    pub(super) file: Spanned<String>,
    /// Receivers that page by an escalation policy, too.
    #[serde(default)]
    pub(super) pages: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Whether all its routes only record what they tell: beside the Alertmanager that it was written for.
    #[serde(default)]
    pub(super) shadow: bool,
}

/// A configuration that was read.
pub(super) struct Config<'a> {
    document: &'a Document,
    found: Option<Found>,
}

/// Reads every configuration that there is, whether or not it is in force.
pub(super) fn read<'a>(documents: &'a Documents, diagnostics: &mut Diagnostics) -> Vec<Config<'a>> {
    let configs = documents.of_format(Format::AlertmanagerConfig);
    configs
        .map(|document| {
            let (found, said) = alertmanager::read(document, documents.sealed());
            for finding in said {
                match finding.level {
                    Level::Error => diagnostics.push_unread(finding),
                    Level::Warning => diagnostics.push(finding),
                }
            }
            Config { document, found }
        })
        .collect()
}

/// The configuration that is in force: the one that a document names, or the only one.
pub(super) fn choose<'a>(
    configs: Vec<Config<'a>>,
    named: Option<&Sourced<'_, AdoptedSpec>>,
    has_routing: bool,
    diagnostics: &mut Diagnostics,
) -> Option<(&'a Document, Found)> {
    let mut configs = configs;
    if let Some(Sourced { document, value }) = named {
        if has_routing {
            let message =
                "both a document of kind Routing and an Alertmanager's configuration are to be in force";
            diagnostics.push(
                document
                    .diagnostic(lint::DUPLICATE_NAME, value.file.at, message)
                    .help("keep one of the two documents"),
            );
        }
        let file = value.file.trim_start_matches("./");
        let known: Vec<String> = configs
            .iter()
            .map(|config| config.document.file.to_string())
            .collect();
        let chosen = configs.iter().position(|config| *config.document.file == *file);
        let Some(chosen) = chosen else {
            let known = known.iter().map(String::as_str);
            diagnostics.push(document.unknown_reference("Alertmanager configuration", &value.file, known));
            return None;
        };
        let config = configs.swap_remove(chosen);
        idle(&configs, diagnostics);
        return Some((config.document, config.found?));
    }
    if has_routing {
        idle(&configs, diagnostics);
        return None;
    }
    let config = configs.pop()?;
    if let Some(other) = configs.first() {
        let message = "two Alertmanager configurations, and nothing says which is in force";
        let help = format!(
            "keep one, or name it in a document of kind AlertmanagerRouting; another is {}",
            other.document.file
        );
        let at = config.document.at;
        diagnostics.push(
            config
                .document
                .diagnostic(lint::DUPLICATE_NAME, at, message)
                .help(help),
        );
    }
    Some((config.document, config.found?))
}

fn idle(configs: &[Config<'_>], diagnostics: &mut Diagnostics) {
    for config in configs {
        let message = "this Alertmanager configuration is not in force";
        let found = config
            .document
            .diagnostic(lint::NOT_READ, config.document.at, message);
        diagnostics.push(
            found.help("another document says how alerts are routed: name this one there, or take it out"),
        );
    }
}

/// Splits what was read into routes and the rest, and lets receivers page.
pub(super) fn take(
    file: &Document,
    found: Found,
    named: Option<Sourced<'_, AdoptedSpec>>,
    policies: &BTreeMap<String, Sourced<'_, EscalationPolicy>>,
    channels: &mut Channels,
    diagnostics: &mut Diagnostics,
) -> (RoutingSpec, Adopted) {
    let mut spec = found.spec;
    if let Some(Sourced { document, value }) = named {
        spec.route.value.shadow = Some(value.shadow);
        for (name, policy) in value.pages {
            if !policies.contains_key(&policy.value) {
                let known = policies.keys().map(String::as_str);
                diagnostics.push(document.unknown_reference("escalation policy", &policy, known));
                continue;
            }
            match spec.receivers.iter_mut().find(|receiver| receiver.name == name) {
                Some(receiver) => receiver.page = Some(policy),
                None => {
                    let known = spec.receivers.iter().map(|receiver| receiver.name.as_str());
                    diagnostics.push(document.unknown_reference("receiver", &name, known));
                }
            }
        }
    }
    if let Some(smtp) = found.smtp {
        if channels.smtp.is_some() {
            let message = "mail goes by the mail server of the document of kind Channels, not by this file's";
            let lost = Diagnostic::new(
                lint::NOT_CARRIED_OVER,
                file.file.clone(),
                file.source(),
                file.at,
                message,
            );
            diagnostics.push(lost.help("leave `smtp` out of Channels to use this file's"));
        }
        channels.smtp.get_or_insert(smtp);
    }
    let adopted = Adopted {
        file: file.file.to_string(),
        addresses: found.addresses,
        wordings: found.wordings,
        templates: found.templates.into_iter().map(|glob| glob.value).collect(),
        template_files: Vec::new(),
        secrets: found.secrets,
    };
    (spec, adopted)
}
