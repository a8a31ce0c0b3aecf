//! Go's own functions.

use std::sync::Arc;

use super::{comparison, escape};
use crate::error::Fault;
use crate::format;
use crate::limits::Budget;
use crate::value::{Str, Value};

/// None if it is none of these.
pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Option<Result<Value, Fault>> {
    Some(match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!value.truth())),
        ("len", [value]) => length(value),
        ("index", [item, indices @ ..]) => index(item, indices),
        ("slice", [item, indices @ ..]) => slice(item, indices, budget),
        ("call", [function, ..]) => Err(Fault::execution(format!(
            "non-function of type {}",
            function.type_name()
        ))),
        ("eq", [first, others @ ..]) => comparison::equal(first, others).map(Value::Bool),
        ("ne", [left, right]) => {
            comparison::equal(left, std::slice::from_ref(right)).map(|equal| Value::Bool(!equal))
        }
        ("lt", [left, right]) => comparison::less(left, right).map(Value::Bool),
        ("le", [left, right]) => comparison::less_or_equal(left, right).map(Value::Bool),
        ("gt", [left, right]) => comparison::less_or_equal(left, right).map(|truth| Value::Bool(!truth)),
        ("ge", [left, right]) => comparison::less(left, right).map(|truth| Value::Bool(!truth)),
        ("print" | "println" | "printf" | "html" | "js" | "urlquery", arguments) => {
            printed(name, arguments, budget)
        }
        _ => return None,
    })
}

fn printed(name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Value, Fault> {
    let mut sink = budget.sink();
    match (name, arguments) {
        ("printf", [Value::Text(format), values @ ..]) => format::printf(&mut sink, format.bytes(), values)?,
        ("println", values) => format::println(&mut sink, values)?,
        ("print", values) => format::print(&mut sink, values)?,
        (_, values) => {
            let values: Vec<Value> = values.iter().map(shown).collect();
            format::print(&mut sink, &values)?;
        }
    }
    let bytes = sink.finish()?;
    budget.read(bytes.len())?;
    let escaped = match name {
        "html" => escape::html(&bytes),
        "js" => escape::js(&bytes),
        "urlquery" => escape::query(&bytes),
        _ => bytes,
    };
    budget.text(escaped)
}

/// Go's escapers show no value as the actions do.
fn shown(value: &Value) -> Value {
    match value {
        Value::Invalid => Value::text("<no value>"),
        value => value.clone(),
    }
}

fn length(value: &Value) -> Result<Value, Fault> {
    value
        .len()
        .map(Value::length)
        .ok_or_else(|| Fault::execution(format!("len of type {}", value.type_name())))
}

/// An index into what has so many elements.
fn position(index: &Value, most: usize) -> Result<usize, Fault> {
    let number = match index {
        Value::Int(number)
        | Value::Int64(number)
        | Value::Duration(number)
        | Value::Month(number)
        | Value::Weekday(number) => *number,
        Value::Byte(byte) => i64::from(*byte),
        Value::Invalid => return Err(Fault::execution("cannot index slice/array with nil")),
        other => {
            return Err(Fault::execution(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            )));
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|&position| position <= most)
        .ok_or_else(|| Fault::execution(format!("index out of range: {number}")))
}

fn index(item: &Value, indices: &[Value]) -> Result<Value, Fault> {
    let mut item = item.clone();
    if let Value::Invalid = item {
        return Err(Fault::execution("index of untyped nil"));
    }
    for index in indices {
        let key = || match index {
            Value::Text(key) => Ok(key),
            other => Err(Fault::execution(format!(
                "value has type {}; should be string",
                other.type_name()
            ))),
        };
        item = match &item {
            Value::Kv(kv) => {
                let found = std::str::from_utf8(key()?.bytes())
                    .ok()
                    .and_then(|key| kv.get(key));
                Value::text(found.map_or("", String::as_str))
            }
            Value::Dict(dict) => dict.items.get(key()?).cloned().unwrap_or(Value::Invalid),
            Value::Text(_)
            | Value::Safe(..)
            | Value::Strings(_)
            | Value::Pairs(_)
            | Value::Alerts(..)
            | Value::List(_) => {
                let position = position(index, item.len().unwrap_or(0))?;
                item.element(position)
                    .ok_or_else(|| Fault::execution(format!("index out of range: {position}")))?
            }
            Value::Invalid => return Err(Fault::execution("index of nil pointer")),
            other => {
                return Err(Fault::execution(format!(
                    "can't index item of type {}",
                    other.type_name()
                )));
            }
        };
    }
    Ok(item)
}

fn slice(item: &Value, indices: &[Value], budget: &mut Budget) -> Result<Value, Fault> {
    if indices.len() > 3 {
        return Err(Fault::execution(format!(
            "too many slice indexes: {}",
            indices.len()
        )));
    }
    let is_text = matches!(item, Value::Text(_) | Value::Safe(..));
    if is_text && indices.len() == 3 {
        return Err(Fault::execution("cannot 3-index slice a string"));
    }
    let Some(length) = item
        .len()
        .filter(|_| !matches!(item, Value::Kv(_) | Value::Dict(_)))
    else {
        return Err(Fault::execution(format!(
            "can't slice item of type {}",
            item.type_name()
        )));
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indices) {
        *bound = position(index, length)?;
    }
    let [from, to, capacity] = bounds;
    if from > to || to > capacity {
        return Err(Fault::execution(format!("invalid slice index: {from} > {to}")));
    }
    budget.charge(to - from)?;
    Ok(match item {
        Value::Text(text) => Value::Text(Str::from(&text.bytes()[from..to])),
        Value::Safe(content, text) => Value::Safe(*content, Str::from(&text.bytes()[from..to])),
        Value::Strings(items) => Value::Strings(Arc::from(&items[from..to])),
        Value::Pairs(pairs) => Value::Pairs(Arc::from(&pairs[from..to])),
        Value::Alerts(alerts, named) => Value::Alerts(Arc::from(&alerts[from..to]), *named),
        Value::List(list) => Value::List(Arc::new(crate::value::Nested {
            items: list.items[from..to].to_vec(),
            depth: list.depth,
        })),
        _ => return Err(Fault::execution("can't slice it")),
    })
}
