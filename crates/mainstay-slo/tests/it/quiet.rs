//! Quiet tenants: chance alone must not wake anybody.

use std::collections::VecDeque;

use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::Counts;
use mainstay_slo::burn::{BurnPolicy, BurnReading};

const HOUR_MS: f64 = 3_600_000.0;
const YEAR_MS: f64 = 365.0 * 24.0 * HOUR_MS;

/// Between 0 and 1, neither of them.
fn unit(entropy: &SeededEntropy) -> f64 {
    (entropy.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON
}

/// A Poisson count by its normal limit, and by waiting times where it is small.
fn poisson(entropy: &SeededEntropy, mean: f64) -> u64 {
    if mean > 50.0 {
        let normal: f64 = (0..12).map(|_| unit(entropy)).sum::<f64>() - 6.0;
        return (mean + normal * mean.sqrt()).max(0.0).round() as u64;
    }
    let mut waited = -unit(entropy).ln();
    let mut count = 0;
    while waited < mean {
        waited += -unit(entropy).ln();
        count += 1;
    }
    count
}

/// How often the paging pairs fire in a year of a tenant whose every request fails with just the probability that the
/// target allows. A pair can begin to fire only after a failure, so only failures are looked at; the good requests of
/// each window are drawn anew, which varies more than they do.
fn false_pages(entropy: &SeededEntropy, per_hour: f64, target: &str) -> u32 {
    let target: mainstay_kernel::Ratio = target.parse().expect("a target");
    let allowed = target.complement().expect("a share").to_f64();
    let (mut now, mut pages) = (0.0, 0);
    let mut failures: VecDeque<f64> = VecDeque::new();
    let mut quiet_until = 0.0;
    loop {
        now += -unit(entropy).ln() * HOUR_MS / (per_hour * allowed);
        if now > YEAR_MS {
            return pages;
        }
        failures.push_back(now);
        while failures
            .front()
            .is_some_and(|failure| *failure <= now - 6.0 * HOUR_MS)
        {
            failures.pop_front();
        }
        // Six times the usual over six hours is more than twice it, whatever chance does to the good ones.
        let twice_usual = 2.0 * per_hour * allowed * 6.0;
        if failures.len() < 5 || (failures.len() as f64) < twice_usual || now < quiet_until {
            continue;
        }
        let window = |back_ms: i64| {
            let bad = failures
                .iter()
                .filter(|failure| **failure > now - back_ms as f64)
                .count() as u64;
            let good = poisson(entropy, per_hour * (1.0 - allowed) * back_ms as f64 / HOUR_MS);
            Counts {
                bad,
                total: bad + good,
            }
        };
        for pair in BurnPolicy::workbook()
            .pairs
            .into_iter()
            .filter(|pair| pair.severity.pages())
        {
            let reading = BurnReading {
                pair,
                long: window(pair.long_ms),
                short: window(pair.short_ms),
                bad_events: Some(window(pair.long_ms).bad),
                firing_since_ms: None,
            };
            if reading.starts(target) {
                pages += 1;
                quiet_until = now + pair.short_ms as f64;
            }
        }
    }
}

#[test]
fn a_thousand_quiet_tenants_have_less_than_one_false_page_a_year_each() {
    let entropy = SeededEntropy::new(27);
    let mut pages = 0;
    for tenant in 0..1_000_u32 {
        let per_hour = [2.0, 10.0, 40.0, 100.0, 300.0][tenant as usize % 5];
        let target = ["95%", "99%", "99.5%", "99.9%", "99.95%"][tenant as usize / 5 % 5];
        pages += false_pages(&entropy, per_hour, target);
    }
    assert!(pages <= 10, "{pages} pages in a thousand years of tenants");
}

#[test]
fn the_guard_costs_a_real_outage_of_a_quiet_tenant_a_few_failures() {
    let target: mainstay_kernel::Ratio = "99.9%".parse().expect("a target");
    let pair = BurnPolicy::workbook().pairs[0];
    let fires = |bad: u64, total: u64| {
        let counts = Counts { bad, total };
        let reading = BurnReading {
            pair,
            long: counts,
            short: counts,
            bad_events: Some(bad),
            firing_since_ms: None,
        };
        reading.starts(target)
    };
    // 100 requests an hour, all of which fail from now on.
    let first = (1..100).find(|bad| fires(*bad, 100 + bad)).expect("it fires");
    assert_eq!(first, 6, "one more than the least that is asked for anyway");
}
