//! Go's `printf`, for the verbs that rules use.

use super::value::{Value, general};

/// A verb with its flags.
struct Verb {
    is_left: bool,
    has_plus: bool,
    pads_with_zeros: bool,
    has_space: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// The widest field that is padded.
const MAX_WIDTH: usize = 1000;

/// Formats `values`.
pub(super) fn printf(format: &str, values: &[Value]) -> String {
    let mut text = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        text.push_str(&rest[..percent]);
        let (verb, after) = verb(&rest[percent + 1..]);
        rest = after;
        match verb {
            None => text.push_str("%!(NOVERB)"),
            Some(verb) if verb.letter == '%' => text.push('%'),
            Some(verb) => match values.next() {
                Some(value) => text.push_str(&formatted(&verb, value)),
                None => text.push_str(&format!("%!{}(MISSING)", verb.letter)),
            },
        }
    }
    text.push_str(rest);
    let extra: Vec<String> = values
        .map(|value| format!("{}={}", value.type_name(), value.print()))
        .collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    text
}

fn verb(text: &str) -> (Option<Verb>, &str) {
    let flags = text.len() - text.trim_start_matches(['-', '+', '0', ' ', '#']).len();
    let (flags, rest) = text.split_at(flags);
    let (width, rest) = digits(rest);
    let (precision, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (precision, rest) = digits(rest);
            (Some(precision.unwrap_or_default()), rest)
        }
        None => (None, rest),
    };
    let mut characters = rest.chars();
    let verb = characters.next().map(|letter| Verb {
        is_left: flags.contains('-'),
        has_plus: flags.contains('+'),
        pads_with_zeros: flags.contains('0') && !flags.contains('-'),
        has_space: flags.contains(' '),
        width: width.unwrap_or_default().min(MAX_WIDTH),
        precision: precision.map(|precision| precision.min(MAX_WIDTH)),
        letter,
    });
    (verb, characters.as_str())
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

fn formatted(verb: &Verb, value: &Value) -> String {
    let body = match (verb.letter, value) {
        ('v', Value::Float(number)) => signed(verb, general(*number, verb.precision)),
        ('v', value) => value.print(),
        ('s', Value::Text(text)) => match verb.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.clone(),
        },
        ('q', Value::Text(text)) => format!("{text:?}"),
        ('t', Value::Bool(value)) => value.to_string(),
        ('d', Value::Int(number)) => signed(verb, number.to_string()),
        ('x', Value::Int(number)) => signed(verb, format!("{number:x}")),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('f' | 'F', Value::Float(number)) if number.is_finite() => {
            signed(verb, format!("{number:.*}", verb.precision.unwrap_or(6)))
        }
        ('e' | 'E', Value::Float(number)) if number.is_finite() => {
            let text = format!("{number:.*e}", verb.precision.unwrap_or(6));
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or_default();
            let sign = if exponent < 0 { '-' } else { '+' };
            signed(
                verb,
                format!("{digits}{}{sign}{:02}", verb.letter, exponent.abs()),
            )
        }
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Float(number)) => {
            signed(verb, general(*number, verb.precision))
        }
        (letter, value) => return format!("%!{letter}({}={})", value.type_name(), value.print()),
    };
    padded(verb, body, matches!(value, Value::Float(_) | Value::Int(_)))
}

fn signed(verb: &Verb, text: String) -> String {
    if text.starts_with(['-', '+']) {
        return text;
    }
    if verb.has_plus {
        format!("+{text}")
    } else if verb.has_space {
        format!(" {text}")
    } else {
        text
    }
}

fn padded(verb: &Verb, text: String, is_number: bool) -> String {
    let missing = verb.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if verb.is_left {
        return format!("{text}{}", " ".repeat(missing));
    }
    if verb.pads_with_zeros && is_number {
        let sign = usize::from(text.starts_with(['-', '+', ' ']));
        return format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]);
    }
    format!("{}{text}", " ".repeat(missing))
}
