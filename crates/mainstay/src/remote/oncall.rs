//! `mainstay oncall`.

mod feed;
mod load;
mod swap;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::Clock as _;
use mainstay_oncall::ical::{self, Entry};
use serde_json::{Value, json};

use super::{Ask, Remote, Server, Trouble, path};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, instant, list, text};

/// How long a schedule is, and how far ahead gaps are looked for, if nothing is said.
const SCHEDULE_DAYS: i64 = 14;
const GAPS_DAYS: i64 = 90;

/// Which rota, and when.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct At {
    /// Of this instant, as in 2026-12-24T18:00:00Z; now, if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    at: Option<Timestamp>,
    /// Only this rota.
    #[arg(long)]
    rota: Option<String>,
}

/// Which rota, and from when until when.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Span {
    /// From when on; now, if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    from: Option<Timestamp>,
    /// Until when; at most 366 days later.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    until: Option<Timestamp>,
    /// Only this rota.
    #[arg(long)]
    rota: Option<String>,
}

/// How a schedule is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ScheduleForm {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// iCalendar for calendars.
    Ical,
}

/// What is asked about on-call.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Who is on call, until when, and who comes next.
    Who {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        ask: Ask,
    },
    /// The shifts of two weeks, or of another time; as a calendar, too.
    Schedule {
        #[command(flatten)]
        span: Span,
        /// Only the shifts of this person, by handle.
        #[arg(long)]
        person: Option<String>,
        #[command(flatten)]
        server: Server,
        /// How the answer is written.
        #[arg(short, long, value_enum, default_value_t)]
        output: ScheduleForm,
    },
    /// When nobody is on call, in the next 90 days or another time. Exit code 3 if there is such a time.
    Gaps {
        #[command(flatten)]
        span: Span,
        #[command(flatten)]
        ask: Ask,
    },
    /// Give somebody a duty for a while, whoever has it by the rota. The last one that covers an instant holds.
    Override {
        /// Take this override back, or both of a swap; what of it is over stays as it was.
        #[arg(long, value_name = "ID", conflicts_with_all = ["rota", "person", "from", "until"])]
        withdraw: Option<String>,
        /// Of which rota.
        #[arg(long, required_unless_present = "withdraw")]
        rota: Option<String>,
        /// Who takes it, by handle.
        #[arg(long, required_unless_present = "withdraw")]
        person: Option<String>,
        /// From when on; now, if nothing is said.
        #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
        from: Option<Timestamp>,
        /// Until when.
        #[arg(long, value_name = "TIME", required_unless_present = "withdraw", value_parser = crate::cli::time)]
        until: Option<Timestamp>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Overrides that are not over, with the ids by which they are withdrawn.
    Overrides {
        #[command(flatten)]
        ask: Ask,
    },
    /// Hours, nights, pages, shares and pay of each person, of the last 30 days or another time.
    Load(load::Load),
    /// Calendars that calendar programs fetch: a secret link for a person or a rota.
    #[command(subcommand)]
    Feed(feed::Command),
    /// What was written down for whoever comes next, and what is open; or write something down.
    Handover(feed::HandOver),
    /// Ask somebody to take a shift, and answer such questions.
    #[command(subcommand)]
    Swap(swap::Command),
    /// Whose turn the next incident is, where a policy pages one at a time, and why.
    Turns {
        /// Of this instant, as in 2026-12-24T18:00:00Z; now, if nothing is said.
        #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
        at: Option<Timestamp>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Why somebody is on call, or nobody: every override and layer, in the order in which they are asked, and whose turn it
    /// is where a policy pages one at a time.
    Explain {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        ask: Ask,
    },
}

impl At {
    async fn ask(&self, remote: &Remote) -> Result<(Value, Timestamp), Trouble> {
        let at = self.at.map(|at| at.to_string());
        let query = [("at", at.as_deref()), ("rota", self.rota.as_deref())];
        remote.look("/api/v1/oncall", &given(&query)).await
    }
}

impl Span {
    async fn ask(
        &self,
        remote: &Remote,
        days: i64,
        person: Option<&str>,
    ) -> Result<(Value, Timestamp), Trouble> {
        let from = self.from.unwrap_or_else(|| SystemClock.now());
        let later = from.saturating_add(SignedDuration::from_hours(days * 24));
        let until = self.until.unwrap_or(later.unwrap_or(Timestamp::MAX));
        let (from, until) = (from.to_string(), until.to_string());
        let query = [
            ("from", Some(from.as_str())),
            ("until", Some(until.as_str())),
            ("rota", self.rota.as_deref()),
            ("person", person),
        ];
        remote.look("/api/v1/oncall/schedule", &given(&query)).await
    }
}

fn given<'a>(query: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    let given = query.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    given.collect()
}

