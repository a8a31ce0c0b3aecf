//! Expressions, by operator precedence.

use crate::ast::{Aggregate, AggregateOp, Binary, BinaryOp, Expr, ExprKind, Grouping, Span};
use crate::function::Function;

use super::Fault;
use super::cursor::Parser;
use super::lex::Token;

/// How deep parentheses, calls and signs may nest.
const MAX_DEPTH: usize = 40;
/// How high the tree may be; a chain such as `a + b + c` is as high as it is long.
const MAX_HEIGHT: usize = 250;
/// How long a query may be.
const MAX_QUERY_BYTES: usize = 256 << 10;
/// The binding power of a leading sign: below `^`, as strong as `*`.
const UNARY_POWER: u8 = 5;

/// The height of what stands on this height.
///
/// # Errors
/// If that is higher than a tree may be: walks over it recurse.
pub(super) fn higher(height: usize, span: Span) -> Result<usize, Fault> {
    if height < MAX_HEIGHT {
        return Ok(height + 1);
    }
    let message = format!("more than {MAX_HEIGHT} operations on each other: use parentheses or rules");
    Err((span, message))
}

impl Parser<'_> {
    /// The whole text as one expression.
    pub(super) fn expression(mut self) -> Result<Expr, Fault> {
        if self.text.len() > MAX_QUERY_BYTES {
            return Err((Span::default(), format!("longer than {MAX_QUERY_BYTES} bytes")));
        }
        if self.peek()?.0 == Token::End {
            return Err((Span::default(), "no expression found in input".to_owned()));
        }
        let expr = self.binary(0)?;
        match self.peek()? {
            (Token::End, _) => Ok(expr),
            (token, span) => Err((span, format!("unexpected {}", token.describe()))),
        }
    }

    pub(super) fn binary(&mut self, least: u8) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((
                self.peek_span()?,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        let mut lhs = self.unary()?;
        let mut height = self.height;
        while let Some((op, power)) = self.peek_operator()? {
            if power < least {
                break;
            }
            self.advance()?;
            let (return_bool, matching) = self.modifiers(op)?;
            let right = if op == BinaryOp::Pow { power } else { power + 1 };
            let rhs = self.binary(right)?;
            let span = lhs.span.to(rhs.span);
            height = higher(height.max(self.height), span)?;
            lhs = Expr {
                kind: ExprKind::Binary(Box::new(Binary {
                    op,
                    lhs,
                    rhs,
                    return_bool,
                    matching,
                })),
                span,
            };
        }
        self.depth -= 1;
        self.height = height;
        Ok(lhs)
    }

    pub(super) fn peek_operator(&mut self) -> Result<Option<(BinaryOp, u8)>, Fault> {
        let word;
        let text = match self.peek()?.0 {
            Token::Symbol(symbol) => symbol,
            Token::Name(name) => {
                word = name.to_ascii_lowercase();
                word.as_str()
            }
            _ => return Ok(None),
        };
        Ok(Some(match text {
            "or" => (BinaryOp::Or, 1),
            "and" => (BinaryOp::And, 2),
            "unless" => (BinaryOp::Unless, 2),
            "==" => (BinaryOp::Equal, 3),
            "!=" => (BinaryOp::NotEqual, 3),
            ">" => (BinaryOp::Greater, 3),
            "<" => (BinaryOp::Less, 3),
            ">=" => (BinaryOp::GreaterEqual, 3),
            "<=" => (BinaryOp::LessEqual, 3),
            "</" => (BinaryOp::TrimUpper, 3),
            ">/" => (BinaryOp::TrimLower, 3),
            "+" => (BinaryOp::Add, 4),
            "-" => (BinaryOp::Sub, 4),
            "*" => (BinaryOp::Mul, UNARY_POWER),
            "/" => (BinaryOp::Div, UNARY_POWER),
            "%" => (BinaryOp::Mod, UNARY_POWER),
            "atan2" => (BinaryOp::Atan2, UNARY_POWER),
            "^" => (BinaryOp::Pow, 6),
            _ => return Ok(None),
        }))
    }

    /// A sign and a number, a duration or a parenthesis, without what may follow it.
    pub(super) fn signed(&mut self) -> Result<Expr, Fault> {
        let (token, span) = self.peek()?;
        let negative = match token {
            Token::Symbol("-") => true,
            Token::Symbol("+") => false,
            _ => return self.primary(),
        };
        self.advance()?;
        let operand = self.primary()?;
        Ok(sign(negative, span, operand))
    }

    pub(super) fn number(&mut self) -> Result<f64, Fault> {
        let expr = self.signed()?;
        match expr.kind {
            ExprKind::Number(value) => Ok(value),
            _ => Err((expr.span, "expected a number".to_owned())),
        }
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let (token, span) = self.peek()?;
        let negative = match token {
            Token::Symbol("-") => true,
            Token::Symbol("+") => false,
            _ => return self.postfix(),
        };
        self.advance()?;
        let operand = self.binary(UNARY_POWER + 1)?;
        self.height += 1;
        Ok(sign(negative, span, operand))
    }

    pub(super) fn primary(&mut self) -> Result<Expr, Fault> {
        self.height = 1;
        let (token, span) = self.peek()?;
        match token {
            Token::Number(value) => {
                self.advance()?;
                Ok(Expr {
                    kind: ExprKind::Number(value),
                    span,
                })
            }
            Token::Duration(duration_ms) => {
                self.advance()?;
                #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 ms")]
                let seconds = duration_ms as f64 / 1000.0;
                Ok(Expr {
                    kind: ExprKind::Number(seconds),
                    span,
                })
            }
            Token::Text(bytes) => {
                self.advance()?;
                Ok(Expr {
                    kind: ExprKind::String(bytes),
                    span,
                })
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.binary(0)?;
                let end = self.expect(")")?;
                self.height += 1;
                Ok(Expr {
                    kind: ExprKind::Paren(Box::new(inner)),
                    span: span.to(end),
                })
            }
            Token::Symbol("{") => {
                let (selector, span) = self.selector(None)?;
                Ok(Expr {
                    kind: ExprKind::Selector(selector),
                    span,
                })
            }
            Token::Name(name) => {
                self.advance()?;
                self.named(name, span)
            }
            other => Err((span, format!("unexpected {}", other.describe()))),
        }
    }

    fn named(&mut self, name: String, span: Span) -> Result<Expr, Fault> {
        let lower = name.to_ascii_lowercase();
        let called = self.peek_symbol("(")?;
        if let Some(op) = AggregateOp::named(&name) {
            let grouped = matches!(self.peek()?.0, Token::Name(next) if is_grouping(&next));
            if called || grouped {
                return self.aggregate(op, span);
            }
        }
        if called {
            return self.call(&name, span);
        }
        if matches!(lower.as_str(), "inf" | "nan") {
            let value = if lower == "inf" { f64::INFINITY } else { f64::NAN };
            return Ok(Expr {
                kind: ExprKind::Number(value),
                span,
            });
        }
        let (selector, span) = self.selector(Some((name, span)))?;
        Ok(Expr {
            kind: ExprKind::Selector(selector),
            span,
        })
    }

    fn call(&mut self, name: &str, span: Span) -> Result<Expr, Fault> {
        let function =
            Function::named(name).ok_or_else(|| (span, format!("unknown function with name {name:?}")))?;
        let (args, end) = self.arguments()?;
        Ok(Expr {
            kind: ExprKind::Call { function, args },
            span: span.to(end),
        })
    }

    fn arguments(&mut self) -> Result<(Vec<Expr>, Span), Fault> {
        self.expect("(")?;
        let mut args = Vec::new();
        let mut height = 0;
        while !self.peek_symbol(")")? {
            args.push(self.binary(0)?);
            height = height.max(self.height);
            if !self.take_symbol(",")? {
                break;
            }
            if self.peek_symbol(")")? {
                return Err((
                    self.peek_span()?,
                    "trailing commas not allowed in function call args".to_owned(),
                ));
            }
        }
        let end = self.expect(")")?;
        self.height = height + 1;
        Ok((args, end))
    }

    fn aggregate(&mut self, op: AggregateOp, span: Span) -> Result<Expr, Fault> {
        let before = self.grouping()?;
        let (mut args, mut end) = self.arguments()?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => {
                let after = self.grouping()?;
                end.end = self.offset;
                after.unwrap_or(Grouping::Keep(Vec::new()))
            }
        };
        let expected = if op.parameter().is_some() { 2 } else { 1 };
        if args.len() != expected {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {expected}, got {}",
                args.len()
            );
            return Err((span, message));
        }
        let expr = args.pop().expect("the number was checked");
        let aggregate = Aggregate {
            op,
            parameter: args.pop(),
            expr,
            grouping,
        };
        Ok(Expr {
            kind: ExprKind::Aggregate(Box::new(aggregate)),
            span: span.to(end),
        })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Fault> {
        Ok(if self.take_keyword("by")? {
            Some(Grouping::Keep(self.label_names()?))
        } else if self.take_keyword("without")? {
            Some(Grouping::Drop(self.label_names()?))
        } else {
            None
        })
    }
}

/// An operand behind a sign; a number takes the sign into itself, a plus is only a wider span.
fn sign(negative: bool, span: Span, operand: Expr) -> Expr {
    let span = span.to(operand.span);
    let kind = match operand.kind {
        ExprKind::Number(value) => ExprKind::Number(if negative { -value } else { value }),
        _ if negative => ExprKind::Negate(Box::new(operand)),
        kind => kind,
    };
    Expr { kind, span }
}

fn is_grouping(name: &str) -> bool {
    name.eq_ignore_ascii_case("by") || name.eq_ignore_ascii_case("without")
}
