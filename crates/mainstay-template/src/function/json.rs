//! `toJson`: Go's `json.Marshal`.

use crate::clock;
use crate::error::Fault;
use crate::format::{Sink, general_float};
use crate::value::Value;

/// Writes a value. Values are no deeper than the budget lets them be made.
pub(super) fn write(sink: &mut Sink, value: &Value) -> Result<(), Fault> {
    sink.check()?;
    match value {
        Value::Invalid => sink.text("null"),
        Value::Bool(truth) => sink.text(&truth.to_string()),
        Value::Int(number)
        | Value::Int64(number)
        | Value::Duration(number)
        | Value::Month(number)
        | Value::Weekday(number) => {
            sink.text(&number.to_string());
        }
        Value::Byte(byte) => sink.text(&byte.to_string()),
        Value::Float(number) => sink.text(&float(*number)?),
        Value::Text(text) | Value::Safe(_, text) => string(sink, text.bytes()),
        Value::Time(time) => string(
            sink,
            clock::format(time, "2006-01-02T15:04:05.999999999Z07:00").as_bytes(),
        ),
        Value::Kv(kv) => {
            object(
                sink,
                kv.iter()
                    .map(|(name, value)| (name.as_bytes(), Value::text(value))),
            )?;
        }
        Value::Dict(dict) => {
            object(
                sink,
                dict.items
                    .iter()
                    .map(|(name, value)| (name.bytes(), value.clone())),
            )?;
        }
        Value::Pair(..) => object(
            sink,
            value
                .fields()
                .into_iter()
                .map(|(name, value)| (name.as_bytes(), value)),
        )?,
        Value::Alert(_) | Value::Data(_) => {
            let fields = value.fields().into_iter();
            let renamed = fields.map(|(name, value)| (json_name(name).into_bytes(), value));
            let fields: Vec<_> = renamed.collect();
            object(
                sink,
                fields
                    .iter()
                    .map(|(name, value)| (name.as_slice(), value.clone())),
            )?;
        }
        Value::Strings(_) | Value::Pairs(_) | Value::Alerts(..) | Value::List(_) => {
            sink.char('[');
            for index in 0..value.len().unwrap_or(0) {
                if index > 0 {
                    sink.char(',');
                }
                write(sink, &value.element(index).unwrap_or(Value::Invalid))?;
            }
            sink.char(']');
        }
    }
    Ok(())
}

/// `GeneratorURL` is `generatorURL`.
fn json_name(name: &str) -> String {
    let (first, rest) = name.split_at(1.min(name.len()));
    format!("{}{rest}", first.to_ascii_lowercase())
}

fn object<'a>(sink: &mut Sink, members: impl Iterator<Item = (&'a [u8], Value)>) -> Result<(), Fault> {
    sink.char('{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            sink.char(',');
        }
        string(sink, name);
        sink.char(':');
        write(sink, &value)?;
    }
    sink.char('}');
    Ok(())
}

fn string(sink: &mut Sink, bytes: &[u8]) {
    sink.char('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => sink.text("\\\""),
                '\\' => sink.text("\\\\"),
                '\n' => sink.text("\\n"),
                '\r' => sink.text("\\r"),
                '\t' => sink.text("\\t"),
                '\x08' => sink.text("\\b"),
                '\x0c' => sink.text("\\f"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => sink.text(&format!("\\u{:04x}", c as u32)),
                c if c < ' ' => sink.text(&format!("\\u{:04x}", c as u32)),
                c => sink.char(c),
            }
        }
        for _ in chunk.invalid() {
            sink.text("\\ufffd");
        }
    }
    sink.char('"');
}

fn float(number: f64) -> Result<String, Fault> {
    if !number.is_finite() {
        return Err(Fault::execution("json: unsupported value"));
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = general_float(number, None);
        // Go drops the zero of a short negative exponent.
        return Ok(text.replace("e-0", "e-"));
    }
    Ok(format!("{number}"))
}
