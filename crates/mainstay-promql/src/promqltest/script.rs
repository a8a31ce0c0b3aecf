//! Scripts: text to commands.

use mainstay_kernel::Labels;

use crate::duration;
use crate::eval::FARTHEST_MS;
use crate::notation::{self, Point};

use super::ScriptError;

/// A command and its line.
pub(super) enum Command {
    Clear,
    Load {
        step_ms: i64,
        series: Vec<(Labels, Vec<Point>)>,
        /// How far from each sample the start of its count lies, in milliseconds.
        starts: Vec<(Labels, Vec<Option<i64>>)>,
        with_custom_buckets: bool,
    },
    Eval(Box<Eval>),
}

/// An evaluation and what it should give.
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) when: When,
    pub(super) expected: Expected,
}

/// When to evaluate.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    At(i64),
    Over {
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    },
}

/// What to expect.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) fails: Option<Message>,
    pub(super) warns: Vec<Message>,
    pub(super) infos: Vec<Message>,
    pub(super) no_warn: bool,
    pub(super) no_info: bool,
    pub(super) is_ordered: bool,
    pub(super) text: Option<String>,
    pub(super) scalar: Option<f64>,
    /// Start, end and step of an expected range vector.
    pub(super) window: Option<(i64, i64, i64)>,
    pub(super) series: Vec<(Labels, Vec<Point>)>,
}

/// What a message should be.
pub(super) enum Message {
    Any,
    Exactly(String),
    Matching(regex::Regex),
}

impl Message {
    pub(super) fn holds(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted == message,
            Self::Matching(regex) => regex.is_match(message),
        }
    }
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, ScriptError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .collect();
    let mut rest = lines.as_slice();
    let mut commands = Vec::new();
    while let [(number, line), after @ ..] = rest {
        rest = after;
        let head = content(line);
        if head.is_empty() {
            continue;
        }
        let line_error = |message: String| fault(*number, line, head, message);
        if head == "clear" {
            commands.push(Command::Clear);
            continue;
        }
        let length = rest
            .iter()
            .take_while(|(_, line)| !content(line).is_empty())
            .count();
        let (block, after) = rest.split_at(length);
        rest = after;
        if let Some(step) = head
            .strip_prefix("load_with_nhcb ")
            .or_else(|| head.strip_prefix("load "))
        {
            let step_ms =
                time_ms(step).ok_or_else(|| line_error(format!("expected a duration, found {step:?}")))?;
            let is_start = |(_, line): &&(usize, &str)| word(content(line)).0.ends_with(START);
            let starts = block.iter().filter(is_start);
            let starts = starts
                .map(|(number, line)| starts_of(*number, line))
                .collect::<Result<_, _>>()?;
            let series = block.iter().filter(|line| !is_start(line));
            let series = series
                .map(|(number, line)| series_of(*number, line))
                .collect::<Result<_, _>>()?;
            let with_custom_buckets = head.starts_with("load_with_nhcb");
            commands.push(Command::Load {
                step_ms,
                series,
                starts,
                with_custom_buckets,
            });
        } else if head.starts_with("eval") {
            let (when, query, mode) = eval_head(head).map_err(line_error)?;
            let mut expected = Expected::default();
            match mode {
                "fail" => expected.fails = Some(Message::Any),
                "warn" => expected.warns.push(Message::Any),
                "info" => expected.infos.push(Message::Any),
                "ordered" => expected.is_ordered = true,
                _ => {}
            }
            for (number, line) in block {
                expect(*number, line, &mut expected)?;
            }
            commands.push(Command::Eval(Box::new(Eval {
                line: *number,
                query: query.to_owned(),
                when,
                expected,
            })));
        } else {
            return Err(line_error("expected load, clear or eval".to_owned()));
        }
    }
    Ok(commands)
}

/// A line without indentation; comments are empty.
fn content(line: &str) -> &str {
    let trimmed = line.trim();
    if trimmed.starts_with('#') { "" } else { trimmed }
}

fn fault(line: usize, whole: &str, part: &str, message: String) -> ScriptError {
    let offset = whole.find(part).unwrap_or_default();
    ScriptError {
        line,
        column: whole[..offset].chars().count() + 1,
        message,
    }
}

fn series_of(number: usize, line: &str) -> Result<(Labels, Vec<Point>), ScriptError> {
    let text = content(line);
    notation::parse_series(text).map_err(|error| {
        let mut found = fault(number, line, text, error.message);
        found.column += error.position.column - 1;
        found
    })
}

/// The mark of a line of starts, directly behind the series.
const START: &str = "@st";

