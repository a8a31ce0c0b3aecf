//! Binary operators between two values, floats or histograms.

use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::ast::BinaryOp;
use crate::histogram::{Incompatible, Kept, Tally, same, trimmed};
use crate::value::SampleValue;

use super::notes::Notes;
use super::scalar::{arithmetic, compares};

/// What an operator gives.
pub(super) enum Operated {
    /// A new value.
    Computed(SampleValue),
    /// A part of the left histogram.
    Trimmed(SampleValue),
    /// Whether the left value passes the comparison.
    Holds(bool),
}

/// The operator between two values; nothing, with a remark, where they do not go together.
pub(super) fn operate(
    op: BinaryOp,
    lhs: &SampleValue,
    rhs: &SampleValue,
    notes: &mut Notes<'_>,
) -> Option<Operated> {
    use SampleValue::{Float, Histogram};
    let operated = match (lhs, rhs) {
        (Float(lhs), Float(rhs)) if !op.is_trim() => Some(match arithmetic(op, *lhs, *rhs) {
            Some(value) => Operated::Computed(value.into()),
            None => Operated::Holds(compares(op, *lhs, *rhs)),
        }),
        (Float(factor), Histogram(histogram)) | (Histogram(histogram), Float(factor))
            if op == BinaryOp::Mul =>
        {
            let mut product = Tally::of(histogram);
            product.multiply(*factor);
            Some(Operated::Computed(product.compact().into()))
        }
        (Histogram(histogram), Float(by)) if op == BinaryOp::Div => {
            let mut quotient = Tally::of(histogram);
            quotient.divide(*by);
            Some(Operated::Computed(quotient.compact().into()))
        }
        (Histogram(histogram), Float(edge)) if op.is_trim() => {
            let kept = if op == BinaryOp::TrimUpper {
                Kept::Below
            } else {
                Kept::Above
            };
            Some(Operated::Trimmed(trimmed(histogram, *edge, kept).into()))
        }
        (Histogram(lhs), Histogram(rhs)) => match op {
            BinaryOp::Add | BinaryOp::Sub => return sum(op, lhs, rhs, notes).map(Operated::Computed),
            BinaryOp::Equal => Some(Operated::Holds(same(lhs, rhs))),
            BinaryOp::NotEqual => Some(Operated::Holds(!same(lhs, rhs))),
            _ => None,
        },
        _ => None,
    };
    if operated.is_none() {
        let kind = |value: &SampleValue| match value {
            Float(_) => "float",
            Histogram(_) => "histogram",
        };
        notes.incompatible_types(kind(lhs), op.symbol(), kind(rhs));
    }
    operated
}

/// The sum of two histograms, or their difference, which is a gauge.
fn sum(op: BinaryOp, lhs: &Histogram, rhs: &Histogram, notes: &mut Notes<'_>) -> Option<SampleValue> {
    let mut tally = Tally::of(lhs);
    let (joined, during) = if op == BinaryOp::Add {
        (tally.add(rhs), "addition")
    } else {
        (tally.subtract(rhs), "subtraction")
    };
    let joined = match joined {
        Ok(joined) => joined,
        Err(Incompatible) => {
            notes.incompatible_buckets(op.symbol());
            return None;
        }
    };
    if joined.bounds_reconciled {
        notes.bounds_reconciled(during);
    }
    if joined.resets_collide {
        notes.resets_collide(during);
    }
    if op == BinaryOp::Sub {
        tally = tally.with_hint(ResetHint::Gauge);
    }
    Some(tally.compact().into())
}
