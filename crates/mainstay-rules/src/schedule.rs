//! When a group is evaluated: every interval, at an offset of its own, so that groups spread over time.

use mainstay_kernel::Digest;

/// The times of a group: `offset_ms`, `offset_ms + interval_ms` and so on, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds between evaluations, at least 1.
    pub interval_ms: i64,
    /// Where in the interval, `0 <= offset_ms < interval_ms`.
    pub offset_ms: i64,
}

impl Schedule {
    /// The schedule of a group: its offset comes from its file and name alone, so a restart does not move it.
    #[must_use]
    pub fn of(file: &str, group: &str, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let digest = Digest::of_parts(&[file.as_bytes(), group.as_bytes()]).to_string();
        let hash = digest.bytes().fold(0_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let offset = hash % interval_ms.unsigned_abs();
        Self {
            interval_ms,
            offset_ms: i64::try_from(offset).unwrap_or_default(),
        }
    }

    /// The first time after `now_ms`.
    #[must_use]
    pub fn next_after(self, now_ms: i64) -> i64 {
        self.latest_at(now_ms) + self.interval_ms
    }

    /// The last time that is not after `now_ms`: what a late evaluation is an evaluation of.
    #[must_use]
    pub fn latest_at(self, now_ms: i64) -> i64 {
        (now_ms - self.offset_ms).div_euclid(self.interval_ms) * self.interval_ms + self.offset_ms
    }

    /// How many evaluations lie between two that were made.
    #[must_use]
    pub fn missed_between(self, before_ms: i64, at_ms: i64) -> u64 {
        let intervals = (at_ms - before_ms).max(0) / self.interval_ms;
        u64::try_from(intervals - 1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_repeat_at_the_offset() {
        let schedule = Schedule::of("rules.yml", "payments", 30_000);
        assert!((0..30_000).contains(&schedule.offset_ms));
        assert_eq!(schedule, Schedule::of("rules.yml", "payments", 30_000));
        let next = schedule.next_after(1_000_000);
        assert!(next > 1_000_000 && next <= 1_030_000);
        assert_eq!(schedule.next_after(next), next + 30_000);
        assert_eq!(schedule.latest_at(next + 29_999), next);
        assert_eq!(schedule.missed_between(next, next + 30_000), 0);
        assert_eq!(schedule.missed_between(next, next + 120_000), 3);
        assert_ne!(schedule, Schedule::of("rules.yml", "slo", 30_000));
    }
}
