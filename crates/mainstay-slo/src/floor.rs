//! The traffic that a group has at least: silence that nobody asked for is an outage that no counter sees.

use crate::chance;

/// How little traffic is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficFloor {
    /// Less than half of what the least of the preceding four weeks had around this time, and that too improbable to be
    /// chance: a group that is idle at this hour has no floor.
    Auto,
    /// Fewer events a minute than this.
    PerMinute(u64),
}

/// How long traffic is looked at, and so how long it is too low before it alerts: 2 min, in milliseconds.
pub const FLOOR_WINDOW_MS: i64 = 2 * 60_000;

/// How many weeks `auto` learns from.
pub(crate) const WEEKS: i64 = 4;
/// How many of them must be known: one alone may have been a strange one.
const KNOWN_WEEKS_MIN: usize = 2;
pub(crate) const WEEK_MS: i64 = 7 * 86_400_000;
/// What is compared of each week: slices of a quarter of an hour, the coarsest that are kept.
pub(crate) const QUARTER_MS: i64 = 15 * 60_000;
/// So many quarters before and after the one that is now: an hour, so that the change to summer time and the slope of a
/// morning are within what is usual.
pub(crate) const QUARTERS_AROUND: i64 = 4;

impl TrafficFloor {
    /// Reads `auto` or `N per minute`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let number = text.strip_suffix("per minute")?.trim_end();
        number.parse().ok().filter(|n| *n > 0).map(Self::PerMinute)
    }

    /// The fewest events that a stretch of so many milliseconds must have; 0: there is no floor now. `usual` are the least
    /// events of a quarter of an hour in each known week.
    #[must_use]
    pub(crate) fn least(self, length_ms: i64, usual: &[u64]) -> u64 {
        match self {
            Self::PerMinute(number) => scaled(number, length_ms, 60_000),
            Self::Auto if usual.len() < KNOWN_WEEKS_MIN => 0,
            Self::Auto => {
                let least = usual.iter().min().copied().unwrap_or(0);
                chance::fewest(scaled(least, length_ms, QUARTER_MS) / 2)
            }
        }
    }
}

/// `count` events of `whole_ms`, as so many in `part_ms`.
pub(crate) fn scaled(count: u64, part_ms: i64, whole_ms: i64) -> u64 {
    let part = u128::from(count) * u128::from(part_ms.unsigned_abs());
    u64::try_from(part / u128::from(whole_ms.unsigned_abs().max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::testing::SeededEntropy;

    use super::*;

    #[test]
    fn a_floor_is_read_as_it_is_written() {
        assert_eq!(TrafficFloor::parse("auto"), Some(TrafficFloor::Auto));
        assert_eq!(
            TrafficFloor::parse("120 per minute"),
            Some(TrafficFloor::PerMinute(120))
        );
        for text in ["", "0 per minute", "12", "-1 per minute", "12 per hour"] {
            assert_eq!(TrafficFloor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn idle_hours_and_unknown_weeks_have_no_floor() {
        let least = |usual: &[u64]| TrafficFloor::Auto.least(FLOOR_WINDOW_MS, usual);
        assert_eq!(least(&[90_000]), 0, "one week is none");
        assert_eq!(least(&[90_000, 0, 90_000, 90_000]), 0, "idle in one of the weeks");
        assert_eq!(least(&[400, 400, 400, 400]), 0, "53 in two minutes can be chance");
        // 6,000 a minute at least: half of two minutes of it less what chance takes.
        assert_eq!(least(&[90_000, 99_000]), 6_000 - 445 + 1);
    }

    /// Events of each minute of five weeks and a year: a day's curve, calm weekends, days that differ by a sixth either
    /// way, and chance.
    fn minutes(entropy: &SeededEntropy, busiest_a_minute: f64) -> Vec<u64> {
        let unit = || (entropy.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut minutes = Vec::with_capacity(400 * 1_440);
        for day in 0..400 {
            let weekend = if day % 7 > 4 { 0.4 } else { 1.0 };
            let level = busiest_a_minute * weekend * (0.83 + unit() / 3.0);
            for minute in 0..1_440 {
                let hour = f64::from(minute) / 60.0;
                let curve = 0.05 + 0.95 * ((hour - 4.0) / 24.0 * std::f64::consts::PI).sin().powi(2);
                let mean = level * curve;
                let normal = (0..12).map(|_| unit()).sum::<f64>() - 6.0;
                let chance = if mean > 30.0 {
                    (mean + normal * mean.sqrt()).max(0.0).round()
                } else {
                    let (mut product, mut count) = (unit(), 0.0);
                    while product > (-mean).exp() {
                        product *= unit();
                        count += 1.0;
                    }
                    count
                };
                minutes.push(chance as u64);
            }
        }
        minutes
    }

    #[test]
    fn a_year_of_ordinary_days_has_no_false_page_per_tenant() {
        const QUARTERS_A_WEEK: usize = 7 * 96;
        let entropy = SeededEntropy::new(4);
        let tenants = [3.0, 20.0, 60.0, 150.0, 500.0, 3_000.0];
        let mut pages = 0;
        for busiest in tenants {
            let minutes = minutes(&entropy, busiest);
            let quarters: Vec<u64> = minutes.chunks(15).map(|quarter| quarter.iter().sum()).collect();
            let mut was_low = false;
            for now in 35 * 1_440..minutes.len() {
                let usual: Vec<u64> = (1..=WEEKS as usize)
                    .map(|week| {
                        let quarter = now / 15 - week * QUARTERS_A_WEEK;
                        let around = QUARTERS_AROUND as usize;
                        quarters[quarter - around..=quarter + around]
                            .iter()
                            .min()
                            .copied()
                            .unwrap_or(0)
                    })
                    .collect();
                let least = TrafficFloor::Auto.least(FLOOR_WINDOW_MS, &usual);
                let is_low = minutes[now - 1] + minutes[now] < least;
                pages += u32::from(is_low && !was_low);
                was_low = is_low;
            }
        }
        assert!(
            pages <= tenants.len() as u32,
            "{pages} in as many years as there are tenants"
        );
    }
}
