//! `mainstay import`: objectives of Sloth and Pyrra as OpenSLO documents, an Alertmanager's routing and the people, rotas and
//! policies of on-call systems as documents of ours.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_adopt::System;
use mainstay_catalog::{Diagnostics, Document, Documents, Format, Level, Platform};

use super::{files, moving};
use crate::check::{self, counted};
use crate::exit::Exit;

/// Options of `mainstay import`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Whose files they are.
    #[arg(value_enum)]
    tool: Tool,
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The directory to write into, one file for each that is read; no file is replaced. Without it, standard output.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Of an on-call system: compare who is on call in the 90 days from this instant on, RFC 3339; without it, from now on.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tool {
    /// `prometheus/v1`, plain or as `PrometheusServiceLevel`, and OpenSLO v1alpha.
    Sloth,
    /// `ServiceLevelObjective`.
    Pyrra,
    /// A configuration: its routes as a document of kind `Routing`, its receivers' addresses as one of kind `Channels`.
    Alertmanager,
    /// Answers of its REST API, version 2: users, schedules, escalation policies.
    Pagerduty,
    /// Answers of its REST API, version 2: users, schedules, escalations, timelines, overrides.
    Opsgenie,
    /// The answer of its GraphQL API: users, schedules, rotations, escalation policies.
    Goalert,
    /// Answers of its HTTP API, version 1: users, schedules, shifts, escalation chains and policies, final shifts.
    GrafanaOncall,
}

impl Tool {
    /// Whether a document is one of its own.
    fn writes(self, document: &Document) -> bool {
        match self {
            Self::Sloth => {
                document.format == Format::Sloth
                    || document.format == Format::OpenSlo && document.api_version == "openslo/v1alpha"
            }
            Self::Pyrra => document.format == Format::Pyrra,
            Self::Alertmanager => document.format == Format::AlertmanagerConfig,
            Self::Pagerduty | Self::Opsgenie | Self::Goalert | Self::GrafanaOncall => false,
        }
    }

    /// The on-call system that it is.
    fn system(self) -> Option<System> {
        match self {
            Self::Sloth | Self::Pyrra | Self::Alertmanager => None,
            Self::Pagerduty => Some(System::PagerDuty),
            Self::Opsgenie => Some(System::Opsgenie),
            Self::Goalert => Some(System::GoAlert),
            Self::GrafanaOncall => Some(System::GrafanaOncall),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sloth => "Sloth",
            Self::Pyrra => "Pyrra",
            Self::Alertmanager => "Alertmanager",
            Self::Pagerduty | Self::Opsgenie | Self::Goalert | Self::GrafanaOncall => {
                self.system().map_or("", System::name)
            }
        }
    }
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
        if self.tool == Tool::Alertmanager {
            return self.routing();
        }
        if let Some(system) = self.tool.system() {
            return moving::run(system, &self.files, self.output.as_deref(), self.at);
        }
        let mut made = Vec::new();
        let (mut errors, mut warnings, mut objectives) = (0, 0, 0);
        for path in &self.files {
            let (text, count, findings) = self.read(path);
            anstream::eprint!("{}", findings.render(check::root(path), true));
            errors += findings.errors();
            warnings += findings
                .iter()
                .filter(|finding| finding.level == Level::Warning)
                .count();
            objectives += count;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            made.push((format!("{stem}.yaml"), text));
        }
        if errors == 0 {
            made.retain(|(_, text)| !text.is_empty());
            match &self.output {
                None => {
                    let texts: Vec<&str> = made.iter().map(|(_, text)| text.as_str()).collect();
                    anstream::print!("{}", texts.join("---\n"));
                }
                Some(directory) => {
                    if let Err(error) = files::make(directory, &made) {
                        anstream::eprintln!("mainstay import: {error}");
                        return Exit::Failure;
                    }
                }
            }
        }
        anstream::eprintln!(
            "{}, {} and {} in {}",
            counted(objectives, "objective"),
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(self.files.len(), "file")
        );
        if errors > 0 { Exit::Problems } else { Exit::Ok }
    }

    /// An Alertmanager's configuration as documents of our own.
    fn routing(&self) -> Exit {
        let [path] = self.files.as_slice() else {
            anstream::eprintln!("mainstay import: a catalog has one routing: name one file");
            return Exit::Usage;
        };
        let (catalog, findings) = check::examine(path);
        anstream::eprint!("{}", findings.render(check::root(path), true));
        let Some(adopted) = catalog
            .response
            .alertmanager
            .as_ref()
            .filter(|_| !findings.has_errors())
        else {
            anstream::eprintln!(
                "{} is no Alertmanager configuration that can be used",
                path.display()
            );
            return Exit::Problems;
        };
        let native = super::alertmanager::native::written(&catalog.response, adopted);
        for loss in &native.losses {
            anstream::eprintln!("{}: not carried over: {loss}", path.display());
        }
        match &self.output {
            None => anstream::print!("{}---\n{}", native.routing, native.channels),
            Some(directory) => {
                let made = [
                    ("routing.yaml".to_owned(), native.routing),
                    ("channels.yaml".to_owned(), native.channels),
                ];
                if let Err(error) = files::make(directory, &made) {
                    anstream::eprintln!("mainstay import: {error}");
                    return Exit::Failure;
                }
            }
        }
        if !native.variables.is_empty() {
            anstream::eprintln!(
                "`serve` must find in its environment: {}",
                native.variables.join(", ")
            );
        }
        anstream::eprintln!(
            "{} and {} that are not carried over",
            counted(catalog.response.routing.receivers.len(), "receiver"),
            counted(native.losses.len() + findings.len(), "thing")
        );
        Exit::Ok
    }

    /// The objectives of a file as OpenSLO, how many they are, and what is to be said of them.
    fn read(&self, path: &Path) -> (String, usize, Diagnostics) {
        let (documents, mut findings) = Documents::load(path);
        // What becomes of them is of no use here; what is found is.
        let _ = mainstay_slo::spec::load(&documents, &Platform::default(), &mut findings);
        let mut objects = Vec::new();
        for document in documents.iter() {
            if self.tool.writes(document) {
                // Said by the reading above.
                let mut said = Diagnostics::new();
                objects.extend(mainstay_slo::import::read(document, &mut said).unwrap_or_default());
            } else {
                let message = format!("no document of {}: it is left out", self.tool.name());
                let mut found = document.diagnostic(mainstay_catalog::lint::NOT_READ, document.at, message);
                found.help = "name the tool that it was written for: sloth or pyrra".to_owned();
                findings.push(found);
            }
        }
        let text = mainstay_slo::import::text::documents(&objects);
        (text, objects.len(), findings)
    }
}
