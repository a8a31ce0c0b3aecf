//! What an objective of an SLO is measured in: budgeting method, time slice, threshold, weight.

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Spanned, lint};
use mainstay_kernel::Ratio;

use super::openslo::{Decimal, Sli, Slo, Target};
use super::{bad, warning};
use crate::reading::{Op, Threshold};
use crate::sli::WEIGHTS_MAX;
use crate::slice::Budgeting;
use crate::window::Duration;

/// OpenSLO's budgeting methods.
pub(super) const METHODS: [&str; 3] = ["Occurrences", "Timeslices", "RatioTimeslices"];

/// Checks the keys of an objective that belong to its method, and those that say nothing there.
pub(super) fn check(document: &Document, slo: &Slo, target: &Target, diagnostics: &mut Diagnostics) {
    let method = slo.budgeting_method.as_str();
    let at = target
        .display_name
        .as_ref()
        .map(|name| name.at)
        .or(target
            .target
            .as_ref()
            .or(target.target_percent.as_ref())
            .map(|share| share.at))
        .unwrap_or(slo.budgeting_method.at);
    let slices = method == "Timeslices" || method == "RatioTimeslices";
    let (slice_target, slice_window) = (&target.time_slice_target, &target.time_slice_window);
    for (lacks, key) in [
        (
            method == "Timeslices" && slice_target.is_none(),
            "timeSliceTarget",
        ),
        (slices && slice_window.is_none(), "timeSliceWindow"),
    ] {
        if lacks {
            let message = format!("{method} needs the key {key:?} in every objective");
            let found = document.diagnostic(lint::MISSING_KEY, at, message);
            diagnostics.push(found.help(format!("add `{key}:`")));
        }
    }
    let idle = [
        slice_target
            .as_ref()
            .filter(|_| method != "Timeslices")
            .map(|key| ("timeSliceTarget", key.at)),
        slice_window
            .as_ref()
            .filter(|_| method == "Occurrences")
            .map(|key| ("timeSliceWindow", key.at)),
    ];
    for (key, at) in idle.into_iter().flatten() {
        let message = format!("`{key}` says nothing about {method}");
        diagnostics.push(warning(document, at, message).help("leave it out, or change the budgetingMethod"));
    }
    if let Some(share) = slice_target {
        let parsed = share.value.0.parse::<Ratio>();
        if !parsed.is_ok_and(|share| share > Ratio::ZERO && share <= Ratio::ONE) {
            let message = format!("{} is no target of a time slice", share.value.0);
            let help = "a timeSliceTarget is above 0 and at most 1";
            diagnostics.push(bad(document, share, message, help));
        }
    }
    if let Some(window) = slice_window {
        let name = method.to_owned();
        let parsed = Duration::parse(window).map(Duration::nominal_ms);
        let checked = parsed.and_then(|width_ms| Budgeting::RatioTimeslices { width_ms }.check(&name));
        if let Err(error) = checked {
            diagnostics.push(bad(document, window, error.to_string(), "such as 1m"));
        }
    }
    if let Some(weight) = &target.composite_weight {
        if weight
            .value
            .0
            .parse::<Ratio>()
            .is_ok_and(|weight| weight > Ratio::ZERO)
        {
            if target.indicator.is_none() && target.indicator_ref.is_none() {
                let message = "`compositeWeight` says nothing where the SLO has one indicator";
                let help = "leave it out, or give each objective its indicator";
                diagnostics.push(warning(document, weight.at, message).help(help));
            }
        } else {
            let message = format!("{} is no weight", weight.value.0);
            diagnostics.push(bad(document, weight, message, "a compositeWeight is above 0"));
        }
    }
}

/// What spends the budget of an objective; `None` where something is wrong with it, which has been said.
pub(super) fn budgeting(slo: &Slo, target: &Target) -> Option<Budgeting> {
    let width_ms = || {
        let window = target.time_slice_window.as_ref()?;
        Duration::parse(window).ok().map(Duration::nominal_ms)
    };
    let budgeting = match slo.budgeting_method.as_str() {
        "Occurrences" => Budgeting::Occurrences,
        "Timeslices" => Budgeting::Timeslices {
            width_ms: width_ms()?,
            target: target.time_slice_target.as_ref()?.value.0.parse().ok()?,
        },
        "RatioTimeslices" => Budgeting::RatioTimeslices {
            width_ms: width_ms()?,
        },
        _ => return None,
    };
    budgeting.check("").is_ok().then_some(budgeting)
}

