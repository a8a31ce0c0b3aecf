//! Text into tokens, with Go's rules for spaces and trim markers.

use crate::error::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Identifier,
    /// `.Name`
    Field,
    /// `$` or `$name`
    Variable,
    Dot,
    Number,
    CharConstant,
    Quoted,
    RawQuoted,
    Declare,
    Assign,
    Pipe,
    Comma,
    LeftParen,
    RightParen,
    OtherChar,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) text: &'a str,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

type Failure = (usize, Fault);

struct Lexer<'a> {
    input: &'a str,
    at: usize,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

/// All tokens, ended by [`Kind::End`].
pub(crate) fn tokens(input: &str) -> Result<Vec<Token<'_>>, Failure> {
    let mut lexer = Lexer {
        input,
        at: 0,
        parens: 0,
        tokens: Vec::new(),
    };
    while lexer.text()? {
        lexer.action()?;
    }
    lexer.tokens.push(Token {
        kind: Kind::End,
        at: input.len(),
        text: "",
    });
    Ok(lexer.tokens)
}

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `- ` after a left delimiter.
fn trims_left(rest: &str) -> bool {
    rest.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space))
}

/// The length of the right delimiter that stands here, with its trim marker, and whether it has one.
fn right_delimiter(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with(RIGHT) {
        return Some((RIGHT.len(), false));
    }
    let mut chars = rest.chars();
    (chars.next().is_some_and(is_space) && chars.next() == Some('-') && chars.as_str().starts_with(RIGHT))
        .then_some((RIGHT.len() + 2, true))
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, from: usize) {
        self.tokens.push(Token {
            kind,
            at: from,
            text: &self.input[from..self.at],
        });
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Failure> {
        Err((at, Fault::Syntax(message.into())))
    }

    /// Text up to the next action; false at the end. Comments are passed over.
    fn text(&mut self) -> Result<bool, Failure> {
        loop {
            let rest = self.rest();
            let Some(found) = rest.find(LEFT) else {
                self.text_token(rest, rest);
                self.at = self.input.len();
                return Ok(false);
            };
            let after = &rest[found + LEFT.len()..];
            let trims = trims_left(after);
            let text = &rest[..found];
            self.text_token(
                text,
                if trims {
                    text.trim_end_matches(SPACES)
                } else {
                    text
                },
            );
            let delimiter = self.at + found;
            self.at = delimiter + LEFT.len() + if trims { 2 } else { 0 };
            if !self.rest().starts_with("/*") {
                self.tokens.push(Token {
                    kind: Kind::LeftDelimiter,
                    at: delimiter,
                    text: LEFT,
                });
                self.parens = 0;
                return Ok(true);
            }
            let Some(end) = self.rest()[2..].find("*/") else {
                return self.fail(delimiter, "unclosed comment");
            };
            self.at += 2 + end + 2;
            let Some((length, trims)) = right_delimiter(self.rest()) else {
                return self.fail(self.at, "comment ends before closing delimiter");
            };
            self.close(length, trims);
        }
    }

    fn text_token(&mut self, whole: &str, kept: &'a str) {
        debug_assert!(kept.len() <= whole.len());
        if !kept.is_empty() {
            self.tokens.push(Token {
                kind: Kind::Text,
                at: self.at,
                text: kept,
            });
        }
    }

    /// Steps over a right delimiter and the space that its marker trims.
    fn close(&mut self, length: usize, trims: bool) {
        self.at += length;
        if trims {
            self.at = self.input.len() - self.rest().trim_start_matches(SPACES).len();
        }
    }

    /// The tokens of one action, its right delimiter included.
    fn action(&mut self) -> Result<(), Failure> {
        loop {
            let from = self.at;
            if let Some((length, trims)) = right_delimiter(self.rest()) {
                if self.parens > 0 {
                    return self.fail(from, "unclosed left paren");
                }
                self.tokens.push(Token {
                    kind: Kind::RightDelimiter,
                    at: from,
                    text: RIGHT,
                });
                self.close(length, trims);
                return Ok(());
            }
            let Some(c) = self.peek() else {
                return self.fail(from, "unclosed action");
            };
            if is_space(c) {
                self.space(from);
                continue;
            }
            self.at += c.len_utf8();
            match c {
                '=' => self.push(Kind::Assign, from),
                ':' if self.peek() == Some('=') => {
                    self.at += 1;
                    self.push(Kind::Declare, from);
                }
                ':' => return self.fail(from, "expected :="),
                '|' => self.push(Kind::Pipe, from),
                ',' => self.push(Kind::Comma, from),
                '"' => self.quoted(from, '"', Kind::Quoted)?,
                '\'' => self.quoted(from, '\'', Kind::CharConstant)?,
                '`' => self.raw(from)?,
                '$' => self.name(from, Kind::Variable)?,
                '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    if self.at_terminator() {
                        self.push(Kind::Dot, from);
                    } else {
                        self.name(from, Kind::Field)?;
                    }
                }
                '.' | '+' | '-' | '0'..='9' => self.number(from)?,
                '(' => {
                    self.parens += 1;
                    self.push(Kind::LeftParen, from);
                }
                ')' => {
                    if self.parens == 0 {
                        return self.fail(from, "unexpected right paren");
                    }
                    self.parens -= 1;
                    self.push(Kind::RightParen, from);
                }
                c if is_word(c) => self.name(from, Kind::Identifier)?,
                '!'..='~' => self.push(Kind::OtherChar, from),
                c => return self.fail(from, format!("unrecognized character in action: {c:?}")),
            }
        }
    }

    fn space(&mut self, from: usize) {
        while self.peek().is_some_and(is_space) {
            // The space before a trim marker belongs to the delimiter.
            if self.at > from && right_delimiter(self.rest()).is_some() {
                break;
            }
            self.at += 1;
        }
        self.push(Kind::Space, from);
    }

    /// Whether a name may end here.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn name(&mut self, from: usize, kind: Kind) -> Result<(), Failure> {
        let rest = self.rest();
        self.at = self.input.len() - rest.trim_start_matches(is_word).len();
        if !self.at_terminator() {
            let found = self.peek().unwrap_or(' ');
            return self.fail(self.at, format!("bad character {found:?}"));
        }
        self.push(kind, from);
        Ok(())
    }

    fn quoted(&mut self, from: usize, quote: char, kind: Kind) -> Result<(), Failure> {
        let what = if quote == '"' {
            "unterminated quoted string"
        } else {
            "unterminated character constant"
        };
        let mut escaped = false;
        for (index, c) in self.rest().char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += index + 1;
                    self.push(kind, from);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail(from, what)
    }

    fn raw(&mut self, from: usize) -> Result<(), Failure> {
        let Some(end) = self.rest().find('`') else {
            return self.fail(from, "unterminated raw quoted string");
        };
        self.at += end + 1;
        self.push(Kind::RawQuoted, from);
        Ok(())
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self
            .input
            .as_bytes()
            .get(self.at)
            .is_some_and(|byte| set.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn number(&mut self, from: usize) -> Result<(), Failure> {
        self.at = from;
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        let (mut decimal, mut hexadecimal) = (true, false);
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
                (decimal, hexadecimal) = (false, true);
            } else if self.accept(b"oO") {
                digits = b"01234567_";
                decimal = false;
            } else if self.accept(b"bB") {
                digits = b"01_";
                decimal = false;
            }
        }
        while self.accept(digits) {}
        if self.accept(b".") {
            while self.accept(digits) {}
        }
        if (decimal && self.accept(b"eE")) || (hexadecimal && self.accept(b"pP")) {
            self.accept(b"+-");
            while self.accept(b"0123456789_") {}
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_word) {
            return self.fail(
                from,
                format!("bad number syntax: {:?}", &self.input[from..self.at]),
            );
        }
        self.push(Kind::Number, from);
        Ok(())
    }
}
