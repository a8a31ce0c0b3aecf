//! `mainstay metrics delete`, `clean` and `snapshot`: what changes or copies the store.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::{Ask, ORDER_WITHIN, Remote, Server, Trouble, with_query};
use crate::check::counted;
use crate::exit::Exit;
use crate::output::{self, Form};

/// Options of `mainstay metrics delete`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Delete {
    /// A selector of series, such as 'up{job="a"}'; may be given several times.
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    selectors: Vec<String>,
    /// From when, inclusive: seconds since the epoch or RFC 3339; from ever, if nothing is said.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Until when, inclusive; for ever, if nothing is said.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    ask: Ask,
}

/// Options of `mainstay metrics clean`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Clean {
    #[command(flatten)]
    server: Server,
}

/// Options of `mainstay metrics snapshot`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Snapshot {
    /// Without the samples that are not in files yet.
    #[arg(long)]
    skip_head: bool,
    #[command(flatten)]
    ask: Ask,
}

impl Delete {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let mut query: Vec<(&str, &str)> = self
                .selectors
                .iter()
                .map(|selector| ("match[]", &**selector))
                .collect();
            let times = [("start", &self.start), ("end", &self.end)];
            query.extend(
                times
                    .into_iter()
                    .filter_map(|(name, time)| Some((name, time.as_deref()?))),
            );
            let with_dry_run: Vec<_> = query.iter().copied().chain([("dry_run", "true")]).collect();
            let told = remote.order_store("delete_series", &with_dry_run).await?;
            let number = |name: &str| told[name].as_u64().unwrap_or_default();
            let (series, samples) = (number("series"), number("samples"));
            let samples = counted(usize::try_from(samples).unwrap_or(usize::MAX), "sample");
            if series > 0 && !self.yes && !agreed(&format!("Delete {samples} of {series} series for good?")) {
                anstream::eprintln!("{samples} of {series} series would go. Nothing was deleted: say --yes.");
                return Ok(Exit::Pending);
            }
            if series > 0 {
                remote.order_store("delete_series", &query).await?;
            }
            match self.ask.output {
                Form::Json => output::json(&told),
                Form::Table => anstream::println!("Deleted {samples} of {series} series."),
            }
            Ok(Exit::Ok)
        })
    }
}

impl Clean {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.server, async |remote| {
            remote.order_store("clean_tombstones", &[]).await?;
            anstream::println!("No file holds anything that was deleted.");
            Ok(Exit::Ok)
        })
    }
}

impl Snapshot {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let skip_head: &[_] = if self.skip_head {
                &[("skip_head", "true")]
            } else {
                &[]
            };
            let made = remote.order_store("snapshot", skip_head).await?;
            match self.ask.output {
                Form::Json => output::json(&made),
                Form::Table => anstream::println!("{}", made["name"].as_str().unwrap_or_default()),
            }
            Ok(Exit::Ok)
        })
    }
}

/// Asks whoever sits at the terminal; nobody there has not agreed.
fn agreed(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    anstream::eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stderr()
        .flush()
        .and_then(|()| io::stdin().read_line(&mut answer));
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

impl Remote {
    /// Has something done to the store; the data of the answer, if it has any.
    async fn order_store(&self, order: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let path = with_query(&format!("/api/v1/admin/tsdb/{order}"), query);
        let request = self.client.post(format!("{}{path}", self.base));
        let (status, body) = self.send(request.timeout(ORDER_WITHIN)).await?;
        if status == 204 {
            return Ok(Value::Null);
        }
        let mut answer = super::as_prometheus(status, &body)?;
        Ok(answer["data"].take())
    }
}
