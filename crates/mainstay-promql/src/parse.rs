//! The parser: text to a checked tree, behind one function so that it can be replaced.

mod check;
mod cursor;
mod lex;
mod literal;
mod matching;
mod postfix;
mod selector;
mod syntax;

pub(crate) use literal::number;
use mainstay_kernel::{Labels, Matcher};
pub(crate) use postfix::duration_ms;

use crate::ast::{Expr, Position, Span};
use crate::error::ParseError;

/// Reads a PromQL expression and checks its types.
///
/// # Errors
/// With line and column, when the text is not PromQL or asks for what does not fit together.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let located = |(span, message): Fault| ParseError {
        position: Position::of(text, span.start),
        message,
    };
    let expr = cursor::Parser::new(text).expression().map_err(located)?;
    check::check(&expr, text).map_err(located)?;
    Ok(expr)
}

/// Reads a vector selector such as `up{job=~"a.*"}` and gives its matchers.
///
/// # Errors
/// With line and column, when the text is anything else.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse(text)?;
    match expr.kind {
        crate::ast::ExprKind::Selector(selector) if selector.shift == crate::ast::Shift::default() => {
            Ok(selector.matchers)
        }
        _ => Err(ParseError {
            position: Position { line: 1, column: 1 },
            message: "expected a vector selector such as up{job=\"a\"}".to_owned(),
        }),
    }
}

/// Reads a metric such as `up{job="a"}` (only equalities; it may be empty) and gives its labels and the rest of
/// the text.
pub(crate) fn parse_metric(text: &str) -> Result<(Labels, &str), ParseError> {
    let mut parser = cursor::Parser::new(text);
    let located = |(span, message): Fault| ParseError {
        position: Position::of(text, span.start),
        message,
    };
    parser
        .metric()
        .map(|(labels, end)| (labels, &text[end..]))
        .map_err(located)
}

/// What is wrong, and where.
type Fault = (Span, String);
