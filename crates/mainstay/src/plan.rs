//! `mainstay plan`: what a new version of a catalog changes.

use std::path::{Path, PathBuf};

use mainstay_catalog::plan::{Action, plan};
use mainstay_catalog::{Catalog, Level};
use serde_json::Value;

use crate::check::{self, counted};
use crate::exit::Exit;
use crate::output::{self, Form};
use crate::remote::{Remote, Server};

/// Options of `mainstay plan`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The new version: a catalog directory.
    #[arg(value_name = "DIR")]
    new: PathBuf,
    /// The version before it: a catalog directory. Without it, the server is asked whether it runs this very catalog.
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
    let Some(against) = &options.against else {
        let asked = Remote::run(&options.server, async |remote| {
            let catalog = remote.get("/api/v1/catalog").await?;
            Ok(same_as_server(&new, &catalog))
        });
        return asked;
    };
    let old = match usable(against) {
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
fn usable(path: &Path) -> Result<Catalog, Exit> {
    if !path.is_dir() {
        anstream::eprintln!("mainstay plan: {} is not a directory", path.display());
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

fn same_as_server(new: &Catalog, server: &Value) -> Exit {
    let (ours, theirs) = (new.digest.to_string(), output::text(server, "digest"));
    if ours == theirs {
        anstream::println!("The server runs this very catalog ({}).", new.digest.short());
    } else {
        anstream::println!("The server runs another catalog ({theirs}); this one is {ours}.");
        anstream::eprintln!("What differs: mainstay plan DIR --against THE-VERSION-BEFORE");
    }
    Exit::Ok
}
