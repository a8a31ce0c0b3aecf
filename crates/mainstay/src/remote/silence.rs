//! `mainstay silence`.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{Clock as _, Matcher, parse_matcher};
use serde_json::{Value, json};

use super::{Ask, Remote, Trouble, refused, understood};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::{self, Form, Table, list, text};

/// What is done with silences.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Silence alerts for a while: those that all matchers match are not told. It prints the silence's name.
    Add {
        /// Which: matchers as Alertmanager writes them, such as cell=cell-5 or 'alertname=~"Slow.*"'.
        #[arg(required = true, value_name = "MATCHER", value_parser = matcher)]
        matchers: Vec<Matcher>,
        /// For how long, as in 2h or 90m.
        #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = mainstay_catalog::duration::parse)]
        length: SignedDuration,
        /// From when on; now, if nothing is said.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Why.
        #[arg(long)]
        comment: String,
        /// Who makes it; the journal knows the account besides.
        #[arg(long, env = "USER", default_value = "unknown")]
        author: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// List silences that are in force or will be.
    List {
        /// Those that are over, too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// End silences now: what they held back is told.
    End {
        /// Their names.
        #[arg(required = true, value_name = "SILENCE")]
        names: Vec<String>,
        #[command(flatten)]
        ask: Ask,
    },
}

fn matcher(text: &str) -> Result<Matcher, String> {
    parse_matcher(text).map_err(|error| error.to_string())
}

impl Remote {
    /// An answer of Alertmanager's API: bare JSON, and a JSON text where it is refused.
    async fn alertmanager(&self, request: reqwest::RequestBuilder) -> Result<Value, Trouble> {
        let (status, body) = self.send(request).await?;
        let answer = if body.is_empty() {
            Value::Null
        } else {
            understood(&body)?
        };
        match answer.as_str() {
            Some(message) if status >= 300 => Err(Trouble::Refused {
                status,
                message: message.to_owned(),
                help: String::new(),
            }),
            _ if status >= 300 => Err(refused(status, Some(answer))),
            _ => Ok(answer),
        }
    }
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Add {
                matchers,
                length,
                from,
                comment,
                author,
                ask,
            } => Remote::run(&ask.server, async |remote| {
                let starts_at = from.unwrap_or_else(|| SystemClock.now());
                let ends_at = starts_at
                    .checked_add(*length)
                    .map_err(|error| Trouble::Strange(error.to_string()))?;
                let body = json!({
                    "matchers": matchers,
                    "startsAt": starts_at,
                    "endsAt": ends_at,
                    "createdBy": author,
                    "comment": comment,
                });
                let url = format!("{}/api/v2/silences", remote.base);
                let made = remote.alertmanager(remote.client.post(url).json(&body)).await?;
                match ask.output {
                    Form::Json => output::json(&made),
                    Form::Table => anstream::println!("{}", text(&made, "silenceID")),
                }
                Ok(Exit::Ok)
            }),
            Self::List { all, ask } => Remote::run(&ask.server, async |remote| {
                let url = format!("{}/api/v2/silences", remote.base);
                let silences = remote.alertmanager(remote.client.get(url)).await?;
                let mut silences = silences.as_array().cloned().unwrap_or_default();
                silences.retain(|one| *all || one["status"]["state"] != "expired");
                match ask.output {
                    Form::Json => output::json(&silences),
                    Form::Table => table(&silences).print("Nothing is silenced."),
                }
                Ok(Exit::Ok)
            }),
            Self::End { names, ask } => Remote::run(&ask.server, async |remote| {
                for name in names {
                    let path = mainstay_ui::url::path(&["api", "v2", "silence", name]);
                    let url = format!("{}{path}", remote.base);
                    remote.alertmanager(remote.client.delete(url)).await?;
                }
                Ok(Exit::Ok)
            }),
        }
    }
}

fn table(silences: &[Value]) -> Table {
    let mut table = Table::new(&[
        "SILENCE",
        "STATE",
        "MATCHERS",
        "FROM (UTC)",
        "UNTIL (UTC)",
        "BY",
        "WHY",
    ]);
    for one in silences {
        let matchers: Vec<String> = list(one, "matchers")
            .iter()
            .filter_map(|matcher| serde_json::from_value::<Matcher>(matcher.clone()).ok())
            .map(|matcher| matcher.to_string())
            .collect();
        let minute = |key: &str| {
            text(one, key)
                .chars()
                .take(16)
                .collect::<String>()
                .replace('T', " ")
        };
        table.row([
            text(one, "id"),
            text(&one["status"], "state"),
            matchers.join(" "),
            minute("startsAt"),
            minute("endsAt"),
            text(one, "createdBy"),
            text(one, "comment"),
        ]);
    }
    table
}
