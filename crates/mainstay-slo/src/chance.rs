//! Whether a count can be chance, in integers: bounds of the tails of Poisson counts, which hold for binomial ones too.
//!
//! Everything here says "improbable" for less than one in ten million: a group is judged some 260,000 times a year on
//! windows that do not overlap, so chance alone stays far below one false page per group and year.

/// `2 × ln(10⁷)`, rounded up.
const PATIENCE: u64 = 33;

/// The scale of probabilities in [`too_many`].
const SCALE: u128 = 1_000_000_000_000_000_000;

/// What [`SCALE`] makes of one in ten million.
const IMPROBABLE: u128 = SCALE / 10_000_000;

/// The fewest events that can be chance where `expected` are usual: fewer are improbable. 0 where even none at all can be,
/// which is so below 33.
///
/// Chernoff: `P(X ≤ λ − d) ≤ exp(−d² / 2λ)`, which is below 10⁻⁷ from `d² = 33 λ` on.
#[must_use]
pub(crate) fn fewest(expected: u64) -> u64 {
    let distance = ceil_sqrt(expected.saturating_mul(PATIENCE));
    match expected.checked_sub(distance) {
        Some(most) if expected > 0 => most + 1,
        _ => 0,
    }
}

/// Whether so many events are improbable where at most `expected_millionths / 10⁶` are usual.
///
/// Either by Bernstein, `P(X ≥ λ + d) ≤ exp(−d² / (2λ + 2d/3))`, which is sharp for many, or by `P(X ≥ k) ≤ λᵏ / k!`,
/// which is sharp for few. Cost: at most 64 multiplications.
#[must_use]
pub(crate) fn too_many(seen: u64, expected_millionths: u128) -> bool {
    let excess = (u128::from(seen) * 1_000_000).saturating_sub(expected_millionths);
    if excess == 0 {
        return false;
    }
    // Both sides in millionths squared; what is too large to be squared is no chance either.
    let by_many = excess.checked_mul(excess).is_none_or(|square| {
        let spread = expected_millionths.saturating_add(excess.div_ceil(3));
        square >= spread.saturating_mul(u128::from(PATIENCE) * 1_000_000)
    });
    by_many
        || expected_millionths < 16_000_000 && power_over_factorial(seen, expected_millionths) < IMPROBABLE
}

/// `λᵏ / k!` by [`SCALE`], rounded up; of `k` above 64 the bound for 64, which is larger.
fn power_over_factorial(k: u64, expected_millionths: u128) -> u128 {
    (1..=u128::from(k.min(64))).fold(SCALE, |product, factor| {
        product.saturating_mul(expected_millionths) / (1_000_000 * factor) + 1
    })
}

fn ceil_sqrt(n: u64) -> u64 {
    let root = n.isqrt();
    root + u64::from(root * root < n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The upper tail by its series, from the far end so that small terms are not lost.
    fn poisson_at_least(k: u64, lambda: f64) -> f64 {
        let term = |i: u64| (1..=i).fold((-lambda).exp(), |term, j| term * lambda / j as f64);
        (k..k + 400).rev().map(term).sum()
    }

    fn poisson_at_most(k: u64, lambda: f64) -> f64 {
        let term = |i: u64| (1..=i).fold((-lambda).exp(), |term, j| term * lambda / j as f64);
        (0..=k).map(term).sum()
    }

    #[test]
    fn what_is_called_improbable_is_and_what_is_far_from_it_is_not_called_so() {
        for millionths in [
            1_u128, 17_500, 500_000, 2_000_000, 9_000_000, 30_000_000, 90_000_000,
        ] {
            let lambda = millionths as f64 / 1e6;
            let least = (1..400)
                .find(|k| too_many(*k, millionths))
                .expect("some count is too many");
            assert!(poisson_at_least(least, lambda) < 1e-7, "{least} of {lambda}");
            assert!(
                poisson_at_least(least * 2 / 3, lambda) > 1e-13,
                "{least} of {lambda}"
            );
        }
        for expected in [34, 50, 100, 300, 700] {
            let fewest = fewest(expected);
            assert!(fewest > 0 && poisson_at_most(fewest - 1, expected as f64) < 1e-7);
        }
        assert_eq!([0, 1, 33].map(fewest), [0, 0, 1]);
        assert_eq!(fewest(32), 0, "none at all of 32 is not improbable enough");
        assert!(!too_many(0, 0) && too_many(1, 0) && too_many(u64::MAX, 1));
    }
}
