//! `mainstay oncall swap` and `mainstay oncall overrides`.

use jiff::Timestamp;
use serde_json::json;

use super::{Ask, Remote, path, rows};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, text};

/// What is done with swaps.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Ask somebody to take a stretch of a shift, just so or for one of theirs. Nothing changes before they accept.
    Ask(Box<New>),
    /// The swaps that wait for an answer.
    List {
        #[command(flatten)]
        ask: Ask,
    },
    /// Take the stretch; who asked takes the other one, if there is one.
    Accept(One),
    /// Do not take it.
    Decline(One),
    /// Take the question back.
    Cancel(One),
}

/// A swap to be asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct New {
    /// Who is asked to take it, by handle.
    #[arg(long, value_name = "PERSON")]
    to: String,
    /// Of which rota.
    #[arg(long)]
    rota: String,
    /// From when on.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    from: Timestamp,
    /// Until when.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    until: Timestamp,
    /// From when on theirs is taken in turn.
    #[arg(long, value_name = "TIME", requires = "for_until", value_parser = crate::cli::time)]
    for_from: Option<Timestamp>,
    /// Until when.
    #[arg(long, value_name = "TIME", requires = "for_from", value_parser = crate::cli::time)]
    for_until: Option<Timestamp>,
    /// Of which rota theirs is, if not of the same.
    #[arg(long, value_name = "ROTA", requires = "for_from")]
    for_rota: Option<String>,
    /// Whose shift it is, by handle, if not of who asks; administrators only.
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// When the question lapses; when the first stretch begins if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    lapses: Option<Timestamp>,
    #[command(flatten)]
    ask: Ask,
}

/// A swap by its id.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct One {
    /// Its id, as in s12.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    ask: Ask,
}

impl One {
    fn answer(&self, answer: &str) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let address = path(&["oncall", "swaps", &self.id, answer]);
            remote.act(&address, None, self.ask.output).await?;
            Ok(Exit::Ok)
        })
    }
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Ask(new) => Remote::run(&new.ask.server, async |remote| {
                let take = new.for_from.map(|from| {
                    let rota = new.for_rota.as_ref().unwrap_or(&new.rota);
                    json!({ "rota": rota, "from": from, "until": new.for_until })
                });
                let body = json!({
                    "by": new.person,
                    "to": new.to,
                    "give": { "rota": new.rota, "from": new.from, "until": new.until },
                    "take": take,
                    "lapses_at": new.lapses,
                });
                remote
                    .act("/api/v1/oncall/swaps", Some(body), new.ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
            Self::List { ask } => list(ask),
            Self::Accept(one) => one.answer("accept"),
            Self::Decline(one) => one.answer("decline"),
            Self::Cancel(one) => one.answer("cancel"),
        }
    }
}

fn list(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (swaps, now) = remote.look("/api/v1/oncall/swaps", &[]).await?;
        if ask.output == Form::Json {
            output::json(&swaps);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&["ID", "BY", "TO", "TAKES (UTC)", "GIVES (UTC)", "LAPSES (UTC)"]);
        for swap in rows(&swaps) {
            let stretch = |key: &str| {
                let stretch = &swap[key];
                if stretch.is_null() {
                    return "-".to_owned();
                }
                let (from, until) = (clock(stretch, "from", now), clock(stretch, "until", now));
                format!("{} {from} – {until}", text(stretch, "rota"))
            };
            table.row([
                text(swap, "id"),
                text(swap, "by"),
                text(swap, "to"),
                stretch("give"),
                stretch("take"),
                clock(swap, "lapses_at", now),
            ]);
        }
        table.print("No swap waits for an answer.");
        Ok(Exit::Ok)
    })
}

pub(super) fn overrides(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (overrides, now) = remote.look("/api/v1/oncall/overrides", &[]).await?;
        if ask.output == Form::Json {
            output::json(&overrides);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&["ID", "ROTA", "WHO", "FROM (UTC)", "UNTIL (UTC)", "SWAP"]);
        for one in rows(&overrides) {
            table.row([
                text(one, "id"),
                text(one, "rota"),
                text(one, "person"),
                clock(one, "from", now),
                clock(one, "until", now),
                text(one, "swap"),
            ]);
        }
        table.print("No override is in force.");
        Ok(Exit::Ok)
    })
}
