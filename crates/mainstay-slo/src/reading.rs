//! From the raw samples of a gauge or of a finished ratio to events: every sample is one.
//!
//! A gauge's sample is bad where it does not keep its [`Threshold`]. A finished ratio's sample is partly bad: its share is
//! read to a billionth and kept in whole millionths ([`MILLION`]), what is bad rounded up, so that a sum of `n` samples is
//! at most `n` millionths of a sample worse than the truth and never better.
//!
//! As for counters, the order of arrival changes nothing: two samples of one instant are one (the first one received
//! holds), and a sample later than [`Lateness::window_ms`] is refused and counted as such. NaN is unknown and therefore no
//! event; so is a share that is none (outside 0 to 1 by more than a billionth).

use mainstay_kernel::is_stale;

use crate::counter::{LATEST_MS, Lateness, RECENT_MAX, Verdict};
use crate::sli::Marked;

/// What a whole sample, or a whole time slice, is where only a share of it is bad.
pub const MILLION: u64 = 1_000_000;

/// How a gauge is held against a value: the words of OpenSLO's `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// At most.
    Lte,
    /// At least.
    Gte,
    /// Below.
    Lt,
    /// Above.
    Gt,
}

impl Op {
    /// Reads `lte`, `gte`, `lt` or `gt`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "lte" => Some(Self::Lte),
            "gte" => Some(Self::Gte),
            "lt" => Some(Self::Lt),
            "gt" => Some(Self::Gt),
            _ => None,
        }
    }

    /// OpenSLO's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lte => "lte",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Gt => "gt",
        }
    }

    /// The sign, as PromQL has it.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Lte => "<=",
            Self::Gte => ">=",
            Self::Lt => "<",
            Self::Gt => ">",
        }
    }

    /// What holds exactly where this does not.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Lte => Self::Gt,
            Self::Gte => Self::Lt,
            Self::Lt => Self::Gte,
            Self::Gt => Self::Lte,
        }
    }
}

/// What a good sample of a gauge keeps, such as `< 500`. Values are compared as they were sampled, without rounding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    op: Op,
    value: f64,
}

/// A threshold is never NaN.
impl Eq for Threshold {}

impl Threshold {
    /// `None` where the value is not a finite number.
    #[must_use]
    pub fn new(op: Op, value: f64) -> Option<Self> {
        value.is_finite().then_some(Self { op, value })
    }

    /// The comparison.
    #[must_use]
    pub fn op(self) -> Op {
        self.op
    }

    /// What is compared with.
    #[must_use]
    pub fn value(self) -> f64 {
        self.value
    }

    /// Whether a sample is good.
    #[must_use]
    pub fn is_kept_by(self, sample: f64) -> bool {
        match self.op {
            Op::Lte => sample <= self.value,
            Op::Gte => sample >= self.value,
            Op::Lt => sample < self.value,
            Op::Gt => sample > self.value,
        }
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.op.sign(), self.value)
    }
}

/// How much of a sample is bad, in millionths, where the sample is the marked share of something; `None` where it is no
/// share.
#[must_use]
pub fn bad_millionths(sample: f64, marked: Marked) -> Option<u64> {
    const BILLION: f64 = 1e9;
    let billionths = (sample * BILLION).round();
    if !(-1.0..=BILLION + 1.0).contains(&billionths) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to a billion"
    )]
    let marked_billionths = billionths.clamp(0.0, BILLION) as u64;
    Some(match marked {
        Marked::Bad => marked_billionths.div_ceil(1_000),
        Marked::Good => MILLION - marked_billionths / 1_000,
    })
}

/// The last samples of one gauge, oldest first: as many as are needed to know a repeated one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Readings {
    /// When, in milliseconds since the epoch, and the bits of the value.
    pub(crate) recent: Vec<(i64, u64)>,
    /// Whether older ones were let go: nothing can be put before the first one any more.
    pub(crate) trimmed: bool,
}

