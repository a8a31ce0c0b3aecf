//! The paths (`std::fs::File`) that Rust source names outside comments, strings and test modules.

use std::iter::Peekable;
use std::slice::Iter;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// An identifier or a keyword.
    Word(String),
    /// `::`.
    Colons,
    /// Any other character.
    Other(char),
}

type Tokens<'a> = Peekable<Iter<'a, Token>>;

/// Every path of two or more segments, with `use` groups spelled out, in order of appearance.
pub(super) fn paths(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        if let Token::Word(word) = token {
            path(word.clone(), &mut rest, &mut found);
        }
    }
    found
}

/// Follows one path from its first segment; `a::{b, c}` gives `a::b` and `a::c`.
fn path(mut so_far: String, rest: &mut Tokens<'_>, found: &mut Vec<String>) {
    while rest.next_if_eq(&&Token::Colons).is_some() {
        match rest.peek() {
            Some(Token::Word(segment)) => {
                so_far = format!("{so_far}::{segment}");
                rest.next();
            }
            Some(Token::Other('{')) => {
                rest.next();
                return group(&so_far, rest, found);
            }
            _ => break,
        }
    }
    if so_far.contains("::") {
        found.push(so_far);
    }
}

fn group(prefix: &str, rest: &mut Tokens<'_>, found: &mut Vec<String>) {
    while let Some(token) = rest.next() {
        match token {
            Token::Other('}') => return,
            Token::Word(word) if word == "as" => {
                rest.next();
            }
            Token::Word(word) if word == "self" => found.push(prefix.to_owned()),
            Token::Word(word) => path(format!("{prefix}::{word}"), rest, found),
            _ => {}
        }
    }
}

/// Drops every item under `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let word = |text: &str| Token::Word(text.to_owned());
    let other = Token::Other;
    let marker = [
        other('#'),
        other('['),
        word("cfg"),
        other('('),
        word("test"),
        other(')'),
        other(']'),
    ];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&marker) {
            at = end_of_item(tokens, at + marker.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The index after the item that starts at `at`: after its `;`, or after the `}` that closes its first block.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at] {
            Token::Other('{') => depth += 1,
            Token::Other('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            Token::Other(';') if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let next = text.get(at + 1).copied();
        match text[at] {
            '/' if next == Some('/') => at = position(&text, at, |here| here == '\n'),
            '/' if next == Some('*') => at = after_block_comment(&text, at),
            '"' => at = after_string(&text, at),
            'r' if starts_raw_string(&text, at) => at = after_raw_string(&text, at),
            '\'' => at = after_quote(&text, at),
            ':' if next == Some(':') => {
                tokens.push(Token::Colons);
                at += 2;
            }
            first if first.is_alphabetic() || first == '_' => {
                let end = position(&text, at, |here| !(here.is_alphanumeric() || here == '_'));
                tokens.push(Token::Word(text[at..end].iter().collect()));
                at = end;
            }
            space if space.is_whitespace() => at += 1,
            other => {
                tokens.push(Token::Other(other));
                at += 1;
            }
        }
    }
    tokens
}

fn position(text: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    text[from..]
        .iter()
        .position(|&here| stop(here))
        .map_or(text.len(), |offset| from + offset)
}

fn after_block_comment(text: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn after_string(text: &[char], mut at: usize) -> usize {
    at += 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn starts_raw_string(text: &[char], at: usize) -> bool {
    let quote = position(text, at + 1, |here| here != '#');
    text.get(quote) == Some(&'"')
}

fn after_raw_string(text: &[char], at: usize) -> usize {
    let quote = position(text, at + 1, |here| here != '#');
    let hashes = quote - at - 1;
    let mut end = quote + 1;
    while end < text.len() {
        let closes =
            text[end] == '"' && text[end + 1..].iter().take_while(|&&here| here == '#').count() >= hashes;
        end += 1;
        if closes {
            return end + hashes;
        }
    }
    end
}

/// After a character literal, or after the quote of a lifetime.
fn after_quote(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => position(text, (at + 3).min(text.len()), |here| here == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_groups_are_spelled_out() {
        let source = "use std::{fs::{self, File as F}, io, net::TcpStream}; fn f() { tokio::fs::read(x) }";
        assert_eq!(
            paths(source),
            [
                "std::fs",
                "std::fs::File",
                "std::io",
                "std::net::TcpStream",
                "tokio::fs::read"
            ]
        );
    }

    #[test]
    fn comments_strings_and_characters_name_nothing() {
        let source = r##"
            // std::fs
            /* std::fs /* nested */ std::fs */
            const A: &str = "std::fs \" std::fs";
            const B: &str = r#"std::fs " std::fs"#;
            const C: char = '"'; const D: char = '\''; fn e<'a>(x: &'a str) { a::b() }
        "##;
        assert_eq!(paths(source), ["a::b"]);
    }

    #[test]
    fn test_modules_are_left_out() {
        let source = "use a::b;\n#[cfg(test)]\nmod tests { use std::fs; fn f() { if x { y } } }\n#[cfg(test)]\nuse std::fs;\nfn g() { c::d() }";
        assert_eq!(paths(source), ["a::b", "c::d"]);
    }
}
