//! The methods that templates may call: those of Alertmanager's types and the ones of Go's times that make sense in a
//! notification.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, ZonedDateTime};

use crate::clock;
use crate::data::Alert;
use crate::error::Fault;
use crate::function::{self, Parameter, Signature};
use crate::limits::Budget;
use crate::value::{Str, Value, sorted_pairs};

const NONE: Signature = Signature::fixed(&[]);

/// What a method takes, if the value has it.
pub(crate) fn signature(receiver: &Value, name: &str) -> Option<Signature> {
    Some(match (receiver, name) {
        (Value::Alerts(_, true), "Firing" | "Resolved")
        | (Value::Kv(_), "SortedPairs" | "Names" | "Values")
        | (Value::Pairs(_), "Names" | "Values") => NONE,
        (Value::Kv(_), "Remove") => Signature::fixed(&[Parameter::Strings]),
        (Value::Strings(_), "Join") => Signature::fixed(&[Parameter::Text]),
        (
            Value::Time(_),
            "String" | "UTC" | "Local" | "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month"
            | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "YearDay" | "Weekday" | "IsZero",
        )
        | (
            Value::Duration(_),
            "String" | "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds"
            | "Abs",
        )
        | (Value::Month(_) | Value::Weekday(_), "String") => NONE,
        (Value::Time(_), "Format") => Signature::fixed(&[Parameter::Text]),
        (Value::Time(_), "Sub" | "After" | "Before" | "Equal") => Signature::fixed(&[Parameter::Time]),
        (Value::Time(_), "Add") | (Value::Duration(_), "Truncate" | "Round") => {
            Signature::fixed(&[Parameter::Duration])
        }
        (Value::Time(_), "AddDate") => Signature::fixed(&[Parameter::Int, Parameter::Int, Parameter::Int]),
        _ => return None,
    })
}

/// Calls a method with arguments that its signature has accepted.
pub(crate) fn call(
    receiver: &Value,
    name: &str,
    arguments: Vec<Value>,
    budget: &mut Budget,
) -> Result<Value, Fault> {
    // What goes through a list pays for its length.
    budget.charge(receiver.len().unwrap_or(0))?;
    match (receiver, name, arguments.as_slice()) {
        (Value::Alerts(alerts, _), status, []) => {
            let wanted = status.to_ascii_lowercase();
            let matching = |alert: &&Arc<Alert>| alert.status == wanted;
            Ok(Value::Alerts(
                alerts.iter().filter(matching).cloned().collect(),
                false,
            ))
        }
        (Value::Kv(kv), "SortedPairs", []) => Ok(Value::Pairs(sorted_pairs(kv).into())),
        (Value::Kv(kv), name, []) => Ok(side(&sorted_pairs(kv), name)),
        (Value::Pairs(pairs), name, []) => Ok(side(pairs, name)),
        (Value::Kv(kv), "Remove", [Value::Strings(names)]) => {
            budget.charge(names.len())?;
            let mut left = (**kv).clone();
            for name in names.iter() {
                if let Ok(name) = std::str::from_utf8(name.bytes()) {
                    left.remove(name);
                }
            }
            Ok(Value::Kv(Arc::new(left)))
        }
        (Value::Strings(items), "Join", [Value::Text(separator)]) => function::join(separator, items, budget),
        (Value::Time(of), name, arguments) => time(of, name, arguments, budget),
        (Value::Duration(of), name, arguments) => duration(*of, name, arguments),
        (Value::Month(month), "String", []) => Ok(Value::text(&clock::month(*month))),
        (Value::Weekday(day), "String", []) => Ok(Value::text(&clock::weekday(*day))),
        _ => Err(Fault::execution("no such method")),
    }
}

fn side(pairs: &[(Str, Str)], name: &str) -> Value {
    let chosen = |(left, right): &(Str, Str)| {
        if name == "Names" {
            left.clone()
        } else {
            right.clone()
        }
    };
    Value::Strings(pairs.iter().map(chosen).collect())
}

