//! Alertmanager's configuration file, read as it is: its routes are Mainstay's, its receivers are told by Mainstay's
//! channels. What Alertmanager refuses is refused, with its place; what there is no use for is a warning, with its place.
//!
//! Secrets leave the text when the file is read ([`seal`]) and are looked up by name when a message is sent.

mod address;
mod model;
mod receivers;
mod routing;
mod rules;
mod schema;
mod seal;
mod tree;
mod walk;

use crate::diagnostic::{Diagnostic, Level};
use crate::document::Document;
use crate::lint;
use crate::nearest::suggest;
use crate::response::RoutingSpec;
use crate::spanned::{At, Spanned};

pub use address::{Address, Login};
pub(crate) use model::Found;
pub use model::{Secrets, Wording};
pub use seal::Sealed;
pub(crate) use seal::seal;

use tree::Node;
use walk::Findings;

/// Reads a configuration. What refers to nothing is left for whoever resolves its routes.
pub(crate) fn read(document: &Document, sealed: &Sealed) -> (Option<Found>, Vec<Diagnostic>) {
    let mut root = match Node::of(document) {
        Ok(root) => root,
        Err(error) => return (None, vec![error]),
    };
    seal::unseal(document, &mut root, sealed);
    let mut findings = Findings {
        document,
        found: Vec::new(),
    };
    findings.check(&root, &schema::CONFIG);
    if findings.found.iter().any(|found| found.level == Level::Error) {
        // Whoever gave a key another name will hear of what is missing when it has its own.
        return (None, findings.found);
    }
    rules::check(&root, &mut findings);
    let mut found = Found {
        spec: RoutingSpec {
            receivers: Vec::new(),
            route: routing::root(&root, &mut findings),
            inhibit_rules: routing::inhibit_rules(&root, &mut findings),
            time_intervals: routing::time_intervals(&root, &mut findings),
        },
        addresses: Default::default(),
        wordings: Default::default(),
        templates: root.texts("templates"),
        smtp: None,
        secrets: Secrets::default(),
    };
    receivers::read(&root, &mut findings, &mut found);
    findings.references(&mut found.spec);
    (Some(found), findings.found)
}

impl Findings<'_> {
    /// Names in routes that refer to nothing: others take their place, for each is to be said once.
    fn references(&mut self, spec: &mut RoutingSpec) {
        let receivers: Vec<&str> = spec
            .receivers
            .iter()
            .map(|receiver| receiver.name.as_str())
            .collect();
        let intervals: Vec<&str> = spec
            .time_intervals
            .iter()
            .map(|named| named.name.as_str())
            .collect();
        let mut routes = vec![&mut spec.route.value];
        while let Some(route) = routes.pop() {
            if let Some(name) = &mut route.receiver
                && !receivers.contains(&name.as_str())
            {
                self.unknown("receiver", name, &receivers);
                if let Some(any) = receivers.first() {
                    (*any).clone_into(&mut name.value);
                }
            }
            for names in [&mut route.mute_time_intervals, &mut route.active_time_intervals] {
                names.retain(|name| {
                    let known = intervals.contains(&name.as_str());
                    if !known {
                        self.unknown("time interval", name, &intervals);
                    }
                    known
                });
            }
            routes.extend(&mut route.routes);
        }
    }

    fn unknown(&mut self, what: &str, name: &Spanned<String>, known: &[&str]) {
        self.bad(
            name.at,
            format!("there is no {what} {:?}", name.value),
            suggest(name, what, known.iter().copied()),
        );
    }

    /// Something that Alertmanager follows and Mainstay does not.
    fn loss(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.push(lint::NOT_CARRIED_OVER, at, message, help);
    }

    fn without_effect(&mut self, what: &str, key: &Spanned<String>) {
        let message = format!("`{}` of {what} has no effect", key.value);
        self.loss(
            key.at,
            message,
            "nothing is done in its place: see to it that it is not needed",
        );
    }
}
