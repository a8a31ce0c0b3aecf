//! A token bucket of samples: whole numbers only, and the time is told to it.

use super::limits::{NO_LIMIT, TenantLimits};

/// How much of a bucket a limit on the rate fills if nothing is said of bursts, in seconds.
const BURST_S: u64 = 10;
/// The longest that anybody is told to wait, in seconds.
const WAIT_MAX_S: u64 = 60;
/// The parts that a sample is counted in: what a rate of 1 a second gives in a millisecond is one of them.
const PARTS: u128 = 1_000;

/// How much of a bucket is taken. It begins full.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    /// Thousandths of samples that are taken and not given back yet.
    taken: u128,
    at_ms: i64,
}

/// Why samples are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMany {
    /// Not now.
    Wait {
        /// After how many seconds there is room for them.
        retry_after_s: u64,
    },
    /// The bucket never has room for so many.
    Never {
        /// How many it holds.
        burst: u64,
    },
}

impl Bucket {
    /// Takes `samples`, all or none.
    pub(super) fn take(&mut self, samples: u64, limits: &TenantLimits, now_ms: i64) -> Result<(), TooMany> {
        let rate = limits.samples_per_s;
        if rate == NO_LIMIT {
            *self = Self::default();
            return Ok(());
        }
        let burst = match limits.burst_samples {
            NO_LIMIT => rate.saturating_mul(BURST_S),
            burst => burst,
        };
        if samples > burst {
            return Err(TooMany::Never { burst });
        }
        // A clock that is set back gives nothing, and takes nothing either.
        let passed_ms = u128::from(now_ms.saturating_sub(self.at_ms).max(0).unsigned_abs());
        self.taken = self.taken.saturating_sub(passed_ms * u128::from(rate));
        self.at_ms = now_ms;
        if samples == 0 {
            return Ok(());
        }
        let after = self.taken + u128::from(samples) * PARTS;
        let over = after.saturating_sub(u128::from(burst) * PARTS);
        if over == 0 {
            self.taken = after;
            return Ok(());
        }
        // Without a rate nothing is ever given back.
        let wait_s = if rate == 0 {
            u128::MAX
        } else {
            over.div_ceil(u128::from(rate) * PARTS)
        };
        Err(TooMany::Wait {
            retry_after_s: u64::try_from(wait_s).unwrap_or(WAIT_MAX_S).clamp(1, WAIT_MAX_S),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(samples_per_s: u64, burst_samples: u64) -> TenantLimits {
        TenantLimits {
            samples_per_s,
            burst_samples,
            ..TenantLimits::default()
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (mut bucket, limits) = (Bucket::default(), limits(100, 250));
        assert_eq!(bucket.take(200, &limits, 1_000_000), Ok(()));
        assert_eq!(bucket.take(50, &limits, 1_000_000), Ok(()));
        let wait = |retry_after_s| Err(TooMany::Wait { retry_after_s });
        assert_eq!(bucket.take(1, &limits, 1_000_000), wait(1));
        assert_eq!(bucket.take(250, &limits, 1_000_000), wait(3));
        // What was refused took nothing.
        assert_eq!(bucket.take(1, &limits, 1_000_010), Ok(()));
        assert_eq!(bucket.take(1, &limits, 1_000_010), wait(1));
        assert_eq!(bucket.take(250, &limits, 1_002_510), Ok(()));
        assert_eq!(
            bucket.take(251, &limits, 9_000_000),
            Err(TooMany::Never { burst: 250 })
        );
    }

    #[test]
    fn over_any_time_no_more_than_the_rate_and_one_burst_passes() {
        let (mut bucket, limits) = (Bucket::default(), limits(1_000, 5_000));
        let (mut now_ms, mut passed) = (0i64, 0u64);
        for step in 0..20_000u64 {
            now_ms += i64::try_from(step % 7).expect("small");
            let samples = 1 + step % 41;
            if bucket.take(samples, &limits, now_ms).is_ok() {
                passed += samples;
            }
        }
        let most = 5_000 + now_ms.unsigned_abs();
        assert!(passed <= most && passed + 100 > most, "{passed} of {most}");
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(u64::MAX, &limits(NO_LIMIT, 1), 5), Ok(()));
        assert_eq!(bucket.take(1, &limits(0, 0), 5), Err(TooMany::Never { burst: 0 }));
        assert_eq!(bucket.take(1, &limits(0, 1), 5), Ok(()));
        assert_eq!(
            bucket.take(1, &limits(0, 1), i64::MAX),
            Err(TooMany::Wait { retry_after_s: 60 })
        );
        assert_eq!(bucket.take(0, &limits(0, 0), i64::MIN), Ok(()));
        let most = limits(NO_LIMIT - 1, NO_LIMIT - 1);
        assert_eq!(bucket.take(NO_LIMIT - 1, &most, i64::MAX), Ok(()));
    }
}
