//! `mainstay oncall feed` and `mainstay oncall handover`.

use serde_json::{Value, json};

use super::{Ask, Remote, given, path, rows};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, list, text};
use mainstay_kernel::Clock as _;

/// What is done with calendars that others fetch.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a secret link by which a calendar program fetches the shifts of a person or a rota. It is said once.
    Make {
        /// Whose shifts, by handle.
        #[arg(long, required_unless_present = "rota", conflicts_with = "rota")]
        person: Option<String>,
        /// The shifts of which rota.
        #[arg(long)]
        rota: Option<String>,
        #[command(flatten)]
        ask: Ask,
    },
    /// The calendars that are in force.
    List {
        #[command(flatten)]
        ask: Ask,
    },
    /// Have a link show nothing any more.
    Revoke {
        /// Its id, as in f3.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Make { person, rota, ask } => Remote::run(&ask.server, async |remote| {
                let wanted = json!({ "person": person, "rota": rota });
                let request = remote.client.post(format!("{}/api/v1/oncall/feeds", remote.base));
                let (made, _) = remote.data(request.json(&wanted)).await?;
                match ask.output {
                    Form::Json => output::json(&made),
                    Form::Table => {
                        anstream::println!("{}{}", remote.base, text(&made, "path"));
                        anstream::eprintln!(
                            "Who has this link sees these shifts. Revoke it: mainstay oncall feed revoke {}",
                            text(&made, "id")
                        );
                    }
                }
                Ok(Exit::Ok)
            }),
            Self::List { ask } => Remote::run(&ask.server, async |remote| {
                let feeds = remote.get("/api/v1/oncall/feeds").await?;
                if ask.output == Form::Json {
                    output::json(&feeds);
                    return Ok(Exit::Ok);
                }
                let mut table = Table::new(&["ID", "PERSON", "ROTA"]);
                for feed in rows(&feeds) {
                    table.row(["id", "person", "rota"].map(|key| text(feed, key)));
                }
                table.print("No calendar is fetched.");
                Ok(Exit::Ok)
            }),
            Self::Revoke { id, ask } => Remote::run(&ask.server, async |remote| {
                let address = path(&["oncall", "feeds", id, "revoke"]);
                remote.act(&address, None, ask.output).await?;
                Ok(Exit::Ok)
            }),
        }
    }
}

/// What is handed over between shifts.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HandOver {
    /// Write this down for whoever comes next.
    #[arg(value_name = "TEXT", requires = "rota")]
    text: Option<String>,
    /// In which rota.
    #[arg(long)]
    rota: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

impl HandOver {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            if let Some(text) = &self.text {
                let note = json!({ "rota": self.rota, "text": text });
                remote
                    .act("/api/v1/oncall/handover", Some(note), self.ask.output)
                    .await?;
                return Ok(Exit::Ok);
            }
            let query = [("rota", self.rota.as_deref())];
            let (rotas, _) = remote.look("/api/v1/oncall/handover", &given(&query)).await?;
            match self.ask.output {
                Form::Json => output::json(&rotas),
                Form::Table => rows(&rotas).iter().for_each(print),
            }
            Ok(Exit::Ok)
        })
    }
}

fn print(rota: &Value) {
    let now = SystemClock.now();
    let next = text(rota, "next");
    let next = if next.is_empty() {
        "nobody".to_owned()
    } else {
        next
    };
    anstream::println!(
        "{}: {next} from {} (UTC)",
        text(rota, "title"),
        clock(rota, "next_at", now)
    );
    for note in list(rota, "notes") {
        let told = if note["handed_over"] == true {
            " (handed over)"
        } else {
            ""
        };
        anstream::println!(
            "  {}, {}{told}: {}",
            clock(note, "at", now),
            text(note, "by"),
            text(note, "text")
        );
    }
    for line in list(rota, "open").iter().filter_map(Value::as_str) {
        anstream::println!("  {line}");
    }
}
