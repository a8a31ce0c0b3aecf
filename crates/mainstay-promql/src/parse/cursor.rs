//! The place in the text: one token ahead, and its line and column.

use crate::ast::{Position, Span};

use super::Fault;
use super::lex::{self, Token};

/// Reads one text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    leaves: usize,
    /// How many calls of `binary` are under way.
    pub(super) depth: usize,
    /// The height of the expression read last.
    pub(super) height: usize,
    pub(super) ahead: Option<(Token, Span)>,
    located: (usize, Position),
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            leaves: 0,
            depth: 0,
            height: 0,
            ahead: None,
            located: (0, Position::default()),
        }
    }

    pub(super) fn next_leaf(&mut self) -> usize {
        self.leaves += 1;
        self.leaves - 1
    }

    pub(super) fn peek(&mut self) -> Result<(Token, Span), Fault> {
        if let Some(ahead) = &self.ahead {
            return Ok(ahead.clone());
        }
        let (token, span) = lex::next(self.text, self.offset)?;
        let ahead = (
            token,
            Span {
                position: self.locate(span.start),
                ..span
            },
        );
        self.ahead = Some(ahead.clone());
        Ok(ahead)
    }

    /// The position of a byte at or after the last one located.
    pub(super) fn locate(&mut self, offset: usize) -> Position {
        let (from, mut position) = self.located;
        for character in self.text[from..offset].chars() {
            if character == '\n' {
                position = Position {
                    line: position.line + 1,
                    column: 1,
                };
            } else {
                position.column += 1;
            }
        }
        self.located = (offset, position);
        position
    }

    /// The text not yet read.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    pub(super) fn peek_span(&mut self) -> Result<Span, Fault> {
        Ok(self.peek()?.1)
    }

    pub(super) fn advance(&mut self) -> Result<(Token, Span), Fault> {
        let (token, span) = self.peek()?;
        self.offset = span.end;
        self.ahead = None;
        Ok((token, span))
    }

    pub(super) fn peek_symbol(&mut self, symbol: &str) -> Result<bool, Fault> {
        Ok(matches!(self.peek()?.0, Token::Symbol(found) if found == symbol))
    }

    pub(super) fn peek_any(&mut self, symbols: &[&str]) -> Result<bool, Fault> {
        Ok(matches!(self.peek()?.0, Token::Symbol(found) if symbols.contains(&found)))
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> Result<bool, Fault> {
        let found = self.peek_symbol(symbol)?;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> Result<bool, Fault> {
        let found = matches!(self.peek()?.0, Token::Name(name) if name.eq_ignore_ascii_case(keyword));
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<Span, Fault> {
        match self.advance()? {
            (Token::Symbol(found), span) if found == symbol => Ok(span),
            (token, span) => Err((
                span,
                format!("unexpected {}, expected {symbol:?}", token.describe()),
            )),
        }
    }
}
