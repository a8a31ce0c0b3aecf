//! One value under one verb.

use super::{DEPTH_MAX, Sink, Spec, Version, float, quote};
use crate::clock;
use crate::error::Fault;
use crate::value::{Str, Value, sorted_pairs};

/// Writes a value; `depth` is how far inside of another it is.
pub(super) fn write(
    sink: &mut Sink,
    spec: &Spec,
    verb: char,
    value: &Value,
    depth: usize,
) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::Limit("values inside of one another", DEPTH_MAX));
    }
    // What is too long already must not be walked to its end: it may be endless for practical purposes.
    sink.check()?;
    if verb == 'T' && depth == 0 {
        text(sink, spec, 's', value.type_name().as_bytes());
        return Ok(());
    }
    if !spec.complaining
        && !spec.sharp_v
        && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
        && let Some(described) = description(value, sink.version)
    {
        text(sink, spec, verb, described.bytes());
        return Ok(());
    }
    match value {
        Value::Invalid if verb == 'v' => pad(sink, spec, b"<nil>"),
        Value::Bool(truth) if matches!(verb, 't' | 'v') => pad(sink, spec, truth.to_string().as_bytes()),
        Value::Int(number)
        | Value::Int64(number)
        | Value::Duration(number)
        | Value::Month(number)
        | Value::Weekday(number)
            if integer_verb(verb) =>
        {
            integer(sink, spec, verb, *number);
        }
        Value::Byte(byte) if integer_verb(verb) => {
            if spec.sharp_v {
                let sharp = Spec {
                    sharp: true,
                    sharp_v: false,
                    ..spec.clone()
                };
                integer(sink, &sharp, 'x', i64::from(*byte));
            } else {
                integer(sink, spec, verb, i64::from(*byte));
            }
        }
        Value::Float(number) if matches!(verb, 'v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G') => {
            floating(sink, spec, verb, *number)?;
        }
        Value::Float(_) if matches!(verb, 'b' | 'x' | 'X') => {
            return Err(Fault::Unsupported(format!("a float under %{verb}")));
        }
        Value::Text(string) | Value::Safe(_, string) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
            let verb = if spec.sharp_v { 'q' } else { verb };
            let plain = Spec {
                sharp: spec.sharp && !spec.sharp_v,
                ..spec.clone()
            };
            text(sink, &plain, verb, string.bytes());
        }
        Value::Kv(_) | Value::Dict(_) => map(sink, spec, verb, value, depth)?,
        Value::Strings(_) | Value::Pairs(_) | Value::Alerts(..) | Value::List(_) => {
            slice(sink, spec, verb, value, depth)?;
        }
        Value::Pair(..) | Value::Alert(_) | Value::Data(_) => structure(sink, spec, verb, value, depth)?,
        Value::Time(_) => return Err(Fault::Unsupported(format!("a time under %{verb}"))),
        _ => complaint(sink, spec, verb, value)?,
    }
    Ok(())
}

/// What a value says of itself: Go's `String` method.
fn description(value: &Value, version: Version) -> Option<Str> {
    let pairs = |pairs: &[(Str, Str)]| {
        let texts: Vec<_> = pairs
            .iter()
            .map(|(name, value)| [name.bytes(), b"=", value.bytes()].concat())
            .collect();
        Str::from(texts.join(&b", "[..]))
    };
    match value {
        Value::Time(time) => Some(Str::from(clock::text(time))),
        Value::Duration(nanoseconds) => Some(Str::from(clock::duration(*nanoseconds))),
        Value::Month(month) => Some(Str::from(clock::month(*month))),
        Value::Weekday(day) => Some(Str::from(clock::weekday(*day))),
        Value::Kv(kv) if version != Version::V0_25 => Some(pairs(&sorted_pairs(kv))),
        Value::Pairs(items) if version != Version::V0_25 => Some(pairs(items)),
        _ => None,
    }
}

/// `%!d(string=a)`: the verb does not fit the value.
fn complaint(sink: &mut Sink, spec: &Spec, verb: char, value: &Value) -> Result<(), Fault> {
    sink.text("%!");
    sink.char(verb);
    sink.char('(');
    if matches!(value, Value::Invalid) {
        sink.text("<nil>");
    } else {
        sink.text(value.type_name());
        sink.char('=');
        write(
            sink,
            &Spec {
                complaining: true,
                ..spec.clone()
            },
            'v',
            value,
            0,
        )?;
    }
    sink.char(')');
    Ok(())
}