impl Readings {
    /// Takes a sample in; [`Verdict::Counted`]: it is an event of its instant.
    pub(crate) fn on_sample(&mut self, t_ms: i64, value: f64, lateness: Lateness) -> Verdict {
        if is_stale(value) {
            return Verdict::Stale;
        }
        if value.is_nan() || !(0..LATEST_MS).contains(&t_ms) {
            return Verdict::NotACount;
        }
        let bits = value.to_bits();
        let place = self.recent.partition_point(|(other_ms, _)| *other_ms < t_ms);
        if let Some((_, same)) = self.recent.get(place).filter(|(other_ms, _)| *other_ms == t_ms) {
            return if *same == bits {
                Verdict::Duplicate
            } else {
                Verdict::Conflict
            };
        }
        let too_late = self
            .recent
            .last()
            .is_some_and(|(newest_ms, _)| t_ms <= newest_ms.saturating_sub(lateness.window_ms));
        if too_late || (place == 0 && self.trimmed) {
            return Verdict::TooLate;
        }
        self.recent.insert(place, (t_ms, bits));
        let newest_ms = self.recent.last().map_or(t_ms, |(newest_ms, _)| *newest_ms);
        let edge_ms = newest_ms.saturating_sub(lateness.window_ms);
        let outside = self.recent.partition_point(|(other_ms, _)| *other_ms <= edge_ms);
        // One before the window is kept: what comes to lie after it cannot have been there before.
        let excess = outside
            .saturating_sub(1)
            .max(self.recent.len().saturating_sub(RECENT_MAX));
        if excess > 0 {
            self.recent.drain(..excess);
            self.trimmed = true;
        }
        Verdict::Counted
    }

    /// The newest sample's time.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.recent.last().map(|(t_ms, _)| *t_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: Lateness = Lateness {
        window_ms: 600_000,
        forget_ms: 86_400_000,
    };

    #[test]
    fn a_threshold_compares_to_the_last_bit() {
        let holds =
            |op, sample| Threshold::new(op, 0.3).is_some_and(|threshold| threshold.is_kept_by(sample));
        // 0.1 + 0.2 is the next float above 0.3.
        assert!(holds(Op::Gt, 0.1 + 0.2) && !holds(Op::Lte, 0.1 + 0.2));
        assert!(holds(Op::Lte, 0.3) && !holds(Op::Lt, 0.3) && holds(Op::Gte, 0.3) && !holds(Op::Gt, 0.3));
        assert!(holds(Op::Gt, f64::INFINITY));
        assert_eq!(Threshold::new(Op::Lt, f64::NAN), None);
        for op in [Op::Lte, Op::Gte, Op::Lt, Op::Gt] {
            assert_eq!(Op::parse(op.word()), Some(op));
            for sample in [0.2, 0.3, 0.4] {
                assert_ne!(holds(op, sample), holds(op.opposite(), sample), "{op:?} {sample}");
            }
        }
    }

    #[test]
    fn shares_are_read_as_they_were_written_and_rounded_against_us() {
        for (sample, bad) in [
            (0.0005, 500),
            (0.000_000_1, 1),
            (1.0 / 3.0, 333_334),
            (0.0, 0),
            (1.0, MILLION),
        ] {
            assert_eq!(bad_millionths(sample, Marked::Bad), Some(bad), "{sample}");
        }
        for (sample, bad) in [
            (0.9995, 500),
            (1.0, 0),
            (1.0 + f64::EPSILON, 0),
            (2.0 / 3.0, 333_334),
        ] {
            assert_eq!(bad_millionths(sample, Marked::Good), Some(bad), "{sample}");
        }
        for none in [f64::NAN, f64::INFINITY, -0.1, 1.1, 95.0] {
            assert_eq!(bad_millionths(none, Marked::Good), None, "{none}");
        }
    }

    #[test]
    fn a_sample_counts_once_whenever_it_comes() {
        let mut readings = Readings::default();
        let mut feed = |t_ms, value| readings.on_sample(t_ms, value, LATENESS);
        assert_eq!(feed(20_000, 5.5), Verdict::Counted);
        assert_eq!(feed(50_000, 6.5), Verdict::Counted);
        assert_eq!(feed(35_000, -1.0), Verdict::Counted);
        assert_eq!(feed(35_000, -1.0), Verdict::Duplicate);
        assert_eq!(feed(35_000, 1.0), Verdict::Conflict);
        assert_eq!(feed(60_000, f64::NAN), Verdict::NotACount);
        assert_eq!(feed(60_000, mainstay_kernel::STALE_NAN), Verdict::Stale);
        assert_eq!(feed(5_000_000, 1.0), Verdict::Counted);
        assert_eq!(feed(4_400_000, 1.0), Verdict::TooLate);
        assert_eq!(feed(4_400_001, 1.0), Verdict::Counted);
        for t_ms in 5_000_001..5_000_100 {
            assert_eq!(feed(t_ms, 1.0), Verdict::Counted);
        }
        assert_eq!(
            feed(4_400_002, 1.0),
            Verdict::TooLate,
            "what was there is forgotten"
        );
        assert_eq!(readings.last_ms(), Some(5_000_099));
    }
}
