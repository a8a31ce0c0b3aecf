//! `eq`, `lt` and the others: Go compares basic kinds, and never across them.

use std::cmp::Ordering;

use crate::error::Fault;
use crate::value::Value;

enum Basic<'a> {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'a [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number)
        | Value::Int64(number)
        | Value::Duration(number)
        | Value::Month(number)
        | Value::Weekday(number) => Basic::Integer(*number),
        Value::Byte(byte) => Basic::Integer(i64::from(*byte)),
        Value::Float(number) => Basic::Float(*number),
        Value::Text(text) | Value::Safe(_, text) => Basic::Text(text.bytes()),
        _ => return None,
    })
}

fn incompatible() -> Fault {
    Fault::execution("incompatible types for comparison")
}

fn comparable(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Strings(_)
        | Value::Kv(_)
        | Value::Pairs(_)
        | Value::Alerts(..)
        | Value::Alert(_)
        | Value::Data(_)
        | Value::List(_)
        | Value::Dict(_) => Err(Fault::execution(format!(
            "uncomparable type {}",
            value.type_name()
        ))),
        _ => Ok(()),
    }
}

/// Whether the first equals one of the others.
pub(super) fn equal(first: &Value, others: &[Value]) -> Result<bool, Fault> {
    if others.is_empty() {
        return Err(Fault::execution("missing argument for comparison"));
    }
    for other in others {
        if equals(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(left: &Value, right: &Value) -> Result<bool, Fault> {
    match (basic(left), basic(right)) {
        (Some(Basic::Bool(left)), Some(Basic::Bool(right))) => Ok(left == right),
        (Some(Basic::Integer(left)), Some(Basic::Integer(right))) => Ok(left == right),
        #[expect(clippy::float_cmp, reason = "Go compares so")]
        (Some(Basic::Float(left)), Some(Basic::Float(right))) => Ok(left == right),
        (Some(Basic::Text(left)), Some(Basic::Text(right))) => Ok(left == right),
        (None, None) => match (left, right) {
            (Value::Invalid, Value::Invalid) => Ok(true),
            (Value::Invalid, _) | (_, Value::Invalid) => Ok(false),
            _ => {
                comparable(right)?;
                Ok(match (left, right) {
                    (Value::Pair(name, value), Value::Pair(other_name, other_value)) => {
                        name == other_name && value == other_value
                    }
                    (Value::Time(left), Value::Time(right)) => {
                        left.timestamp() == right.timestamp() && left.time_zone() == right.time_zone()
                    }
                    _ => false,
                })
            }
        },
        _ if matches!(left, Value::Invalid) || matches!(right, Value::Invalid) => Ok(false),
        _ => Err(incompatible()),
    }
}

fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Fault> {
    let (Some(left), Some(right)) = (basic(left), basic(right)) else {
        return Err(Fault::execution("invalid type for comparison"));
    };
    match (left, right) {
        (Basic::Integer(left), Basic::Integer(right)) => Ok(Some(left.cmp(&right))),
        (Basic::Float(left), Basic::Float(right)) => Ok(left.partial_cmp(&right)),
        (Basic::Text(left), Basic::Text(right)) => Ok(Some(left.cmp(right))),
        (Basic::Bool(_), Basic::Bool(_)) => Err(Fault::execution("invalid type for comparison")),
        _ => Err(incompatible()),
    }
}

pub(super) fn less(left: &Value, right: &Value) -> Result<bool, Fault> {
    Ok(order(left, right)? == Some(Ordering::Less))
}

pub(super) fn less_or_equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    Ok(matches!(
        order(left, right)?,
        Some(Ordering::Less | Ordering::Equal)
    ))
}
