//! `mainstay oncall load`.

use jiff::Timestamp;
use mainstay_kernel::csv::field;
use serde_json::Value;

use super::{Remote, Server, given};
use crate::exit::Exit;
use crate::output::{self, Table, list, text};

/// How a load is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LoadForm {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
    /// CSV for spreadsheets and payrolls, a line for each person and rota.
    Csv,
}

/// Of which time, and how it is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Load {
    /// From when on; 30 days before the end if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    from: Option<Timestamp>,
    /// Until when; now if nothing is said. At most 366 days later.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    until: Option<Timestamp>,
    /// Only this rota.
    #[arg(long)]
    rota: Option<String>,
    #[command(flatten)]
    server: Server,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: LoadForm,
}

const MINUTE_MS: u64 = 60_000;

/// `168:00`: hours and minutes.
fn hours(value: &Value, key: &str) -> String {
    let minutes = value[key].as_u64().unwrap_or(0) / MINUTE_MS;
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

/// `4m 12s`.
fn took(value: &Value, key: &str) -> String {
    value[key].as_u64().map_or_else(String::new, |ms| {
        let seconds = ms / 1_000;
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    })
}

/// `31.25%` of ten thousandths.
fn percent(value: &Value, key: &str) -> String {
    let parts = value[key].as_u64().unwrap_or(0);
    format!("{}.{:02}%", parts / 100, parts % 100)
}

fn amounts(person: &Value) -> String {
    let rotas = list(person, "rotas")
        .iter()
        .filter(|rota| rota["amount"].is_string());
    let amounts: Vec<String> = rotas
        .map(|rota| format!("{} {}", text(rota, "amount"), text(rota, "currency")))
        .collect();
    amounts.join(" + ")
}

fn csv(load: &Value) -> String {
    let mut lines = String::from(
        "person,name,rota,from,until,shifts,on_call_minutes,off_hours_minutes,amount,currency,pages,pages_at_night,\
         interrupted_nights\r\n",
    );
    let minutes = |value: &Value, key: &str| (value[key].as_u64().unwrap_or(0) / MINUTE_MS).to_string();
    for person in list(load, "people") {
        for rota in list(person, "rotas") {
            let fields = [
                text(person, "person"),
                text(person, "name"),
                text(rota, "rota"),
                text(load, "from"),
                text(load, "until"),
                text(rota, "shifts"),
                minutes(rota, "on_call_ms"),
                minutes(rota, "off_hours_ms"),
                text(rota, "amount"),
                text(rota, "currency"),
                text(person, "pages"),
                text(person, "pages_at_night"),
                text(person, "interrupted_nights"),
            ];
            let fields = fields.iter().map(|text| field(text));
            lines += &fields.collect::<Vec<_>>().join(",");
            lines += "\r\n";
        }
    }
    lines
}

impl Load {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.server, async |remote| {
            let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
            let (from, until) = (instant(self.from), instant(self.until));
            let query = [
                ("from", from.as_deref()),
                ("until", until.as_deref()),
                ("rota", self.rota.as_deref()),
            ];
            let (load, _) = remote.look("/api/v1/oncall/load", &given(&query)).await?;
            match self.output {
                LoadForm::Json => output::json(&load),
                LoadForm::Csv => anstream::print!("{}", csv(&load)),
                LoadForm::Table => {
                    table(&load).print("Nobody takes turns.");
                    if !list(&load, "people").is_empty() {
                        anstream::println!("An equal share is {}.", percent(&load, "equal_share"));
                    }
                }
            }
            Ok(Exit::Ok)
        })
    }
}

fn table(load: &Value) -> Table {
    let mut table = Table::new(&[
        "WHO",
        "ON CALL",
        "OFF HOURS",
        "SHARE",
        "OFF SHARE",
        "PAGES",
        "OFF",
        "NIGHT",
        "NIGHTS",
        "ACK MEDIAN",
        "ACK WORST",
        "PAY",
    ]);
    for person in list(load, "people") {
        table.row([
            text(person, "name"),
            hours(person, "on_call_ms"),
            hours(person, "off_hours_ms"),
            percent(person, "share"),
            percent(person, "off_hours_share"),
            text(person, "pages"),
            text(person, "pages_off_hours"),
            text(person, "pages_at_night"),
            text(person, "interrupted_nights"),
            took(person, "acknowledged_median_ms"),
            took(person, "acknowledged_worst_ms"),
            amounts(person),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be_and_no_formula_gets_out() {
        for (given, written) in [
            ("Ann", "Ann"),
            ("O'Neil, Ann", "\"O'Neil, Ann\""),
            ("the \"boss\"", "\"the \"\"boss\"\"\""),
            ("=1+1", "'=1+1"),
        ] {
            assert_eq!(field(given), written);
        }
    }
}