fn map(sink: &mut Sink, spec: &Spec, verb: char, value: &Value, depth: usize) -> Result<(), Fault> {
    let (separator, end) = opening(sink, spec, value, ("map[", "]"));
    let entries: Vec<(Value, Value)> = match value {
        Value::Kv(kv) => kv.iter().map(|(k, v)| (Value::text(k), Value::text(v))).collect(),
        Value::Dict(dict) => dict
            .items
            .iter()
            .map(|(k, v)| (Value::Text(k.clone()), v.clone()))
            .collect(),
        _ => Vec::new(),
    };
    for (index, (name, item)) in entries.iter().enumerate() {
        sink.text(if index > 0 { separator } else { "" });
        write(sink, spec, verb, name, depth + 1)?;
        sink.char(':');
        element(sink, spec, verb, item, depth)?;
    }
    sink.text(end);
    Ok(())
}

fn slice(sink: &mut Sink, spec: &Spec, verb: char, value: &Value, depth: usize) -> Result<(), Fault> {
    let (separator, end) = opening(sink, spec, value, ("[", "]"));
    for index in 0..value.len().unwrap_or(0) {
        sink.text(if index > 0 { separator } else { "" });
        if let Some(item) = value.element(index) {
            element(sink, spec, verb, &item, depth)?;
        }
    }
    sink.text(end);
    Ok(())
}

/// An element that may be a nil interface.
fn element(sink: &mut Sink, spec: &Spec, verb: char, item: &Value, depth: usize) -> Result<(), Fault> {
    if matches!(item, Value::Invalid) {
        sink.text(if spec.sharp_v {
            "interface {}(nil)"
        } else {
            "<nil>"
        });
        return Ok(());
    }
    write(sink, spec, verb, item, depth + 1)
}

fn structure(sink: &mut Sink, spec: &Spec, verb: char, value: &Value, depth: usize) -> Result<(), Fault> {
    let (separator, end) = opening(sink, spec, value, ("{", "}"));
    for (index, (name, field)) in value.fields().iter().enumerate() {
        sink.text(if index > 0 { separator } else { "" });
        if spec.plus_v || spec.sharp_v {
            sink.text(name);
            sink.char(':');
        }
        write(sink, spec, verb, field, depth + 1)?;
    }
    sink.text(end);
    Ok(())
}

/// Writes how a composite begins; gives what separates and what ends it.
fn opening(
    sink: &mut Sink,
    spec: &Spec,
    value: &Value,
    plain: (&'static str, &'static str),
) -> (&'static str, &'static str) {
    if spec.sharp_v {
        sink.text(value.type_name());
        sink.char('{');
        return (", ", "}");
    }
    sink.text(plain.0);
    (" ", plain.1)
}

fn integer_verb(verb: char) -> bool {
    matches!(verb, 'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U')
}

fn integer(sink: &mut Sink, spec: &Spec, verb: char, number: i64) {
    let character = || {
        u32::try_from(number)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('\u{fffd}')
    };
    let digits = match verb {
        'c' => return pad(sink, spec, character().encode_utf8(&mut [0; 4]).as_bytes()),
        'q' => return pad(sink, spec, quote::quote_char(character(), spec.plus).as_bytes()),
        'U' => {
            let least = spec.precision.filter(|&precision| precision > 4).unwrap_or(4);
            let mut out = format!("U+{number:0least$X}");
            if spec.sharp && quote::printable(character()) && u32::try_from(number).is_ok() {
                out.push_str(&format!(" '{}'", character()));
            }
            return pad(
                sink,
                &Spec {
                    zero: false,
                    ..spec.clone()
                },
                out.as_bytes(),
            );
        }
        'b' => format!("{:b}", number.unsigned_abs()),
        'o' | 'O' => format!("{:o}", number.unsigned_abs()),
        'x' => format!("{:x}", number.unsigned_abs()),
        'X' => format!("{:X}", number.unsigned_abs()),
        _ => number.unsigned_abs().to_string(),
    };
    let signed = number < 0 || spec.plus || spec.space;
    let least = match (spec.precision, spec.width) {
        (Some(0), _) if number == 0 => return sink.repeat(b' ', spec.width.unwrap_or(0)),
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.zero => width.saturating_sub(usize::from(signed)),
        _ => 0,
    };
    let mut out = String::new();
    if signed {
        out.push(if number < 0 {
            '-'
        } else if spec.plus {
            '+'
        } else {
            ' '
        });
    }
    if verb == 'O' {
        out.push_str("0o");
    }
    if spec.sharp {
        match verb {
            'b' => out.push_str("0b"),
            'o' if !digits.starts_with('0') && digits.len() >= least => out.push('0'),
            'x' => out.push_str("0x"),
            'X' => out.push_str("0X"),
            _ => {}
        }
    }
    out.push_str(&"0".repeat(least.saturating_sub(digits.len())));
    out.push_str(&digits);
    pad(
        sink,
        &Spec {
            zero: false,
            ..spec.clone()
        },
        out.as_bytes(),
    );
}

