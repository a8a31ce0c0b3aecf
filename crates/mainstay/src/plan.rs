//! `mainstay plan`: what a new version of a catalog changes; `mainstay apply`: that it does.

use std::path::{Path, PathBuf};

use mainstay_catalog::plan::{Action, plan};
use mainstay_catalog::{Catalog, Level};

use crate::check::{self, counted};
use crate::exit::Exit;
use crate::output::{self, Form};
use crate::remote::{Ask, Remote, Server};

/// Options of `mainstay plan`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The new version: a catalog directory.
    #[arg(value_name = "DIR")]
    new: PathBuf,
    /// The version before it: a catalog directory. Without it, the one that the server runs.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

pub(crate) fn run(options: &Options) -> Exit {
    let new = match usable(&options.new) {
        Ok(catalog) => catalog,
        Err(exit) => return exit,
    };
    let old = match &options.against {
        Some(against) => usable(against),
        None => in_force(&options.server),
    };
    let old = match old {
        Ok(catalog) => catalog,
        Err(exit) => return exit,
    };
    let changes = plan(&old, &new);
    match options.output {
        Form::Json => output::json(&changes),
        Form::Table => changes.iter().for_each(|change| {
            let text = change.to_string();
            let (head, rest) = text
                .split_once('\n')
                .map_or((text.as_str(), ""), |(head, rest)| (head, rest));
            let colour = match change.action {
                Action::Added => "\x1b[32m",
                Action::Removed => "\x1b[31m",
                Action::Changed => "\x1b[33m",
            };
            anstream::println!("{colour}{head}\x1b[0m");
            if !rest.is_empty() {
                anstream::println!("{rest}");
            }
        }),
    }
    let count = |action: Action| changes.iter().filter(|change| change.action == action).count();
    anstream::eprintln!(
        "{} added, {} changed, {} removed",
        count(Action::Added),
        count(Action::Changed),
        count(Action::Removed)
    );
    Exit::Ok
}

/// The catalog in a directory, if it has no errors.
pub(crate) fn usable(path: &Path) -> Result<Catalog, Exit> {
    if !path.is_dir() {
        anstream::eprintln!("mainstay: {} is not a directory", path.display());
        return Err(Exit::Usage);
    }
    let (catalog, findings) = check::examine(path);
    if findings.has_errors() {
        check::print(path, &findings);
        anstream::eprintln!(
            "{} in {}: mend them first",
            counted(findings.errors(), "error"),
            path.display()
        );
        return Err(Exit::Problems);
    }
    let warnings = findings
        .iter()
        .filter(|finding| finding.level == Level::Warning)
        .count();
    if warnings > 0 {
        anstream::eprintln!(
            "{} in {}: `mainstay check` shows them",
            counted(warnings, "warning"),
            path.display()
        );
    }
    Ok(catalog)
}

/// The catalog that the server runs.
pub(crate) fn in_force(server: &Server) -> Result<Catalog, Exit> {
    let mut archive = None;
    let exit = Remote::run(server, async |remote| {
        archive = Some(remote.bytes("/api/v1/catalog/archive").await?);
        Ok(Exit::Ok)
    });
    let archive = archive.ok_or(exit)?;
    match Catalog::from_bytes(&archive) {
        Ok((catalog, _)) => Ok(catalog),
        Err(error) => {
            anstream::eprintln!("mainstay: the server's catalog cannot be read here: {error}");
            Err(Exit::Failure)
        }
    }
}

/// Options of `mainstay apply`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApplyOptions {
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn apply(options: &ApplyOptions) -> Exit {
    Remote::run(&options.ask.server, async |remote| {
        let applied = remote.order("/api/v1/catalog/apply").await?;
        if options.ask.output == Form::Json {
            output::json(&applied);
            return Ok(Exit::Ok);
        }
        let changes = output::list(&applied, "changes");
        for change in changes {
            anstream::println!("{}", change.as_str().unwrap_or_default());
        }
        if changes.is_empty() {
            anstream::eprintln!(
                "The server runs this very catalog already; files that hold secrets were read anew."
            );
        } else {
            anstream::eprintln!("{} in force.", counted(changes.len(), "change"));
        }
        Ok(Exit::Ok)
    })
}
