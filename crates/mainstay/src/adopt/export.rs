//! `mainstay slo export`: the objectives of a catalog as rules for a Prometheus.

use std::path::PathBuf;

use mainstay_catalog::{Documents, Platform};
use mainstay_kernel::SloId;
use mainstay_slo::export::prometheus_rules;

use crate::check::{self, counted};
use crate::exit::Exit;

/// Options of `mainstay slo export`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The catalog: a directory, or one file of objectives.
    #[arg(long, value_name = "DIR")]
    catalog: PathBuf,
    /// Only this objective.
    #[arg(long, value_name = "ID")]
    slo: Option<String>,
    /// The rule file to write; an older one is replaced. Without it, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
        if !self.catalog.exists() {
            anstream::eprintln!("mainstay slo export: there is no {}", self.catalog.display());
            return Exit::Usage;
        }
        // Objectives alone: who is told of alerts, and which services there are, is of no concern here.
        let (documents, mut findings) = Documents::load(&self.catalog);
        let slos = mainstay_slo::spec::load(&documents, &Platform::default(), &mut findings);
        if findings.has_errors() {
            anstream::eprint!("{}", findings.render(check::root(&self.catalog), true));
            anstream::eprintln!("{}: mend them first", counted(findings.errors(), "error"));
            return Exit::Problems;
        }
        let only = match self.slo.as_deref().map(SloId::new).transpose() {
            Ok(only) => only,
            Err(error) => {
                anstream::eprintln!("mainstay slo export: --slo: {error}");
                return Exit::Usage;
            }
        };
        let exported = match prometheus_rules(&slos, only.as_ref()) {
            Ok(exported) => exported,
            Err(error) => {
                anstream::eprintln!("mainstay slo export: {error}");
                return Exit::Failure;
            }
        };
        for (id, reason) in &exported.left_out {
            anstream::eprintln!("{id} is left out: {reason}");
        }
        match &self.output {
            None => anstream::print!("{}", exported.text),
            Some(file) => {
                if let Err(error) = std::fs::write(file, &exported.text) {
                    anstream::eprintln!("mainstay slo export: {}: {error}", file.display());
                    return Exit::Failure;
                }
            }
        }
        Exit::Ok
    }
}
