//! `mainstay silence`.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{Clock as _, Labels, Matcher, Severity, parse_matcher};
use serde_json::{Value, json};

use super::{Ask, Remote, Trouble, refused, understood};
use crate::check::counted;
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::{self, Form, Table, list, text};

/// What is done with silences.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Silence alerts for a while: those that all matchers match are not told. It prints the silence's name, and on
    /// standard error what it holds back.
    Add {
        /// Which: matchers as Alertmanager writes them, such as cell=cell-5 or 'alertname=~"Slow.*"'.
        #[arg(required = true, value_name = "MATCHER", value_parser = matcher)]
        matchers: Vec<Matcher>,
        /// For how long, as in 2h or 90m.
        #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = mainstay_catalog::duration::parse)]
        length: SignedDuration,
        /// From when on; now, if nothing is said.
        #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
        from: Option<Timestamp>,
        /// Why.
        #[arg(long, value_parser = comment)]
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

/// Whoever finds the silence at night must be able to read why it is there.
fn comment(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why: others read it while alerts are held back".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// What a silence does to the alerts that it matches, by their severities.
fn effect(severities: &[Severity], now: bool) -> String {
    let of_p0 = severities.iter().filter(|one| **one == Severity::P0).count();
    let of_p0 = match of_p0 {
        0 => String::new(),
        some => format!(", {some} of them P0"),
    };
    match (severities.len(), now) {
        (0, _) => "It matches no alert that fires now.".to_owned(),
        (all, true) => format!("It holds back {}{of_p0}.", counted(all, "alert")),
        (all, false) => format!(
            "It will hold back {} of those that fire now{of_p0}.",
            counted(all, "alert")
        ),
    }
}

impl Remote {
    /// The severities of the alerts that fire and that all matchers match.
    async fn matched(&self, matchers: &[Matcher]) -> Result<Vec<Severity>, Trouble> {
        let alerts = self
            .alertmanager(self.client.get(format!("{}/api/v2/alerts", self.base)))
            .await?;
        let labels = alerts.as_array().into_iter().flatten();
        let labels =
            labels.filter_map(|alert| serde_json::from_value::<Labels>(alert["labels"].clone()).ok());
        let meant = labels.filter(|labels| matchers.iter().all(|matcher| matcher.matches(labels)));
        Ok(meant
            .map(|labels| Severity::from_labels(&labels).unwrap_or(Severity::P2))
            .collect())
    }

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
                // It is made, whether or not it can be said of what.
                match remote.matched(matchers).await {
                    Ok(severities) => anstream::eprintln!("{}", effect(&severities, from.is_none())),
                    Err(trouble) => anstream::eprintln!("What it holds back is not known: {trouble}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_silence_does_is_said_in_words() {
        assert_eq!(effect(&[], true), "It matches no alert that fires now.");
        assert_eq!(effect(&[Severity::P2], true), "It holds back 1 alert.");
        let some = [Severity::P0, Severity::P1, Severity::P0];
        assert_eq!(effect(&some, true), "It holds back 3 alerts, 2 of them P0.");
        assert_eq!(
            effect(&some, false),
            "It will hold back 3 alerts of those that fire now, 2 of them P0."
        );
        assert!(comment(" ").is_err());
    }
}
