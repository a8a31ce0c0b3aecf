//! `mainstay route`: where an alert would go, and whether it would leave.

use std::path::{Path, PathBuf};

use mainstay_catalog::Catalog;
use mainstay_kernel::Labels;
use serde_json::json;

use crate::adopt;
use crate::exit::Exit;
use crate::output::{self, Form, Table};
use crate::remote::{Ask, cut, list};

/// What is asked about routes.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Say which routes take an alert with these labels, whom they tell and how long they wait; it takes no server.
    Explain {
        #[command(flatten)]
        of: Of,
        /// The alert's labels: name=value.
        #[arg(value_name = "LABEL", value_parser = label)]
        labels: Vec<(String, String)>,
        /// How it is written.
        #[arg(short, long, value_enum, default_value_t)]
        output: Form,
    },
    /// Say of every route of a server whom it tells, and whether that leaves or is only recorded.
    List {
        #[command(flatten)]
        ask: Ask,
    },
    /// Let what a route and those below it tell leave from now on, whatever the catalog says; what fires already is told
    /// at once.
    CutOver {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        ask: Ask,
    },
    /// Only record what a route and those below it tell, from now on.
    CutBack {
        #[command(flatten)]
        which: Which,
        /// Forget what was said by `cut-over` and `cut-back`: the catalog says it again.
        #[arg(long)]
        as_written: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// Write the routing as a configuration that Alertmanager and amtool read: receivers without addresses.
    Export {
        #[command(flatten)]
        of: Of,
    },
}

/// Which routes are cut over or back.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The route, as `route list` and `route explain` name it, or the end of its name if no other ends so; `root` is all
    /// of them.
    #[arg(value_name = "ROUTE")]
    pub(crate) route: Option<String>,
    /// Every route that tells this receiver.
    #[arg(long, value_name = "NAME")]
    pub(crate) receiver: Option<String>,
}

/// Where the routes are.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Of {
    /// The catalog's directory.
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// An Alertmanager's configuration.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Of {
    fn read(&self) -> Result<Catalog, Exit> {
        if let Some(file) = &self.file {
            return adopt::alertmanager::read(file);
        }
        crate::plan::usable(self.catalog.as_deref().unwrap_or_else(|| Path::new(".")))
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected name=value")?;
    Ok((name.to_owned(), value.trim_matches('"').to_owned()))
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let catalog = match self {
            Self::Explain { of, .. } | Self::Export { of } => of.read(),
            Self::List { ask } => return list(ask),
            Self::CutOver { which, ask } => return cut(which, Some(true), ask),
            Self::CutBack {
                which,
                as_written,
                ask,
            } => return cut(which, (!as_written).then_some(false), ask),
        };
        match (self, catalog) {
            (_, Err(exit)) => exit,
            (Self::Export { .. }, Ok(catalog)) => {
                output::json(&catalog.response.routing.to_alertmanager());
                Exit::Ok
            }
            (Self::Explain { labels, output, .. }, Ok(catalog)) => {
                explain(&catalog, labels, *output);
                Exit::Ok
            }
            (Self::List { .. } | Self::CutOver { .. } | Self::CutBack { .. }, Ok(_)) => Exit::Ok,
        }
    }
}

fn explain(catalog: &Catalog, labels: &[(String, String)], form: Form) {
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels: Labels = pairs.collect();
    let routing = &catalog.response.routing;
    let taken = routing.route.matching(&labels);
    if form == Form::Json {
        let taken: Vec<serde_json::Value> = taken
            .iter()
            .map(|(path, route)| {
                json!({
                    "path": routing.route_name(path),
                    "receiver": route.receiver,
                    "group": route.group_by.of(&labels),
                    "group_wait": mainstay_catalog::duration::format(route.group_wait),
                    "group_interval": mainstay_catalog::duration::format(route.group_interval),
                    "repeat_interval": mainstay_catalog::duration::format(route.repeat_interval),
                })
            })
            .collect();
        output::json(&taken);
        return;
    }
    let mut table = Table::new(&["RECEIVER", "GROUP", "WAIT", "INTERVAL", "REPEAT", "ROUTE"]);
    for (path, route) in &taken {
        table.row([
            route.receiver.clone(),
            route.group_by.of(&labels).to_string(),
            mainstay_catalog::duration::format(route.group_wait),
            mainstay_catalog::duration::format(route.group_interval),
            mainstay_catalog::duration::format(route.repeat_interval),
            routing.route_name(path),
        ]);
    }
    table.print("No route takes it.");
}
