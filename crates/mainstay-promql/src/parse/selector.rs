//! Selectors: `name{label="value", ...}`.

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, MatchOp, Matcher};

use crate::ast::{Selector, Shift, Span};

use super::Fault;
use super::cursor::Parser;
use super::lex::Token;

impl Parser<'_> {
    /// A selector whose name, if it has one, was already read.
    pub(super) fn selector(&mut self, name: Option<(String, Span)>) -> Result<(Selector, Span), Fault> {
        let mut matchers = Vec::new();
        let mut span = name.as_ref().map_or(self.peek_span()?, |(_, span)| *span);
        let named = name.is_some();
        if let Some((name, _)) = name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        if self.peek_symbol("{")? {
            let (inside, end) = self.matchers()?;
            span = span.to(end);
            if named && inside.iter().any(|m| m.name() == METRIC_NAME) {
                let message = "metric name must not be set twice".to_owned();
                return Err((span, message));
            }
            matchers.extend(inside);
        }
        let leaf = self.next_leaf();
        Ok((
            Selector {
                matchers,
                shift: Shift::default(),
                extension: None,
                leaf,
            },
            span,
        ))
    }

    fn matchers(&mut self) -> Result<(Vec<Matcher>, Span), Fault> {
        self.expect("{")?;
        let mut matchers: Vec<Matcher> = Vec::new();
        loop {
            if self.peek_symbol("}")? {
                break;
            }
            matchers.push(self.matcher()?);
            if !self.take_symbol(",")? {
                break;
            }
        }
        let end = self.expect("}")?;
        Ok((matchers, end))
    }

    fn matcher(&mut self) -> Result<Matcher, Fault> {
        let (token, span) = self.advance()?;
        let name = match token {
            Token::Name(name) if !name.contains(':') => name,
            Token::Text(bytes) => {
                let name = utf8(bytes, span)?;
                // A quoted name on its own is the metric's name.
                if !self.peek_any(&["=", "!=", "=~", "!~"])? {
                    return Ok(Matcher::equal(METRIC_NAME, name));
                }
                name
            }
            other => {
                return Err((
                    span,
                    format!(
                        "unexpected {} in label matching, expected label name",
                        other.describe()
                    ),
                ));
            }
        };
        let (token, op_span) = self.advance()?;
        let op = match token {
            Token::Symbol("=") => MatchOp::Equal,
            Token::Symbol("!=") => MatchOp::NotEqual,
            Token::Symbol("=~") => MatchOp::Matches,
            Token::Symbol("!~") => MatchOp::NotMatches,
            other => {
                let message = format!(
                    "unexpected {} in label matching, expected one of =, !=, =~, !~",
                    other.describe()
                );
                return Err((op_span, message));
            }
        };
        let (token, value_span) = self.advance()?;
        let Token::Text(bytes) = token else {
            return Err((
                value_span,
                format!(
                    "unexpected {} in label matching, expected string",
                    token.describe()
                ),
            ));
        };
        let value = utf8(bytes, value_span)?;
        Matcher::new(name, op, value).map_err(|error| (value_span, error.to_string()))
    }

    /// A metric: a name, labels, or nothing. Gives its labels and where it ends.
    pub(super) fn metric(&mut self) -> Result<(Labels, usize), Fault> {
        let mut labels = Labels::new();
        let mut end = 0;
        if !self.rest().trim_start().starts_with('{')
            && let (Token::Name(name), span) = self.peek()?
        {
            labels.set(METRIC_NAME, name);
            end = span.end;
            self.advance()?;
        }
        // What follows is not PromQL, so it must not be read as tokens; `{{` begins a histogram.
        let rest = self.rest().trim_start();
        if rest.starts_with('{') && !rest.starts_with("{{") {
            let start = self.peek_span()?;
            let (matchers, span) = self.matchers()?;
            end = span.end;
            for matcher in matchers {
                if matcher.op() != MatchOp::Equal {
                    return Err((start.to(span), "expected only equalities in a metric".to_owned()));
                }
                labels.set(matcher.name(), matcher.value());
            }
        }
        Ok((labels, end))
    }
}

/// Label names and values are UTF-8.
pub(super) fn utf8(bytes: Vec<u8>, span: Span) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| {
        (
            span,
            format!(
                "expected UTF-8, found {}",
                crate::format::quoted(error.as_bytes())
            ),
        )
    })
}
