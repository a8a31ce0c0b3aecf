//! Numbers and quoted texts, as Go reads them.

/// A number: decimal, hexadecimal, octal or binary, with underscores between digits of an integer; `Inf` and `NaN`.
pub(crate) fn number(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (negative, body) = match lower.as_bytes().first()? {
        b'-' => (true, &lower[1..]),
        b'+' => (false, &lower[1..]),
        _ => (false, lower.as_str()),
    };
    let value = match body {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => integer(body).or_else(|| decimal(body))?,
    };
    Some(if negative { -value } else { value })
}

fn decimal(body: &str) -> Option<f64> {
    let is_decimal = body
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    if is_decimal && body.bytes().any(|b| b.is_ascii_digit()) {
        body.parse().ok()
    } else {
        None
    }
}

/// An integer with Go's base prefixes: `0x`, `0o`, `0b`, and a leading 0 for octal.
fn integer(body: &str) -> Option<f64> {
    let (digits, radix) = match body.get(..2) {
        Some("0x") => (&body[2..], 16),
        Some("0o") => (&body[2..], 8),
        Some("0b") => (&body[2..], 2),
        _ if body.len() > 1 && body.starts_with('0') => (&body[1..], 8),
        _ => (body, 10),
    };
    if digits.ends_with('_') || digits.contains("__") || (radix == 10 && digits.starts_with('_')) {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.is_empty() || plain.starts_with(['+', '-']) {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "Prometheus converts the 64-bit integer to a float"
    )]
    i64::from_str_radix(&plain, radix).ok().map(|value| value as f64)
}

/// The quoted text at the start of `rest`: its bytes, and how many bytes of `rest` it takes.
pub(crate) fn text(rest: &str) -> Result<(Vec<u8>, usize), (usize, String)> {
    let mut characters = rest.char_indices();
    let quote = characters.next().map(|(_, quote)| quote).unwrap_or('"');
    let unterminated = || (0, "unterminated quoted string".to_owned());
    if quote == '`' {
        let end = rest[1..].find('`').ok_or_else(unterminated)?;
        return Ok((rest.as_bytes()[1..=end].to_vec(), end + 2));
    }
    let mut bytes = Vec::new();
    while let Some((at, character)) = characters.next() {
        match character {
            c if c == quote => return Ok((bytes, at + 1)),
            '\n' => return Err(unterminated()),
            '\\' => {
                let bad = || (at, "unknown escape sequence".to_owned());
                let (_, escape) = characters.next().ok_or_else(unterminated)?;
                let simple = match escape {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' => b'\\',
                    c if c == quote => c as u8,
                    'x' | 'u' | 'U' | '0'..='7' => {
                        let (length, radix) = match escape {
                            'x' => (2, 16),
                            'u' => (4, 16),
                            'U' => (8, 16),
                            _ => (3, 8),
                        };
                        let from = if radix == 8 { at + 1 } else { at + 2 };
                        let digits = rest.get(from..from + length).ok_or_else(bad)?;
                        let code = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
                        let skip = if radix == 8 { length - 1 } else { length };
                        for _ in 0..skip {
                            characters.next();
                        }
                        if matches!(escape, 'u' | 'U') {
                            let character = char::from_u32(code).ok_or_else(bad)?;
                            bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                            continue;
                        }
                        u8::try_from(code).map_err(|_| bad())?
                    }
                    _ => return Err(bad()),
                };
                bytes.push(simple);
            }
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(unterminated())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_reads_them() {
        for (text, value) in [
            ("0x1F", 31.0),
            ("010", 8.0),
            ("1_000", 1000.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("2.", 2.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("-Inf"), Some(f64::NEG_INFINITY));
        assert!(number("NaN").is_some_and(f64::is_nan));
        for bad in ["", "x", "1_", "infinity", "e", "."] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn texts_are_bytes() {
        assert_eq!(text(r#""a\xc5z" rest"#), Ok((b"a\xc5z".to_vec(), 8)));
        assert_eq!(text(r"`a\n`"), Ok((br"a\n".to_vec(), 5)));
        assert_eq!(text(r"'\101\u00e9'"), Ok(("Aé".as_bytes().to_vec(), 12)));
        assert!(text("\"a").is_err());
        assert!(text(r#""\q""#).is_err());
    }
}