/// The threshold of an objective whose indicator is one: `Some(None)` where the indicator is none.
pub(super) fn threshold(
    document: &Document,
    sli: &Sli,
    target: &Target,
    at: mainstay_catalog::At,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Threshold>> {
    if sli.threshold_metric.is_none() {
        return Some(None);
    }
    let written = target.op.as_ref().zip(target.value.as_ref());
    let Some((op, value)) = written else {
        let message = "the indicator is a threshold, and the objective does not say which";
        let help = "add `op:` and `value:` to it, such as `op: lt` and `value: 500`";
        diagnostics.push(warning(document, at, message).help(help));
        return None;
    };
    let threshold = Op::parse(op).zip(value.value.0.parse().ok());
    let threshold = threshold.and_then(|(op, value)| Threshold::new(op, value));
    if threshold.is_none() && Op::parse(op).is_some() {
        let message = format!("{:?} is not a number", value.value.0);
        diagnostics.push(bad(document, value, message, "such as 500 or 0.25"));
    }
    threshold.map(Some)
}

/// The weights of a composite as integers in the same proportions; 1 where none is written.
pub(super) fn weights(
    document: &Document,
    weights: &[Option<&Spanned<Decimal>>],
    diagnostics: &mut Diagnostics,
) -> Option<Vec<u64>> {
    let weight = |written: &Option<&Spanned<Decimal>>| match written {
        Some(written) => written
            .value
            .0
            .parse::<Ratio>()
            .ok()
            .filter(|weight| *weight > Ratio::ZERO),
        None => Some(Ratio::ONE),
    };
    let ratios: Option<Vec<Ratio>> = weights.iter().map(weight).collect();
    let ratios = ratios?;
    let integers = in_whole_numbers(&ratios);
    if integers.is_none()
        && let Some(written) = weights.iter().flatten().next()
    {
        let message = "the weights of this composite are too far apart, or have too many digits";
        let help = "their proportions must be those of integers that add up to at most a billion";
        diagnostics.push(bad(document, written, message, help));
    }
    integers
}

fn in_whole_numbers(ratios: &[Ratio]) -> Option<Vec<u64>> {
    let gcd = |a: u64, b: u64| {
        let (mut a, mut b) = (a, b);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    };
    let common = ratios.iter().try_fold(1_u64, |common, ratio| {
        let denominator = ratio.denominator();
        (common / gcd(common, denominator)).checked_mul(denominator)
    })?;
    let scaled = ratios
        .iter()
        .map(|ratio| ratio.numerator().checked_mul(common / ratio.denominator()));
    let scaled: Vec<u64> = scaled.collect::<Option<_>>()?;
    let divisor = scaled.iter().copied().fold(0, gcd).max(1);
    let scaled: Vec<u64> = scaled.into_iter().map(|weight| weight / divisor).collect();
    let sum = scaled
        .iter()
        .try_fold(0_u64, |sum, weight| sum.checked_add(*weight))?;
    (sum <= WEIGHTS_MAX).then_some(scaled)
}

/// The mean of targets by weight, exact; `None` where it fits no 64 bits.
pub(super) fn mean(targets: &[(Ratio, u64)]) -> Option<Ratio> {
    let (mut sum, mut weights) = (Ratio::ZERO, 0_u64);
    for (target, weight) in targets {
        let wide = |number: u64| u128::from(number);
        let (a, b) = (wide(sum.numerator()), wide(sum.denominator()));
        let (c, d) = (
            wide(target.numerator()) * wide(*weight),
            wide(target.denominator()),
        );
        let numerator = a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?;
        sum = crate::exact::reduced(numerator, b.checked_mul(d)?)?;
        weights = weights.checked_add(*weight)?;
    }
    crate::exact::reduced(
        u128::from(sum.numerator()),
        u128::from(sum.denominator()) * u128::from(weights),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> Ratio {
        text.parse().expect("a ratio")
    }

    #[test]
    fn weights_keep_their_proportions() {
        let whole = |texts: &[&str]| {
            let ratios: Vec<Ratio> = texts.iter().map(|text| ratio(text)).collect();
            in_whole_numbers(&ratios)
        };
        assert_eq!(whole(&["1", "1"]), Some(vec![1, 1]));
        assert_eq!(whole(&["0.5", "0.25", "1"]), Some(vec![2, 1, 4]));
        assert_eq!(whole(&["30", "70"]), Some(vec![3, 7]));
        assert_eq!(whole(&["0.0000000001", "1"]), None);
    }

    #[test]
    fn the_target_of_a_composite_is_the_mean_of_its_members() {
        assert_eq!(
            mean(&[(ratio("0.99"), 1), (ratio("0.999"), 2)]),
            Some(ratio("0.996"))
        );
        assert_eq!(mean(&[]), None);
    }
}
