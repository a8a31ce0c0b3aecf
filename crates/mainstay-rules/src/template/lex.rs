//! From text to plain parts and actions, and from an action to tokens.

use super::TemplateError;

/// A part of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    /// The tokens of `{{ ... }}`, each with its byte offset in the template, and the offset of the action.
    Action(Vec<(Token, usize)>, usize),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `name`
    Word(String),
    /// `.name`, or `.` alone with an empty name
    Field(String),
    /// `$name`, or `$` alone
    Variable(String),
    Text(String),
    Int(i64),
    Float(f64),
    /// `|`, `(`, `)`, `:=`, `=`, `,`
    Symbol(&'static str),
    /// White space, where it separates `.a .b` from `.a.b`.
    Space,
}

pub(super) fn error_at(text: &str, offset: usize, message: impl Into<String>) -> TemplateError {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    TemplateError {
        line,
        column,
        message: message.into(),
    }
}

/// Splits a template.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let open = text[at..].find("{{").map(|found| at + found);
        let mut plain = &text[at..open.unwrap_or(text.len())];
        if trim_next {
            plain = plain.trim_start();
        }
        let Some(open) = open else {
            push_text(&mut parts, plain);
            return Ok(parts);
        };
        let mut start = open + 2;
        if text[start..].starts_with("- ") || text[start..].starts_with("-\n") {
            plain = plain.trim_end();
            start += 1;
        }
        push_text(&mut parts, plain);
        if text[start..].trim_start().starts_with("/*") {
            let end = text[start..]
                .find("*/")
                .ok_or_else(|| error_at(text, open, "unclosed comment"))?;
            let rest = text[start + end + 2..].trim_start();
            trim_next = rest.starts_with("-}}");
            let close = rest.strip_prefix('-').unwrap_or(rest);
            let close = close
                .strip_prefix("}}")
                .ok_or_else(|| error_at(text, open, "comment ends before closing delimiter"))?;
            at = text.len() - close.len();
            continue;
        }
        let (tokens, end, trims) = action(text, start, open)?;
        trim_next = trims;
        parts.push(Part::Action(tokens, open));
        at = end;
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

type Action = (Vec<(Token, usize)>, usize, bool);

fn action(text: &str, start: usize, open: usize) -> Result<Action, TemplateError> {
    let mut tokens: Vec<(Token, usize)> = Vec::new();
    let mut at = start;
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            tokens.push((Token::Space, at));
            at += blank;
            if text[at..].starts_with("-}}") {
                return Ok((tokens, at + 3, true));
            }
            continue;
        }
        if rest.starts_with("}}") {
            return Ok((tokens, at + 2, false));
        }
        let Some(first) = rest.chars().next() else {
            return Err(error_at(text, open, "unclosed action"));
        };
        let (token, length) = match first {
            '"' | '`' => quoted(rest).ok_or_else(|| error_at(text, at, "unterminated quoted string"))?,
            '|' => (Token::Symbol("|"), 1),
            '(' => (Token::Symbol("("), 1),
            ')' => (Token::Symbol(")"), 1),
            ',' => (Token::Symbol(","), 1),
            ':' if rest.starts_with(":=") => (Token::Symbol(":="), 2),
            '=' => (Token::Symbol("="), 1),
            '$' => {
                let name = word(&rest[1..]);
                (Token::Variable(name.to_owned()), 1 + name.len())
            }
            '0'..='9' | '+' | '-' => number(text, at)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(text, at)?,
            '.' => {
                let name = word(&rest[1..]);
                (Token::Field(name.to_owned()), 1 + name.len())
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = word(rest);
                (Token::Word(name.to_owned()), name.len())
            }
            other => return Err(error_at(text, at, format!("unexpected {other:?} in action"))),
        };
        tokens.push((token, at));
        at += length;
    }
}

fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn number(text: &str, at: usize) -> Result<(Token, usize), TemplateError> {
    let rest = &text[at..];
    let bytes = rest.as_bytes();
    let part = |index: &usize| {
        let b = bytes[*index];
        b.is_ascii_alphanumeric()
            || matches!(b, b'.' | b'_')
            || (matches!(b, b'+' | b'-') && (*index == 0 || matches!(bytes[*index - 1], b'e' | b'E')))
    };
    let length = (0..bytes.len()).take_while(part).count();
    let number = &rest[..length];
    let token = match number.parse::<i64>() {
        Ok(value) => Some(Token::Int(value)),
        Err(_) => number
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .map(Token::Float),
    };
    token
        .map(|token| (token, length))
        .ok_or_else(|| error_at(text, at, format!("bad number syntax: {number:?}")))
}

fn quoted(rest: &str) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices();
    let (_, quote) = characters.next()?;
    while let Some((at, character)) = characters.next() {
        match character {
            c if c == quote => return Some((Token::Text(text), at + 1)),
            '\\' if quote == '"' => {
                let (_, escaped) = characters.next()?;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            other => text.push(other),
        }
    }
    None
}
