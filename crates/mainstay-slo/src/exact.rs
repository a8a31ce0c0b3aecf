//! Comparing products of integers without rounding and without overflow: `bad × denominator` against
//! `factor × budget × total` needs more than 128 bits in the worst case.

use std::cmp::Ordering;

use mainstay_kernel::Ratio;

/// The most factors a side may have.
const FACTORS: usize = 6;

/// Compares the product of `left` with the product of `right`, exactly. Each side has at most six factors.
#[must_use]
pub(crate) fn compare_products(left: &[u64], right: &[u64]) -> Ordering {
    if let Some((left, right)) = small_product(left).zip(small_product(right)) {
        return left.cmp(&right);
    }
    let (left, right) = (product(left), product(right));
    left.iter().rev().cmp(right.iter().rev())
}

/// Little-endian limbs of a product.
fn product(factors: &[u64]) -> [u64; FACTORS] {
    debug_assert!(factors.len() <= FACTORS, "one limb per factor");
    let mut limbs = [0_u64; FACTORS];
    limbs[0] = 1;
    for factor in factors {
        let mut carry = 0_u128;
        for limb in &mut limbs {
            let wide = u128::from(*limb) * u128::from(*factor) + carry;
            *limb = (wide & u128::from(u64::MAX)) as u64;
            carry = wide >> 64;
        }
    }
    limbs
}

/// The greatest integer `n` with `n × units ≤ limit`, both of them products; `None` where a product does not fit 128
/// bits or is 0 where it must not be.
#[must_use]
pub(crate) fn most_up_to(limit: &[u64], units: &[u64]) -> Option<u64> {
    let most = small_product(limit)?.checked_div(small_product(units)?)?;
    Some(u64::try_from(most).unwrap_or(u64::MAX))
}

/// The greatest integer `n` with `n × units < limit`, or 0 if there is none; `None` as for [`most_up_to`].
#[must_use]
pub(crate) fn most_below(limit: &[u64], units: &[u64]) -> Option<u64> {
    let below = small_product(limit)?.saturating_sub(1);
    let most = below.checked_div(small_product(units)?)?;
    Some(u64::try_from(most).unwrap_or(u64::MAX))
}

/// A product, or `None` where it does not fit 128 bits.
pub(crate) fn small_product(factors: &[u64]) -> Option<u128> {
    let mut factors = factors.iter().map(|factor| u128::from(*factor));
    factors.try_fold(1_u128, u128::checked_mul)
}

/// `numerator / denominator` in lowest terms, or `None` where the denominator is 0 or a part does not fit 64 bits.
#[must_use]
pub(crate) fn reduced(numerator: u128, denominator: u128) -> Option<Ratio> {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    let numerator = u64::try_from(numerator / divisor).ok()?;
    let denominator = u64::try_from(denominator / divisor).ok()?;
    Ratio::new(numerator, denominator).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_the_greatest_that_is_not_too_many() {
        assert_eq!(most_up_to(&[6, 7], &[5]), Some(8));
        assert_eq!(most_up_to(&[40], &[5]), Some(8));
        assert_eq!(most_below(&[40], &[5]), Some(7));
        assert_eq!(most_below(&[41], &[5]), Some(8));
        assert_eq!(
            (most_up_to(&[0], &[5]), most_below(&[0], &[5])),
            (Some(0), Some(0))
        );
        assert_eq!(most_up_to(&[u64::MAX; 3], &[1]), None);
        assert_eq!(most_up_to(&[1], &[0]), None);
    }

    #[test]
    fn products_beyond_128_bits_are_compared_to_the_last_unit() {
        let m = u64::MAX;
        assert_eq!(compare_products(&[m, m, m], &[m, m, m]), Ordering::Equal);
        assert_eq!(compare_products(&[m, m, m], &[m, m, m - 1]), Ordering::Greater);
        assert_eq!(compare_products(&[m - 1, m, m, m], &[m, m, m, m]), Ordering::Less);
        assert_eq!(compare_products(&[0, m], &[0]), Ordering::Equal);
        assert_eq!(compare_products(&[6, 7], &[42]), Ordering::Equal);
    }
}
