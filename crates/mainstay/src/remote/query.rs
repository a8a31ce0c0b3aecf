//! `mainstay query`.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::Labels;
use serde_json::Value;

use super::{Ask, Remote};
use crate::exit::Exit;
use crate::output::{self, Form, Table, list};

/// Options of `mainstay query`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// PromQL.
    #[arg(value_name = "EXPR")]
    expr: String,
    /// At which instant (RFC 3339 or seconds since the epoch); now, if nothing is said.
    #[arg(long, conflicts_with = "range")]
    time: Option<String>,
    /// Over the time before now, such as 30m: one value per step.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    range: Option<i64>,
    /// The step of a range; a sixtieth of it, if nothing is said.
    #[arg(long, value_parser = duration, requires = "range", value_name = "DURATION")]
    step: Option<i64>,
    #[command(flatten)]
    ask: Ask,
}

fn duration(text: &str) -> Result<i64, String> {
    let ms = mainstay_promql::duration::parse_ms(text).filter(|ms| *ms > 0);
    ms.ok_or_else(|| "a duration is written 90s, 5m, 1h30m or 2d".to_owned())
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let answer = match self.range {
                None => {
                    let mut query = vec![("query", self.expr.as_str())];
                    query.extend(self.time.as_deref().map(|time| ("time", time)));
                    remote.prometheus("/api/v1/query", &query).await?
                }
                Some(range_ms) => {
                    let end = Timestamp::now();
                    let start = end
                        .saturating_sub(SignedDuration::from_millis(range_ms))
                        .unwrap_or(Timestamp::UNIX_EPOCH);
                    let step_ms = self.step.unwrap_or((range_ms / 60).max(1_000));
                    let (start, end) = (start.to_string(), end.to_string());
                    let step = format!("{step_ms}ms");
                    let query = [
                        ("query", self.expr.as_str()),
                        ("start", &start),
                        ("end", &end),
                        ("step", &step),
                    ];
                    remote.prometheus("/api/v1/query_range", &query).await?
                }
            };
            let remarks = ["warnings", "infos"].map(|remarks| list(&answer, remarks));
            for remark in remarks.into_iter().flatten().filter_map(Value::as_str) {
                anstream::eprintln!("{remark}");
            }
            match self.ask.output {
                Form::Json => output::json(&answer["data"]),
                Form::Table => show(&answer["data"]),
            }
            Ok(Exit::Ok)
        })
    }
}

fn show(data: &Value) {
    match data["resultType"].as_str() {
        Some("scalar" | "string") => anstream::println!("{}", data["result"][1].as_str().unwrap_or_default()),
        Some("vector") => {
            let mut table = Table::new(&["SERIES", "VALUE"]);
            for series in list(data, "result") {
                table.row([
                    name(series),
                    value(&series["value"]).unwrap_or_else(|| histogram(&series["histogram"])),
                ]);
            }
            table.print("No data.");
        }
        _ => {
            let mut table = Table::new(&["AT (UTC)", "VALUE"]);
            for series in list(data, "result") {
                anstream::println!("{}", name(series));
                for pair in list(series, "values") {
                    table.row([at(&pair[0]), value(pair).unwrap_or_default()]);
                }
                for pair in list(series, "histograms") {
                    table.row([at(&pair[0]), histogram(pair)]);
                }
                table.print("No data.");
                table = Table::new(&["AT (UTC)", "VALUE"]);
            }
            if list(data, "result").is_empty() {
                anstream::eprintln!("No data.");
            }
        }
    }
}

/// The number of a point.
fn value(point: &Value) -> Option<String> {
    point[1].as_str().map(str::to_owned)
}

/// The native histogram of a point: count and sum; the buckets are in the JSON.
fn histogram(point: &Value) -> String {
    let part = |name: &str| point[1][name].as_str().unwrap_or_default();
    let buckets = list(&point[1], "buckets").len();
    format!("count {}, sum {}, {buckets} buckets", part("count"), part("sum"))
}

fn name(series: &Value) -> String {
    let labels: Labels = serde_json::from_value(series["metric"].clone()).unwrap_or_default();
    labels.to_string()
}

fn at(seconds: &Value) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "instants in milliseconds fit")]
    let ms = seconds
        .as_f64()
        .map_or(0, |seconds| (seconds * 1_000.0).round() as i64);
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