fn floating(sink: &mut Sink, spec: &Spec, verb: char, number: f64) -> Result<(), Fault> {
    if spec.sharp && !spec.sharp_v {
        return Err(Fault::Unsupported("a float under the flag #".to_owned()));
    }
    let verb = if verb == 'v' { 'g' } else { verb };
    let text = if verb == 'g' && spec.precision.is_none() {
        float::general(number, None)
    } else {
        float::formatted(number, verb, spec.precision)
    };
    let (sign, digits) = match text.as_bytes()[0] {
        sign @ (b'-' | b'+') => (sign, &text[1..]),
        _ => (b'+', text.as_str()),
    };
    let finite = number.is_finite();
    let sign = if spec.space && sign == b'+' && !spec.plus {
        b' '
    } else {
        sign
    };
    let shown = sign != b'+' || spec.plus || number.is_infinite() && text.starts_with('+');
    let signed = [&[sign], digits.as_bytes()].concat();
    if !finite {
        let out = if shown { signed } else { digits.as_bytes().to_vec() };
        pad(
            sink,
            &Spec {
                zero: false,
                ..spec.clone()
            },
            &out,
        );
    } else if shown && spec.zero && spec.width.is_some_and(|width| width > signed.len()) {
        sink.write(&[sign]);
        sink.repeat(b'0', spec.width.unwrap_or(0) - signed.len());
        sink.text(digits);
    } else if shown {
        pad(sink, spec, &signed);
    } else {
        pad(sink, spec, digits.as_bytes());
    }
    Ok(())
}

/// A string under `v`, `s`, `q`, `x` or `X`.
fn text(sink: &mut Sink, spec: &Spec, verb: char, bytes: &[u8]) {
    match verb {
        'x' | 'X' => hexadecimal(sink, spec, verb == 'X', bytes),
        'q' => {
            let cut = truncated(spec, bytes);
            if spec.sharp && quote::can_backquote(cut) {
                pad(sink, spec, &[b"`", cut, b"`"].concat());
            } else {
                pad(sink, spec, quote::quote(cut, spec.plus).as_bytes());
            }
        }
        _ => pad(sink, spec, truncated(spec, bytes)),
    }
}

/// The first characters, as many as the precision says.
fn truncated<'a>(spec: &Spec, bytes: &'a [u8]) -> &'a [u8] {
    let Some(precision) = spec.precision else {
        return bytes;
    };
    let mut left = precision;
    let mut end = 0;
    for chunk in bytes.utf8_chunks() {
        let lengths = chunk.valid().chars().map(char::len_utf8);
        // Each byte that belongs to no character counts as one.
        for length in lengths.chain(chunk.invalid().iter().map(|_| 1)) {
            if left == 0 {
                return &bytes[..end];
            }
            left -= 1;
            end += length;
        }
    }
    bytes
}

fn hexadecimal(sink: &mut Sink, spec: &Spec, upper: bool, bytes: &[u8]) {
    let bytes = &bytes[..spec.precision.unwrap_or(bytes.len()).min(bytes.len())];
    let prefix = if upper { "0X" } else { "0x" };
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if spec.space && index > 0 {
            out.push(' ');
        }
        if spec.sharp && (index == 0 || spec.space) {
            out.push_str(prefix);
        }
        out.push_str(&if upper {
            format!("{byte:02X}")
        } else {
            format!("{byte:02x}")
        });
    }
    pad(sink, spec, out.as_bytes());
}

/// Pads to the width, counted in characters.
fn pad(sink: &mut Sink, spec: &Spec, bytes: &[u8]) {
    let length: usize = bytes
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    let fill = if spec.zero { b'0' } else { b' ' };
    if spec.minus {
        sink.write(bytes);
        sink.repeat(fill, missing);
    } else {
        sink.repeat(fill, missing);
        sink.write(bytes);
    }
}
