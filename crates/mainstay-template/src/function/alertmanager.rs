//! The functions that Alertmanager adds to Go's.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{escape, json, pattern, title};
use crate::clock;
use crate::error::Fault;
use crate::format::general_float;
use crate::limits::Budget;
use crate::method;
use crate::value::{Content, Nested, Str, Value};

/// None if it is none of these.
pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Option<Result<Value, Fault>> {
    for argument in arguments {
        if let Value::Text(text) = argument
            && let Err(fault) = budget.read(text.bytes().len())
        {
            return Some(Err(fault));
        }
    }
    Some(match (name, arguments) {
        ("toUpper", [Value::Text(text)]) => budget.text(title::to_upper(&text.lossy()).into_bytes()),
        ("toLower", [Value::Text(text)]) => budget.text(title::to_lower(&text.lossy()).into_bytes()),
        ("title", [Value::Text(text)]) => budget.text(title::title(&text.lossy()).into_bytes()),
        ("trimSpace", [Value::Text(text)]) => budget.text(trim(text.bytes()).to_vec()),
        ("safeHtml", [Value::Text(text)]) => Ok(Value::Safe(Content::Html, text.clone())),
        ("safeUrl", [Value::Text(text)]) => Ok(Value::Safe(Content::Url, text.clone())),
        ("urlUnescape", [Value::Text(text)]) => match escape::unquery(text.bytes()) {
            Some(bytes) => budget.text(bytes),
            None => Err(Fault::execution(format!(
                "invalid URL escape in {:?}",
                text.lossy()
            ))),
        },
        ("base64encode", [Value::Text(text)]) => budget.text(base64(text.bytes())),
        ("base64decode", [Value::Text(text)]) => match unbase64(text.bytes()) {
            Some(bytes) => budget.text(bytes),
            None => Err(Fault::execution("illegal base64 data")),
        },
        ("join", [Value::Text(separator), Value::Strings(items)]) => join(separator, items, budget),
        ("match", [Value::Text(pattern), Value::Text(text)]) => {
            pattern::compile(pattern.bytes(), budget).map(|regex| Value::Bool(regex.is_match(text.bytes())))
        }
        ("reReplaceAll", [Value::Text(pattern), Value::Text(replacement), Value::Text(text)]) => {
            pattern::compile(pattern.bytes(), budget)
                .and_then(|regex| pattern::replace_all(&regex, replacement.bytes(), text.bytes(), budget))
                .and_then(|bytes| budget.text(bytes))
        }
        ("stringSlice", items) => Ok(Value::Strings(
            items
                .iter()
                .filter_map(|item| {
                    if let Value::Text(text) = item {
                        Some(text.clone())
                    } else {
                        None
                    }
                })
                .collect(),
        )),
        ("date", [Value::Text(layout), Value::Time(time)]) => {
            budget.text(clock::format(time, &layout.lossy()).into_bytes())
        }
        ("tz", [Value::Text(zone), Value::Time(time)]) => {
            in_zone(&zone.lossy()).map(|zone| Value::Time(Box::new(time.with_time_zone(zone))))
        }
        ("now", []) => Ok(Value::Time(Box::new(budget.now.clone()))),
        ("since", [Value::Time(time)]) => Ok(Value::Duration(method::nanoseconds_between(time, &budget.now))),
        ("humanizeDuration", [value]) => {
            seconds(value).and_then(|seconds| budget.text(humanized(seconds).into_bytes()))
        }
        ("toJson", [value]) => {
            let mut sink = budget.sink();
            json::write(&mut sink, value)
                .and_then(|()| sink.finish())
                .and_then(|bytes| budget.text(bytes))
        }
        ("list", items) => list(items.to_vec(), budget),
        ("append", [Value::List(list), more @ ..]) => {
            self::list(list.items.iter().chain(more).cloned().collect(), budget)
        }
        ("dict", items) => dict(items, budget),
        _ => return None,
    })
}

fn list(items: Vec<Value>, budget: &mut Budget) -> Result<Value, Fault> {
    let depth = budget.depth_over(items.iter())?;
    Ok(Value::List(Arc::new(Nested { items, depth })))
}

fn dict(items: &[Value], budget: &mut Budget) -> Result<Value, Fault> {
    let depth = budget.depth_over(items.iter())?;
    let (pairs, []) = items.as_chunks::<2>() else {
        return Err(Fault::execution("dict requires an even number of arguments"));
    };
    let mut entries = BTreeMap::new();
    for [key, value] in pairs {
        let Value::Text(key) = key else {
            return Err(Fault::execution("dict keys must be strings"));
        };
        entries.insert(key.clone(), value.clone());
    }
    Ok(Value::Dict(Arc::new(Nested {
        items: entries,
        depth,
    })))
}

/// Also a method of lists of strings.
pub(crate) fn join(separator: &Str, items: &[Str], budget: &mut Budget) -> Result<Value, Fault> {
    let mut sink = budget.sink();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            sink.write(separator.bytes());
        }
        sink.write(item.bytes());
    }
    let bytes = sink.finish()?;
    budget.text(bytes)
}

/// Go's `strings.TrimSpace`.
fn trim(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

/// A zone by the names that Go knows.
fn in_zone(name: &str) -> Result<TimeZone, Fault> {
    match name {
        // The local zone is the reader's guess: a server has none.
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| Fault::execution(format!("unknown time zone {name}"))),
    }
}

/// A value as seconds, as Prometheus has it.
fn seconds(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Float(number) => Ok(*number),
        #[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
        Value::Int(number) | Value::Int64(number) => Ok(*number as f64),
        #[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
        Value::Duration(nanoseconds) => {
            Ok((*nanoseconds / 1_000_000_000) as f64 + (*nanoseconds % 1_000_000_000) as f64 / 1e9)
        }
        Value::Text(text) => text
            .lossy()
            .parse()
            .map_err(|_| Fault::execution(format!("{:?} is no number", text.lossy()))),
        other => Err(Fault::execution(format!(
            "can't convert {} to float",
            other.type_name()
        ))),
    }
}

/// Prometheus's `HumanizeDuration`.
fn humanized(seconds: f64) -> String {
    let general = |value: f64| general_float(value, Some(4));
    if !seconds.is_finite() {
        return general(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        let mut prefix = "";
        let mut value = seconds;
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            prefix = next;
            value *= 1000.0;
        }
        return format!("{}{prefix}s", general(value));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let size = seconds.abs();
    #[expect(clippy::cast_possible_truncation, reason = "Go cuts the fraction off too")]
    let whole = size as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", general(size))
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The alphabet for URLs, with padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let sextet = (bits >> (18 - 6 * index) & 63) as usize;
            out.push(if index <= chunk.len() {
                BASE64[sextet]
            } else {
                b'='
            });
        }
    }
    out
}

fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    for (index, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|&&byte| byte == b'=').count();
        if padding > 2 || padding > 0 && index + 1 < groups.len() {
            return None;
        }
        let mut bits = 0;
        for byte in &group[..4 - padding] {
            let sextet = BASE64.iter().position(|known| known == byte)?;
            bits = bits << 6 | u32::try_from(sextet).ok()?;
        }
        bits <<= 6 * padding;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}
