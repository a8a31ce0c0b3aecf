//! Tokens.

use crate::ast::Span;

use super::Fault;
use super::literal;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name: metric, label, function or keyword. It may hold colons.
    Name(String),
    /// A number.
    Number(f64),
    /// A duration, in milliseconds.
    Duration(i64),
    /// A quoted text.
    Text(Vec<u8>),
    /// Punctuation or operator.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// For messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("identifier {name:?}"),
            Self::Number(number) => format!("number {number}"),
            Self::Duration(duration_ms) => {
                format!("duration {:?}", crate::duration::format_ms(*duration_ms))
            }
            Self::Text(text) => format!("string {}", crate::format::quoted(text)),
            Self::Symbol(symbol) => format!("{symbol:?}"),
            Self::End => "end of input".to_owned(),
        }
    }
}

/// Longest first.
const SYMBOLS: [&str; 28] = [
    "=~", "!~", "==", "!=", ">=", "<=", "</", ">/", "(", ")", "{", "}", "[", "]", ",", "=", "+", "-", "*",
    "/", "%", "^", ">", "<", "@", ":", "!", ";",
];

/// The token that starts at or after `offset`, past white space and comments.
pub(super) fn next(text: &str, offset: usize) -> Result<(Token, Span), Fault> {
    let start = skip_blank(text, offset);
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, Span::bytes(start, start)));
    };
    let spanned = |token, length: usize| Ok((token, Span::bytes(start, start + length)));
    let second = rest.as_bytes().get(1).copied().unwrap_or_default();
    match first {
        '0'..='9' => number(rest, start),
        '.' if second.is_ascii_digit() => number(rest, start),
        '"' | '\'' | '`' => {
            let (bytes, length) = literal::text(rest)
                .map_err(|(at, message)| (Span::bytes(start + at, start + at), message))?;
            spanned(Token::Text(bytes), length)
        }
        'a'..='z' | 'A'..='Z' | '_' => spanned_name(rest, start),
        ':' if second.is_ascii_alphabetic() || second == b'_' || second == b':' => spanned_name(rest, start),
        _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => spanned(Token::Symbol(symbol), symbol.len()),
            None => Err((
                Span::bytes(start, start),
                format!("unexpected character {first:?}"),
            )),
        },
    }
}

fn skip_blank(text: &str, offset: usize) -> usize {
    let mut at = offset;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with('#') {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

fn spanned_name(rest: &str, start: usize) -> Result<(Token, Span), Fault> {
    let length = rest
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
        .count();
    Ok((
        Token::Name(rest[..length].to_owned()),
        Span::bytes(start, start + length),
    ))
}

fn number(rest: &str, start: usize) -> Result<(Token, Span), Fault> {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let unit = rest.as_bytes().get(digits).copied().unwrap_or_default();
    if digits > 0 && matches!(unit, b's' | b'm' | b'h' | b'd' | b'w' | b'y') {
        let length = rest.bytes().take_while(is_word).count();
        let span = Span::bytes(start, start + length);
        return match crate::duration::parse_ms(&rest[..length]) {
            Some(duration_ms) => Ok((Token::Duration(duration_ms), span)),
            None => Err((
                span,
                format!("bad number or duration syntax: {:?}", &rest[..length]),
            )),
        };
    }
    let length = number_length(rest);
    let span = Span::bytes(start, start + length);
    let bad = |length: usize| {
        (
            span,
            format!("bad number or duration syntax: {:?}", &rest[..length]),
        )
    };
    if rest.as_bytes().get(length).is_some_and(is_word) {
        return Err(bad(length + 1));
    }
    literal::number(&rest[..length])
        .map(|value| (Token::Number(value), span))
        .ok_or_else(|| bad(length))
}

fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let prefixed =
        bytes.len() > 2 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X' | b'o' | b'O' | b'b' | b'B');
    if prefixed {
        return 2 + bytes[2..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit() || **b == b'_')
            .count();
    }
    let run = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'_')
            .count()
    };
    let mut length = run(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1;
        length += run(length);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let digits = run(length + 1 + sign.min(bytes.len() - length - 1));
        if digits > 0 {
            length += 1 + sign + digits;
        }
    }
    length
}