fn rows(answer: &Value) -> &[Value] {
    answer.as_array().map(Vec::as_slice).unwrap_or_default()
}

const NO_ROTA: &str = "The catalog has no rota.";
const NOBODY: &str = "\x1b[31mnobody\x1b[0m";

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Who { at, ask } => Remote::run(&ask.server, async |remote| {
                let (duties, now) = at.ask(remote).await?;
                match ask.output {
                    Form::Json => output::json(&duties),
                    Form::Table => who(&duties, now).print(NO_ROTA),
                }
                Ok(Exit::Ok)
            }),
            Self::Schedule {
                span,
                person,
                server,
                output,
            } => Remote::run(server, async |remote| {
                let (schedules, now) = span.ask(remote, SCHEDULE_DAYS, person.as_deref()).await?;
                match output {
                    ScheduleForm::Json => output::json(&schedules),
                    ScheduleForm::Table => shifts(&schedules, now).print("No shift lies in that time."),
                    ScheduleForm::Ical => {
                        let name = person.as_ref().or(span.rota.as_ref());
                        let name =
                            name.map_or_else(|| "On-call".to_owned(), |name| format!("On-call: {name}"));
                        anstream::print!("{}", ical::calendar(&name, &entries(&schedules)));
                    }
                }
                Ok(Exit::Ok)
            }),
            Self::Gaps { span, ask } => Remote::run(&ask.server, async |remote| {
                let (schedules, now) = span.ask(remote, GAPS_DAYS, None).await?;
                let mut table = Table::new(&["ROTA", "FROM (UTC)", "UNTIL (UTC)"]);
                let mut found: Vec<Value> = Vec::new();
                for schedule in rows(&schedules) {
                    for gap in list(schedule, "gaps") {
                        table.row([
                            text(schedule, "rota"),
                            clock(gap, "from", now),
                            clock(gap, "until", now),
                        ]);
                        found.push(json!({
                            "rota": schedule["rota"], "from": gap["from"], "until": gap["until"],
                        }));
                    }
                }
                match ask.output {
                    Form::Json => output::json(&found),
                    Form::Table => table.print("Somebody is on call in every rota, all the time."),
                }
                Ok(if found.is_empty() {
                    Exit::Ok
                } else {
                    Exit::Problems
                })
            }),
            Self::Override {
                withdraw: Some(id),
                ask,
                ..
            } => Remote::run(&ask.server, async |remote| {
                let address = path(&["oncall", "overrides", id, "withdraw"]);
                remote.act(&address, None, ask.output).await?;
                Ok(Exit::Ok)
            }),
            Self::Overrides { ask } => swap::overrides(ask),
            Self::Load(load) => load.run(),
            Self::Feed(command) => command.run(),
            Self::Handover(hand_over) => hand_over.run(),
            Self::Swap(command) => command.run(),
            Self::Override {
                withdraw: None,
                rota,
                person,
                from,
                until,
                ask,
            } => Remote::run(&ask.server, async |remote| {
                let entry = json!({ "rota": rota, "person": person, "from": from, "until": until });
                remote
                    .act("/api/v1/oncall/overrides", Some(entry), ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
            Self::Explain { at, ask } => Remote::run(&ask.server, async |remote| {
                let (duties, _) = at.ask(remote).await?;
                if ask.output == Form::Json {
                    output::json(&duties);
                    return Ok(Exit::Ok);
                }
                let mut table = Table::new(&["ROTA", "ASKED", "SAYS", "WHO", "WHY"]);
                for duty in rows(&duties) {
                    for step in list(duty, "why") {
                        table.row([
                            text(duty, "rota"),
                            text(step, "what"),
                            text(step, "verdict"),
                            text(step, "person"),
                            text(step, "why"),
                        ]);
                    }
                }
                table.print(NO_ROTA);
                let turns = turns(remote, at.at).await?;
                let rota = at.rota.as_ref().map(|rota| format!("rota {rota}"));
                let concerned = |turn: &&Value| {
                    let mut targets = list(turn, "targets").iter();
                    let rota = rota.as_deref();
                    rota.is_none_or(|rota| targets.any(|target| target["target"] == rota))
                };
                let concerned: Vec<&Value> = rows(&turns).iter().filter(concerned).collect();
                if !concerned.is_empty() {
                    anstream::println!();
                    turn_table(concerned).print("");
                }
                Ok(Exit::Ok)
            }),
            Self::Turns { at, ask } => Remote::run(&ask.server, async |remote| {
                let turns = turns(remote, *at).await?;
                match ask.output {
                    Form::Json => output::json(&turns),
                    Form::Table => turn_table(rows(&turns)).print("No policy pages one at a time."),
                }
                Ok(Exit::Ok)
            }),
        }
    }
}

