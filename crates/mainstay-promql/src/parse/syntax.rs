//! Expressions, by operator precedence.

use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Cardinality, Duration, Expr, ExprKind, Grouping, Matching,
    Position, Shift, Span,
};
use crate::function::Function;

use super::Fault;
use super::lex::{self, Token};
use super::selector::utf8;

/// How deep expressions may nest.
const MAX_DEPTH: usize = 100;
/// The binding power of a leading sign: below `^`, as strong as `*`.
const UNARY_POWER: u8 = 5;

/// Reads one text.
pub(super) struct Parser<'a> {
    text: &'a str,
    offset: usize,
    leaves: usize,
    depth: usize,
    ahead: Option<(Token, Span)>,
    located: (usize, Position),
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            leaves: 0,
            depth: 0,
            ahead: None,
            located: (0, Position::default()),
        }
    }

    /// The whole text as one expression.
    pub(super) fn expression(mut self) -> Result<Expr, Fault> {
        if self.peek()?.0 == Token::End {
            return Err((Span::default(), "no expression found in input".to_owned()));
        }
        let expr = self.binary(0)?;
        match self.peek()? {
            (Token::End, _) => Ok(expr),
            (token, span) => Err((span, format!("unexpected {}", token.describe()))),
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
    fn locate(&mut self, offset: usize) -> Position {
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

    fn take_keyword(&mut self, keyword: &str) -> Result<bool, Fault> {
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

    fn binary(&mut self, least: u8) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((
                self.peek_span()?,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        let mut lhs = self.unary()?;
        while let Some((op, power)) = self.peek_operator()? {
            if power < least {
                break;
            }
            self.advance()?;
            let (return_bool, matching) = self.modifiers(op)?;
            let right = if op == BinaryOp::Pow { power } else { power + 1 };
            let rhs = self.binary(right)?;
            let span = lhs.span.to(rhs.span);
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
        Ok(lhs)
    }

    fn peek_operator(&mut self) -> Result<Option<(BinaryOp, u8)>, Fault> {
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

    fn modifiers(&mut self, op: BinaryOp) -> Result<(bool, Matching), Fault> {
        let mut matching = Matching::default();
        if op.is_set() {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let start = self.peek_span()?;
        let return_bool = self.take_keyword("bool")?;
        if return_bool && !op.is_comparison() {
            return Err((
                start,
                "bool modifier can only be used on comparison operators".to_owned(),
            ));
        }
        let on = self.take_keyword("on")?;
        if on || self.take_keyword("ignoring")? {
            let labels = self.label_names()?;
            matching.labels = if on {
                Grouping::Keep(labels)
            } else {
                Grouping::Drop(labels)
            };
            for (keyword, cardinality) in [
                ("group_left", Cardinality::ManyToOne),
                ("group_right", Cardinality::OneToMany),
            ] {
                let span = self.peek_span()?;
                if self.take_keyword(keyword)? {
                    if op.is_set() {
                        return Err((
                            span,
                            format!("no grouping allowed for {:?} operation", op.symbol()),
                        ));
                    }
                    matching.cardinality = cardinality;
                    if self.peek_symbol("(")? {
                        matching.include = self.label_names()?;
                    }
                    self.check_include(&matching, span)?;
                }
            }
        }
        self.fill(op, &mut matching)?;
        Ok((return_bool, matching))
    }

    fn check_include(&self, matching: &Matching, span: Span) -> Result<(), Fault> {
        if let Grouping::Keep(on) = &matching.labels
            && let Some(both) = matching.include.iter().find(|label| on.contains(label))
        {
            return Err((
                span,
                format!("label {both:?} must not occur in ON and GROUP clause at once"),
            ));
        }
        Ok(())
    }

    fn fill(&mut self, op: BinaryOp, matching: &mut Matching) -> Result<(), Fault> {
        loop {
            let (token, span) = self.peek()?;
            let Token::Name(name) = token else { return Ok(()) };
            let (left, right) = match name.to_ascii_lowercase().as_str() {
                "fill" => (true, true),
                "fill_left" => (true, false),
                "fill_right" => (false, true),
                _ => return Ok(()),
            };
            // Without a parenthesis it is a metric of that name.
            if !self.text[span.end..].trim_start().starts_with('(') {
                return Ok(());
            }
            self.advance()?;
            if op.is_set() {
                return Err((
                    span,
                    "filling in missing series not allowed for set operators".to_owned(),
                ));
            }
            self.expect("(")?;
            let value = self.number()?;
            self.expect(")")?;
            matching.fill_left = if left { Some(value) } else { matching.fill_left };
            matching.fill_right = if right { Some(value) } else { matching.fill_right };
        }
    }

    /// A sign and a number, a duration or a parenthesis, without what may follow it.
    fn signed(&mut self) -> Result<Expr, Fault> {
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

    fn number(&mut self) -> Result<f64, Fault> {
        let expr = self.signed()?;
        match expr.kind {
            ExprKind::Number(value) => Ok(value),
            _ => Err((expr.span, "expected a number".to_owned())),
        }
    }

    fn label_names(&mut self) -> Result<Vec<String>, Fault> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.peek_symbol(")")? {
            match self.advance()? {
                (Token::Name(name), _) if !name.contains(':') => names.push(name),
                (Token::Text(bytes), span) => names.push(utf8(bytes, span)?),
                (token, span) => {
                    return Err((
                        span,
                        format!("unexpected {} in grouping opts, expected label", token.describe()),
                    ));
                }
            }
            if !self.take_symbol(",")? {
                break;
            }
        }
        self.expect(")")?;
        Ok(names)
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
        Ok(sign(negative, span, operand))
    }

    fn postfix(&mut self) -> Result<Expr, Fault> {
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
                Token::Name(name) if matches!(name.as_str(), "anchored" | "smoothed") => {
                    return Err((span, format!("the modifier {name} is not supported")));
                }
                _ => return Ok(expr),
            }
        }
    }

    fn at(&mut self) -> Result<At, Fault> {
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
        if millis.is_finite() && millis.abs() < i64::MAX as f64 {
            return Ok(At::Millis(millis as i64));
        }
        Err((span, format!("timestamp out of bounds for @ modifier: {seconds}")))
    }

    /// `[5m]` or `[5m:1m]`.
    fn window(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let open = self.expect("[")?;
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
    fn take_colon(&mut self) -> Result<bool, Fault> {
        let (_, span) = self.peek()?;
        let found = self.text[span.start..].starts_with(':');
        if found {
            self.ahead = None;
            self.offset = span.start + 1;
        }
        Ok(found)
    }

    /// A duration, a number of seconds, or an expression of them. Only an offset may be negative.
    fn duration(&mut self, is_offset: bool) -> Result<Duration, Fault> {
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

    fn primary(&mut self) -> Result<Expr, Fault> {
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
        while !self.peek_symbol(")")? {
            args.push(self.binary(0)?);
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

/// Seconds to milliseconds; a window must be positive, an offset need not.
pub(crate) fn duration_ms(seconds: f64, is_offset: bool) -> Result<i64, String> {
    let millis = (seconds * 1000.0).round();
    if !is_offset && millis <= 0.0 {
        return Err("duration must be greater than 0".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    if millis.abs() <= 9.2e15 {
        Ok(millis as i64)
    } else {
        Err("duration out of range".to_owned())
    }
}

fn is_duration_expression(expr: &Expr) -> bool {
    let fits = match &expr.kind {
        ExprKind::Number(_) | ExprKind::Paren(_) | ExprKind::Negate(_) => true,
        ExprKind::Binary(binary) => {
            !binary.op.is_set() && !binary.op.is_comparison() && binary.op != BinaryOp::Atan2
        }
        ExprKind::Call { function, .. } => matches!(function.name, "step" | "range" | "min_of" | "max_of"),
        _ => false,
    };
    fits && expr.children().into_iter().all(is_duration_expression)
}
