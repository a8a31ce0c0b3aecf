//! The functions of templates.

use std::collections::BTreeMap;

use mainstay_promql::{instant, parse};
use regex::Regex;

use super::Data;
use super::humanize;
use super::printf::printf;
use super::value::Value;

const KNOWN: [&str; 47] = [
    "and",
    "args",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "strvalue",
    "stripDomain",
    "stripPort",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// Whether templates may call it.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Calls a function.
pub(super) fn call(name: &str, args: Vec<Value>, data: &Data<'_>) -> Result<Value, String> {
    let text = |value: String| Ok(Value::Text(value));
    match (name, args.as_slice()) {
        ("and" | "or", [.., last]) => Ok(last.clone()),
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            let equals = rest
                .iter()
                .map(|other| compare(first, other))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Value::Bool(
                equals
                    .into_iter()
                    .any(|order| order == Some(std::cmp::Ordering::Equal)),
            ))
        }
        ("ne", [a, b]) => Ok(Value::Bool(compare(a, b)? != Some(std::cmp::Ordering::Equal))),
        ("lt", [a, b]) => Ok(Value::Bool(compare(a, b)?.is_some_and(std::cmp::Ordering::is_lt))),
        ("le", [a, b]) => Ok(Value::Bool(compare(a, b)?.is_some_and(std::cmp::Ordering::is_le))),
        ("gt", [a, b]) => Ok(Value::Bool(compare(a, b)?.is_some_and(std::cmp::Ordering::is_gt))),
        ("ge", [a, b]) => Ok(Value::Bool(compare(a, b)?.is_some_and(std::cmp::Ordering::is_ge))),
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => keys
            .iter()
            .try_fold(value.clone(), |value, key| index(&value, key)),
        ("print" | "html" | "js" | "safeHtml", values) => text(values.iter().map(Value::print).collect()),
        ("println", values) => text(values.iter().map(Value::print).collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [Value::Text(format), values @ ..]) => text(printf(format, values)),
        ("query", [Value::Text(query)]) => run_query(query, data),
        ("first", [Value::List(items)]) => items
            .first()
            .cloned()
            .ok_or_else(|| "first() called on vector with no elements".to_owned()),
        ("label", [Value::Text(label), sample]) => sample.field("Labels")?.field(label),
        ("value", [sample]) => sample.field("Value"),
        ("strvalue", [sample]) => sample.field("Labels")?.field("__value__"),
        ("sortByLabel", [Value::Text(label), Value::List(items)]) => {
            let mut items = items.clone();
            items.sort_by_cached_key(|item| {
                item.field("Labels")
                    .and_then(|l| l.field(label))
                    .map(|v| v.print())
            });
            Ok(Value::List(items))
        }
        ("args", values) => {
            let entries = values
                .iter()
                .enumerate()
                .map(|(index, value)| (format!("arg{index}"), value.clone()));
            Ok(Value::Map {
                entries: entries.collect(),
                of_texts: false,
            })
        }
        ("match", [Value::Text(pattern), Value::Text(subject)]) => {
            Ok(Value::Bool(regex(pattern)?.is_match(subject)))
        }
        ("reReplaceAll", [Value::Text(pattern), Value::Text(by), Value::Text(subject)]) => {
            text(regex(pattern)?.replace_all(subject, by.as_str()).into_owned())
        }
        ("title", [Value::Text(subject)]) => text(title(subject)),
        ("toUpper", [Value::Text(subject)]) => text(subject.to_uppercase()),
        ("toLower", [Value::Text(subject)]) => text(subject.to_lowercase()),
        ("humanize", [value]) => text(humanize::si(value.number()?)),
        ("humanize1024", [value]) => text(humanize::binary(value.number()?)),
        ("humanizeDuration", [value]) => text(humanize::duration(value.number()?)),
        ("humanizePercentage", [value]) => text(humanize::percentage(value.number()?)),
        ("humanizeTimestamp" | "toTime", [value]) => text(humanize::timestamp(value.number()?)),
        ("toDuration", [value]) => text(humanize::duration(value.number()?)),
        ("parseDuration", [Value::Text(duration)]) => {
            let millis = mainstay_promql::duration::parse_ms(duration);
            #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 ms")]
            let seconds = millis.map(|millis| Value::Float(millis as f64 / 1000.0));
            seconds.ok_or_else(|| format!("not a valid duration string: {duration:?}"))
        }
        ("now", []) => {
            #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
            let now = data.at_ms as f64 / 1000.0;
            Ok(Value::Float(now))
        }
        ("stripPort", [Value::Text(address)]) => text(split_port(address).0.to_owned()),
        ("stripDomain", [Value::Text(address)]) => text(strip_domain(address)),
        ("externalURL", []) => text(data.external_url.to_owned()),
        ("pathPrefix", []) => text(path(data.external_url).to_owned()),
        ("urlquery" | "urlQueryEscape", [value]) => text(escaped(&value.print())),
        ("graphLink", [Value::Text(query)]) => text(format!("/graph?g0.expr={}&g0.tab=0", escaped(query))),
        ("tableLink", [Value::Text(query)]) => text(format!("/graph?g0.expr={}&g0.tab=1", escaped(query))),
        (_, args) => {
            let types: Vec<_> = args.iter().map(Value::type_name).collect();
            Err(format!("wrong arguments for {name}: ({})", types.join(", ")))
        }
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

fn run_query(query: &str, data: &Data<'_>) -> Result<Value, String> {
    let expr = parse(query).map_err(|error| error.to_string())?;
    let outcome = instant(&expr, data.at_ms, data.store, data.limits).map_err(|error| error.to_string())?;
    match outcome.value {
        mainstay_promql::Value::Vector(samples) => Ok(Value::List(
            samples
                .iter()
                .map(|sample| Value::sample(&sample.labels, sample.value.float().unwrap_or_default()))
                .collect(),
        )),
        mainstay_promql::Value::Scalar(value) => Ok(Value::List(vec![Value::sample(
            &mainstay_kernel::Labels::new(),
            value,
        )])),
        mainstay_promql::Value::String(text) => {
            let labels = BTreeMap::from([("__value__".to_owned(), text)]).into();
            Ok(Value::List(vec![Value::sample(&labels, 0.0)]))
        }
        mainstay_promql::Value::Matrix(_) => Err("query result is not a vector or scalar".to_owned()),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Option<std::cmp::Ordering>, String> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map { entries, .. } => entries.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Map { .. }, Value::Text(key)) => value.field(key),
        (Value::List(items), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| items.get(at));
            found.cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        _ => Err(format!("can't index item of type {}", value.type_name())),
    }
}

/// Every word with a capital letter.
fn title(text: &str) -> String {
    let mut starts = true;
    let capital = text.chars().flat_map(|c| {
        let changed: Vec<char> = if starts {
            c.to_uppercase().collect()
        } else {
            vec![c]
        };
        starts = !(c.is_alphanumeric() || c == '_' || c == '\'');
        changed
    });
    capital.collect()
}

/// Host and port; brackets of an IPv6 address go with the port.
fn split_port(address: &str) -> (&str, Option<&str>) {
    if let Some(rest) = address.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
        && let Some(port) = after.strip_prefix(':')
    {
        return (host, Some(port));
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (address, None),
    }
}

fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn path(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    after.find('/').map_or("", |at| &after[at..])
}

/// As the value of a query parameter.
fn escaped(text: &str) -> String {
    let mut result = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                result.push(char::from(byte))
            }
            b' ' => result.push('+'),
            other => result.push_str(&format!("%{other:02X}")),
        }
    }
    result
}
