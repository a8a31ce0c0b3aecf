//! What follows an expression: windows, `offset`, `@`; and durations.

use crate::ast::{At, BinaryOp, Duration, Expr, ExprKind, Extension, Shift, Span};

use crate::eval::FARTHEST_MS;

use super::Fault;
use super::cursor::Parser;
use super::lex::Token;
use super::syntax::higher;

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Result<Expr, Fault> {
        let mut expr = self.primary()?;
        loop {
            let (token, span) = self.peek()?;
            match token {
                Token::Symbol("[") => expr = self.window(expr)?,
                Token::Symbol("@") => {
                    self.advance()?;
                    let at = self.at()?;
                    let shift = shift_of(&mut expr, span, "@")?;
                    if shift.at.replace(at).is_some() {
                        return Err((span, "@ <timestamp> may not be set multiple times".to_owned()));
                    }
                    expr.span.end = self.offset;
                }
                Token::Name(name) if name.eq_ignore_ascii_case("offset") => {
                    self.advance()?;
                    let offset = self.duration(true)?;
                    let shift = shift_of(&mut expr, span, "offset")?;
                    if shift.offset.replace(offset).is_some() {
                        return Err((span, "offset may not be set multiple times".to_owned()));
                    }
                    expr.span.end = self.offset;
                }
                Token::Name(name) if name.eq_ignore_ascii_case("anchored") => {
                    self.advance()?;
                    extend(&mut expr, Extension::Anchored)?;
                    expr.span.end = self.offset;
                }
                Token::Name(name) if name.eq_ignore_ascii_case("smoothed") => {
                    self.advance()?;
                    extend(&mut expr, Extension::Smoothed)?;
                    expr.span.end = self.offset;
                }
                _ => return Ok(expr),
            }
        }
    }

    pub(super) fn at(&mut self) -> Result<At, Fault> {
        let (token, span) = self.peek()?;
        if let Token::Name(name) = &token {
            let at = match name.to_ascii_lowercase().as_str() {
                "start" => Some(At::Start),
                "end" => Some(At::End),
                _ => None,
            };
            if let Some(at) = at {
                self.advance()?;
                self.expect("(")?;
                self.expect(")")?;
                return Ok(at);
            }
        }
        let seconds = self.number()?;
        let millis = (seconds * 1000.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "the range is checked"
        )]
        if millis.is_finite() && millis.abs() <= FARTHEST_MS as f64 {
            return Ok(At::Millis(millis as i64));
        }
        Err((span, format!("timestamp out of bounds for @ modifier: {seconds}")))
    }

    /// `[5m]` or `[5m:1m]`.
    pub(super) fn window(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let open = self.expect("[")?;
        let height = self.height;
        let range = self.duration(false)?;
        if self.take_colon()? {
            let step = if self.peek_symbol("]")? {
                None
            } else {
                Some(self.duration(false)?)
            };
            let end = self.expect("]")?;
            let span = operand.span.to(end);
            let leaf = self.next_leaf();
            self.height = higher(height, span)?;
            let kind = ExprKind::Subquery {
                expr: Box::new(operand),
                range,
                step,
                shift: Shift::default(),
                leaf,
            };
            return Ok(Expr { kind, span });
        }
        let end = self.expect("]")?;
        let span = operand.span.to(end);
        match operand.kind {
            ExprKind::Selector(selector) if selector.shift == Shift::default() => Ok(Expr {
                kind: ExprKind::Matrix { selector, range },
                span,
            }),
            ExprKind::Selector(_) => Err((open, "no offset or @ modifiers allowed before range".to_owned())),
            _ => Err((open, "ranges only allowed for vector selectors".to_owned())),
        }
    }

    /// The colon of a subquery, which otherwise could begin a name.
    pub(super) fn take_colon(&mut self) -> Result<bool, Fault> {
        let (_, span) = self.peek()?;
        let found = self.text[span.start..].starts_with(':');
        if found {
            self.ahead = None;
            self.offset = span.start + 1;
        }
        Ok(found)
    }

    /// A duration, a number of seconds, or an expression of them. Only an offset may be negative.
    pub(super) fn duration(&mut self, is_offset: bool) -> Result<Duration, Fault> {
        let start = self.peek_span()?;
        // After `offset` an operator belongs to the query, unless the duration stands in parentheses.
        let expr = if is_offset {
            self.signed()?
        } else {
            self.binary(0)?
        };
        if let ExprKind::Number(seconds) = expr.kind {
            return duration_ms(seconds, is_offset)
                .map(Duration::Millis)
                .map_err(|message| (start, message));
        }
        if !is_duration_expression(&expr) {
            return Err((start, "expected a duration such as 5m".to_owned()));
        }
        Ok(Duration::Computed(Box::new(expr)))
    }
}

fn shift_of<'e>(expr: &'e mut Expr, span: Span, modifier: &str) -> Result<&'e mut Shift, Fault> {
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => Ok(&mut selector.shift),
        ExprKind::Subquery { shift, .. } => Ok(shift),
        _ => Err((
            span,
            format!(
                "{modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            ),
        )),
    }
}

fn extend(expr: &mut Expr, extension: Extension) -> Result<(), Fault> {
    let name = extension.name();
    let span = expr.span;
    let selector = match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => selector,
        ExprKind::Subquery { .. } => {
            return Err((span, format!("{name} modifier is not supported for subqueries")));
        }
        _ => return Err((span, format!("{name} modifier not implemented"))),
    };
    if selector.extension.is_some_and(|held| held != extension) {
        let message = "anchored and smoothed modifiers cannot be used together";
        return Err((span, message.to_owned()));
    }
    selector.extension = Some(extension);
    Ok(())
}

/// Seconds to milliseconds; a window must be positive, an offset need not.
pub(crate) fn duration_ms(seconds: f64, is_offset: bool) -> Result<i64, String> {
    let millis = (seconds * 1000.0).round();
    if !is_offset && millis <= 0.0 {
        return Err("duration must be greater than 0".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    if millis.abs() <= FARTHEST_MS as f64 {
        Ok(millis as i64)
    } else {
        Err("duration out of range".to_owned())
    }
}

fn is_duration_expression(expr: &Expr) -> bool {
    let fits = match &expr.kind {
        ExprKind::Number(_) | ExprKind::Paren(_) | ExprKind::Negate(_) => true,
        ExprKind::Binary(binary) => {
            use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
            matches!(binary.op, Add | Sub | Mul | Div | Mod | Pow)
        }
        ExprKind::Call { function, .. } => matches!(function.name, "step" | "range" | "min_of" | "max_of"),
        _ => false,
    };
    fits && expr.children().into_iter().all(is_duration_expression)
}