async fn turns(remote: &Remote, at: Option<Timestamp>) -> Result<Value, Trouble> {
    let at = at.map(|at| at.to_string());
    let (turns, _) = remote
        .look("/api/v1/oncall/turns", &given(&[("at", at.as_deref())]))
        .await?;
    Ok(turns)
}

fn turn_table<'a>(turns: impl IntoIterator<Item = &'a Value>) -> Table {
    let mut table = Table::new(&["POLICY", "LEVEL", "NEXT", "IN TURN", "WHY"]);
    for turn in turns {
        let targets = list(turn, "targets").iter();
        let targets: Vec<String> = targets.map(|target| text(target, "target")).collect();
        let next = text(turn, "next");
        table.row([
            text(turn, "policy"),
            text(turn, "level"),
            if next.is_empty() { NOBODY.to_owned() } else { next },
            targets.join(", "),
            text(turn, "why"),
        ]);
    }
    table
}

fn who(duties: &Value, now: Timestamp) -> Table {
    let mut table = Table::new(&["ROTA", "NOW", "UNTIL (UTC)", "NEXT"]);
    for duty in rows(duties) {
        let (shift, next) = (&duty["shift"], &duty["next"]);
        // Of a gap the end is where the next shift begins.
        let (who, until) = if shift.is_null() {
            (NOBODY.to_owned(), clock(next, "from", now))
        } else {
            (text(shift, "name"), clock(shift, "until", now))
        };
        table.row([text(duty, "title"), who, until, text(next, "name")]);
    }
    table
}

/// Shifts and gaps in order.
fn shifts(schedules: &Value, now: Timestamp) -> Table {
    let mut table = Table::new(&["ROTA", "FROM (UTC)", "UNTIL (UTC)", "WHO", "BY"]);
    for schedule in rows(schedules) {
        let gaps = list(schedule, "gaps").iter();
        let mut lines: Vec<&Value> = list(schedule, "shifts").iter().chain(gaps).collect();
        lines.sort_by_key(|line| instant(line, "from"));
        for line in lines {
            let is_gap = line["person"].is_null();
            table.row([
                text(schedule, "rota"),
                clock(line, "from", now),
                clock(line, "until", now),
                if is_gap {
                    NOBODY.to_owned()
                } else {
                    text(line, "name")
                },
                text(line, "by"),
            ]);
        }
    }
    table
}

fn entries(schedules: &Value) -> Vec<Entry> {
    let mut entries = Vec::new();
    for schedule in rows(schedules) {
        entries.extend(list(schedule, "shifts").iter().filter_map(|shift| {
            Some(Entry {
                rota: text(schedule, "rota"),
                summary: format!("{}: {}", text(schedule, "title"), text(shift, "name")),
                from: instant(shift, "from")?,
                until: instant(shift, "until")?,
            })
        }));
    }
    entries.sort_by_key(|entry| entry.from);
    entries
}
