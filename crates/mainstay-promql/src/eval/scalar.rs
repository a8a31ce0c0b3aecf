//! Scalar expressions.

use crate::ast::{BinaryOp, Expr, ExprKind};
use crate::error::QueryError;
use crate::statistics::{larger, smaller};

use super::over_time::seconds;
use super::{Evaluator, argument};

impl Evaluator<'_> {
    pub(super) fn scalar(&mut self, expr: &Expr, at_ms: i64) -> Result<f64, QueryError> {
        match &expr.kind {
            ExprKind::Number(value) => Ok(*value),
            ExprKind::Negate(inner) => Ok(-self.scalar(inner, at_ms)?),
            ExprKind::Paren(inner) => self.scalar(inner, at_ms),
            ExprKind::Binary(binary) => {
                let (lhs, rhs) = (self.scalar(&binary.lhs, at_ms)?, self.scalar(&binary.rhs, at_ms)?);
                Ok(match arithmetic(binary.op, lhs, rhs) {
                    Some(value) => value,
                    None => f64::from(u8::from(compares(binary.op, lhs, rhs))),
                })
            }
            ExprKind::Call { function, .. } => self.scalar_call(function.name, argument(expr), at_ms),
            _ => Err(QueryError::Unsupported("this kind of scalar".to_owned())),
        }
    }

    fn scalar_call(&mut self, name: &str, args: &[Expr], at_ms: i64) -> Result<f64, QueryError> {
        Ok(match (name, args) {
            ("time", _) => seconds(at_ms),
            ("pi", _) => std::f64::consts::PI,
            ("start", _) => seconds(self.query.start_ms),
            ("end", _) => seconds(self.query.end_ms),
            ("range", _) => seconds(self.query.end_ms - self.query.start_ms),
            ("step", _) if self.is_instant => 0.0,
            ("step", _) => seconds(self.query.step_ms),
            ("scalar", [vector]) => {
                let samples = self.vector(vector, at_ms)?;
                let mut floats = samples.iter().filter_map(|sample| sample.value.float());
                match (floats.next(), floats.next()) {
                    (Some(only), None) => only,
                    _ => f64::NAN,
                }
            }
            ("min_of", [a, b]) => smaller(self.scalar(a, at_ms)?, self.scalar(b, at_ms)?),
            ("max_of", [a, b]) => larger(self.scalar(a, at_ms)?, self.scalar(b, at_ms)?),
            _ => return Err(QueryError::Unsupported(format!("the function {name}"))),
        })
    }
}

/// The bytes of a string expression.
pub(super) fn text(expr: &Expr) -> &[u8] {
    match &expr.unwrapped().kind {
        ExprKind::String(bytes) => bytes,
        _ => &[],
    }
}

/// The value of an arithmetic operator; nothing for any other operator.
pub(super) fn arithmetic(op: BinaryOp, lhs: f64, rhs: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        BinaryOp::Atan2 => lhs.atan2(rhs),
        _ => return None,
    })
}

/// Whether a comparison holds.
pub(super) fn compares(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    match op {
        BinaryOp::Equal => lhs == rhs,
        BinaryOp::NotEqual => lhs != rhs,
        BinaryOp::Greater => lhs > rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::GreaterEqual => lhs >= rhs,
        BinaryOp::LessEqual => lhs <= rhs,
        _ => false,
    }
}
