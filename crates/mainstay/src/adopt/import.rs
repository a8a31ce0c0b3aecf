//! `mainstay import`: objectives of Sloth and Pyrra as OpenSLO documents.

use std::path::{Path, PathBuf};

use mainstay_catalog::{Diagnostics, Document, Documents, Format, Level, Platform};

use super::files;
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tool {
    /// `prometheus/v1`, plain or as `PrometheusServiceLevel`, and OpenSLO v1alpha.
    Sloth,
    /// `ServiceLevelObjective`.
    Pyrra,
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
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sloth => "Sloth",
            Self::Pyrra => "Pyrra",
        }
    }
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
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