fn clamped(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// From one time to another. As in Go, no further than 292 years.
pub(crate) fn nanoseconds_between(from: &ZonedDateTime, to: &ZonedDateTime) -> i64 {
    clamped(to.timestamp().as_nanosecond() - from.timestamp().as_nanosecond())
}

fn in_zone(time: &ZonedDateTime, zone: TimeZone) -> Value {
    Value::Time(Box::new(time.with_time_zone(zone)))
}

/// Go's zero time.
fn is_zero(time: &ZonedDateTime) -> bool {
    let utc = time.with_time_zone(TimeZone::UTC);
    utc.year() == 1 && utc.day_of_year() == 1 && utc.time() == jiff::civil::Time::midnight()
}

fn time(of: &ZonedDateTime, name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Value, Fault> {
    let too_far = || Fault::execution("the time is out of range");
    let nanoseconds = of.timestamp().as_nanosecond();
    Ok(match (name, arguments) {
        ("String", []) => Value::text(&clock::text(of)),
        ("Format", [Value::Text(layout)]) => {
            budget.read(layout.bytes().len())?;
            return budget.text(clock::format(of, &layout.lossy()).into_bytes());
        }
        // The zone of the machine says nothing to who reads the notification.
        ("UTC" | "Local", []) => in_zone(of, TimeZone::UTC),
        ("Unix", []) => Value::Int64(clamped(nanoseconds.div_euclid(1_000_000_000))),
        ("UnixMilli", []) => Value::Int64(clamped(nanoseconds.div_euclid(1_000_000))),
        ("UnixMicro", []) => Value::Int64(clamped(nanoseconds.div_euclid(1_000))),
        ("UnixNano", []) => Value::Int64(clamped(nanoseconds)),
        ("Year", []) => Value::Int(i64::from(of.year())),
        ("Month", []) => Value::Month(i64::from(of.month())),
        ("Day", []) => Value::Int(i64::from(of.day())),
        ("Hour", []) => Value::Int(i64::from(of.hour())),
        ("Minute", []) => Value::Int(i64::from(of.minute())),
        ("Second", []) => Value::Int(i64::from(of.second())),
        ("Nanosecond", []) => Value::Int(i64::from(of.subsec_nanosecond())),
        ("YearDay", []) => Value::Int(i64::from(of.day_of_year())),
        ("Weekday", []) => Value::Weekday(clock::weekday_number(of)),
        ("IsZero", []) => Value::Bool(is_zero(of)),
        ("Sub", [Value::Time(other)]) => Value::Duration(nanoseconds_between(other, of)),
        ("After", [Value::Time(other)]) => Value::Bool(of.timestamp() > other.timestamp()),
        ("Before", [Value::Time(other)]) => Value::Bool(of.timestamp() < other.timestamp()),
        ("Equal", [Value::Time(other)]) => Value::Bool(of.timestamp() == other.timestamp()),
        ("Add", [Value::Duration(more)]) => {
            let later = of
                .checked_add(SignedDuration::from_nanos(*more))
                .map_err(|_| too_far())?;
            Value::Time(Box::new(later))
        }
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => Value::Time(Box::new(
            add_date(of, *years, *months, *days).ok_or_else(too_far)?,
        )),
        _ => return Err(Fault::execution("no such method")),
    })
}

/// A day that a month does not have is one of the next month, as in Go.
fn add_date(of: &ZonedDateTime, years: i64, months: i64, days: i64) -> Option<ZonedDateTime> {
    let month = i64::from(of.month()).checked_add(months)?.checked_sub(1)?;
    let year = i64::from(of.year())
        .checked_add(years)?
        .checked_add(month.div_euclid(12))?;
    let first = jiff::civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month.rem_euclid(12) + 1).ok()?,
        1,
    )
    .ok()?;
    let days = days.checked_add(i64::from(of.day()))?.checked_sub(1)?;
    let days = jiff::Span::new().try_days(days).ok()?;
    let date = first.checked_add(days).ok()?;
    date.to_datetime(of.time())
        .to_zoned_datetime(of.time_zone().clone())
        .ok()
}

fn duration(of: i64, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    #[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
    let in_units = |unit: i64| Value::Float((of / unit) as f64 + (of % unit) as f64 / unit as f64);
    Ok(match (name, arguments) {
        ("String", []) => Value::text(&clock::duration(of)),
        ("Hours", []) => in_units(3_600_000_000_000),
        ("Minutes", []) => in_units(60_000_000_000),
        ("Seconds", []) => in_units(1_000_000_000),
        ("Milliseconds", []) => Value::Int64(of / 1_000_000),
        ("Microseconds", []) => Value::Int64(of / 1_000),
        ("Nanoseconds", []) => Value::Int64(of),
        ("Abs", []) => Value::Duration(of.checked_abs().unwrap_or(i64::MAX)),
        ("Truncate", [Value::Duration(unit)]) if *unit <= 0 => Value::Duration(of),
        ("Truncate", [Value::Duration(unit)]) => Value::Duration(of - of % unit),
        ("Round", [Value::Duration(unit)]) if *unit <= 0 => Value::Duration(of),
        ("Round", [Value::Duration(unit)]) => {
            let (of, unit) = (i128::from(of), i128::from(*unit));
            let rest = (of % unit).abs();
            let down = of - of % unit;
            let away = if of < 0 { down - unit } else { down + unit };
            Value::Duration(clamped(if rest * 2 < unit { down } else { away }))
        }
        _ => return Err(Fault::execution("no such method")),
    })
}