/// Reads `metric{label="value"}@st offsets...`, durations from each sample to the start of its count: `_`, `-1m`,
/// `-1mx3`, `-30s-1mx3`.
fn starts_of(number: usize, line: &str) -> Result<(Labels, Vec<Option<i64>>), ScriptError> {
    let text = content(line);
    let (metric, offsets) = word(text);
    let metric = metric.strip_suffix(START).unwrap_or(metric);
    let (labels, _) = series_of(number, metric)?;
    let mut starts = Vec::new();
    for item in offsets.split_whitespace() {
        let bad = || {
            let message =
                format!("bad start {item:?}: expected _, a duration, or a series such as -1m-30sx5");
            fault(number, line, item, message)
        };
        let (head, times) = match item.rsplit_once('x') {
            Some((head, times)) => (head, Some(times.parse::<usize>().map_err(|_| bad())?)),
            None => (item, None),
        };
        if times.is_some_and(|times| times > notation::MAX_VALUES) {
            return Err(bad());
        }
        if head == "_" {
            starts.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let step_sign = head.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'));
        let (start, step) = head.split_at(step_sign.map_or(head.len(), |(at, _)| at));
        let signed = |text: &str| time_ms(text.strip_prefix('+').unwrap_or(text));
        let mut offset = signed(start).ok_or_else(bad)?;
        let step = if step.is_empty() {
            0
        } else {
            signed(step).ok_or_else(bad)?
        };
        for _ in 0..=times.unwrap_or_default() {
            starts.push(Some(offset));
            offset = offset.checked_add(step).ok_or_else(bad)?;
        }
    }
    Ok((labels, starts))
}

/// `5m`, `10s53ms`, or seconds.
fn time_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large is refused below"
    )]
    let from_seconds = || {
        text.parse::<f64>()
            .ok()
            .filter(|s| s.is_finite())
            .map(|s| (s * 1000.0).round() as i64)
    };
    let ms = match text.strip_prefix('-') {
        Some(positive) => duration::parse_ms(positive).map(|ms| -ms).or_else(from_seconds),
        None => duration::parse_ms(text).or_else(from_seconds),
    };
    ms.filter(|ms| (-FARTHEST_MS..=FARTHEST_MS).contains(ms))
}

/// The time, the query, and the mode behind `eval_`.
fn eval_head(head: &str) -> Result<(When, &str, &str), String> {
    let usage = "expected `eval instant at TIME QUERY` or `eval range from TIME to TIME step TIME QUERY`";
    let (command, rest) = word(head);
    let mode = command
        .strip_prefix("eval")
        .unwrap_or_default()
        .trim_start_matches('_');
    let (kind, rest) = word(rest);
    let mut rest = rest;
    let mut time = |keyword: &str| {
        let (found, after) = word(rest);
        let (text, after) = word(after);
        rest = after;
        let parsed = if found == keyword { time_ms(text) } else { None };
        parsed.ok_or_else(|| format!("{usage}: no time after {keyword:?}"))
    };
    let when = match kind {
        "instant" => When::At(time("at")?),
        "range" => When::Over {
            start_ms: time("from")?,
            end_ms: time("to")?,
            step_ms: time("step")?,
        },
        _ => return Err(usage.to_owned()),
    };
    Ok((when, rest, mode))
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn expect(number: usize, line: &str, expected: &mut Expected) -> Result<(), ScriptError> {
    let text = content(line);
    let line_error = |message: String| fault(number, line, text, message);
    if let Some(message) = text.strip_prefix("expected_fail_message ") {
        expected.fails = Some(Message::Exactly(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = text.strip_prefix("expected_fail_regexp ") {
        let regex = regex::Regex::new(pattern.trim()).map_err(|error| line_error(error.to_string()))?;
        expected.fails = Some(Message::Matching(regex));
        return Ok(());
    }
    let Some(rest) = text.strip_prefix("expect ") else {
        if let Some(value) = crate::parse::number(text) {
            expected.scalar = Some(value);
            return Ok(());
        }
        expected.series.push(series_of(number, line)?);
        return Ok(());
    };
    let (kind, rest) = word(rest);
    match kind {
        "string" => {
            expected.text =
                Some(unquoted(rest).ok_or_else(|| line_error("expected a quoted string".to_owned()))?);
        }
        "range" => {
            let head = rest
                .strip_prefix("vector")
                .map(|rest| format!("eval range {} x", rest.trim()));
            let parsed = head
                .as_deref()
                .ok_or_else(|| "expected `range vector`".to_owned())
                .and_then(eval_head);
            match parsed.map_err(line_error)?.0 {
                When::Over {
                    start_ms,
                    end_ms,
                    step_ms,
                } => expected.window = Some((start_ms, end_ms, step_ms)),
                When::At(_) => {}
            }
        }
        "fail" => expected.fails = Some(message(rest).map_err(line_error)?),
        "warn" => expected.warns.push(message(rest).map_err(line_error)?),
        "info" => expected.infos.push(message(rest).map_err(line_error)?),
        "no_warn" => expected.no_warn = true,
        "no_info" => expected.no_info = true,
        "ordered" => expected.is_ordered = true,
        _ => return Err(line_error(format!("unknown expectation {kind:?}"))),
    }
    Ok(())
}

fn message(text: &str) -> Result<Message, String> {
    if let Some(message) = text.strip_prefix("msg:") {
        return Ok(Message::Exactly(message.trim().to_owned()));
    }
    if let Some(pattern) = text.strip_prefix("regex:") {
        return regex::Regex::new(pattern.trim())
            .map(Message::Matching)
            .map_err(|error| error.to_string());
    }
    if text.is_empty() {
        Ok(Message::Any)
    } else {
        Err("expected msg: or regex:".to_owned())
    }
}

fn unquoted(text: &str) -> Option<String> {
    let expr = crate::parse::parse(text).ok()?;
    match expr.kind {
        crate::ast::ExprKind::String(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
