//! Go's literals: quoted strings, characters, numbers.

use crate::ast::Number;
use crate::error::Fault;

fn syntax<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Syntax(message.into()))
}

/// What a string literal stands for, quotes included in `token`. Escapes may make bytes that are no UTF-8.
pub(crate) fn text(token: &str) -> Result<Vec<u8>, Fault> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if token.starts_with('`') {
        return Ok(inner.bytes().filter(|&byte| byte != b'\r').collect());
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            rest = escape(&rest[1..], '"', &mut value)?;
        } else {
            rest = &rest[c.len_utf8()..];
            push(&mut value, c);
        }
    }
    Ok(value)
}

fn push(to: &mut Vec<u8>, c: char) {
    to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash and gives what is left.
fn escape<'a>(rest: &'a str, quote: char, to: &mut Vec<u8>) -> Result<&'a str, Fault> {
    let Some(c) = rest.chars().next() else {
        return syntax("invalid syntax");
    };
    let after = &rest[c.len_utf8()..];
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' | 'u' | 'U' => {
            let length = match c {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let digits = after
                .get(..length)
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
                return syntax("invalid syntax");
            };
            match (length, char::from_u32(code)) {
                (2, _) => to.push(code.to_le_bytes()[0]),
                (_, Some(c)) => push(to, c),
                (_, None) => return syntax("invalid syntax"),
            }
            return Ok(&after[length..]);
        }
        '0'..='7' => {
            let digits = rest
                .get(..3)
                .and_then(|digits| u16::from_str_radix(digits, 8).ok());
            let Some(code) = digits.filter(|&code| code < 256 && !rest.starts_with('+')) else {
                return syntax("invalid syntax");
            };
            to.push(code.to_le_bytes()[0]);
            return Ok(&rest[3..]);
        }
        _ => return syntax("invalid syntax"),
    };
    to.push(byte);
    Ok(after)
}

/// A character constant: an integer.
pub(crate) fn character(token: &str) -> Result<Number, Fault> {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let malformed = || Fault::Syntax(format!("malformed character constant: {token}"));
    let code = if let Some(escaped) = inner.strip_prefix('\\') {
        let mut bytes = Vec::new();
        if !escape(escaped, '\'', &mut bytes)
            .map_err(|_| malformed())?
            .is_empty()
        {
            return Err(malformed());
        }
        match (&*bytes, escaped.as_bytes().first()) {
            (&[byte], _) => u32::from(byte),
            _ => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.chars().next())
                .ok_or_else(malformed)? as u32,
        }
    } else {
        let mut chars = inner.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c != '\'' => c as u32,
            _ => return Err(malformed()),
        }
    };
    Ok(Number {
        integer: Some(i64::from(code)),
        float: f64::from(code),
        is_float: false,
    })
}

/// A number as Go's parser reads it.
pub(crate) fn number(token: &str) -> Result<Number, Fault> {
    let bad = || Fault::Syntax(format!("bad number syntax: {token:?}"));
    if token.ends_with('i') {
        return Err(Fault::Unsupported("a complex number".to_owned()));
    }
    let (negative, digits) = match token.as_bytes().first() {
        Some(b'-') => (true, &token[1..]),
        Some(b'+') => (false, &token[1..]),
        _ => (false, token),
    };
    if !underscores_separate(digits) {
        return Err(bad());
    }
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|&(prefix, base)| lower.strip_prefix(prefix).map(|rest| (rest.to_owned(), base)));
    let (radix_digits, base) = match based {
        Some(found) => found,
        None if lower.len() > 1 && lower.starts_with('0') => (lower[1..].to_owned(), 8),
        None => (lower.clone(), 10),
    };
    if base == 16 && radix_digits.contains(['p', '.']) {
        return Err(Fault::Unsupported("a hexadecimal float".to_owned()));
    }
    let whole = (!radix_digits.is_empty() && radix_digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| i128::from_str_radix(&radix_digits, base).ok())
        .flatten()
        .map(|value| if negative { -value } else { value });
    if let Some(value) = whole {
        return match i64::try_from(value) {
            #[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
            Ok(integer) => Ok(Number {
                integer: Some(integer),
                float: integer as f64,
                is_float: false,
            }),
            Err(_) => Err(Fault::Syntax(format!("integer overflow: {token:?}"))),
        };
    }
    if !lower.contains(['.', 'e']) {
        let all_digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if all_digits && base == 10 {
            Fault::Syntax(format!("integer overflow: {token:?}"))
        } else {
            bad()
        });
    }
    let float: f64 = lower.parse().map_err(|_| bad())?;
    if !float.is_finite() {
        return Err(bad());
    }
    let float = if negative { -float } else { float };
    let integer = (float.fract() == 0.0 && float.abs() < 9_223_372_036_854_775_808.0).then(|| {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        let integer = float as i64;
        integer
    });
    Ok(Number {
        integer,
        float,
        is_float: true,
    })
}

/// Go allows `_` only between digits, or between a base prefix and a digit.
fn underscores_separate(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    bytes.iter().enumerate().all(|(index, &byte)| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let prefix = index == 2 && bytes[0] == b'0' && bytes[1].is_ascii_alphabetic();
        byte != b'_' || (index > 0 && (digit(bytes.get(index - 1)) || prefix) && digit(bytes.get(index + 1)))
    })
}
