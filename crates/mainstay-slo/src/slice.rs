//! What a unit of budget is: an event, a time slice, or a share of one.
//!
//! Time slices divide time from the epoch on, in UTC, whatever the zone of a window: a slice is open on the left, closed on
//! the right, and counts at its end, so that one which reaches into the next month belongs to that month. A slice was *seen*
//! if a sample of its group was taken in it, or if it lies between two samples that are no further apart than a gap may
//! be. Each seen slice counts once:
//!
//! - [`Budgeting::Timeslices`]: good where the share of good events in it is at least the slice's target, compared as
//!   integers; without events it is good;
//! - [`Budgeting::RatioTimeslices`]: by the share of its bad events, in millionths, rounded up: a sum of `n` slices is at
//!   most `n` millionths of a slice worse than the truth and never better; without events nothing of it is bad.
//!
//! A slice that was not seen is unknown: neither good nor bad, and no part of the total. A late sample judges its slice
//! anew, as long as samples can be told apart by slices: for 4 days.

use mainstay_kernel::Ratio;

use crate::burn::window_text;
use crate::error::SloError;
use crate::exact::{compare_products, reduced};
use crate::prefix::SLICE_MS;
use crate::reading::MILLION;
use crate::sli::Events;
use crate::tally::Counts;

/// What the parts of a composite add up to where all of them are bad.
pub const BILLION: u64 = 1_000_000_000;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What spends budget: OpenSLO's budgeting methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "method")]
pub enum Budgeting {
    /// Every event counts the same.
    Occurrences,
    /// Every time slice counts the same, and is good or bad.
    Timeslices {
        /// The width of a slice, in milliseconds.
        width_ms: i64,
        /// The least share of good events of a good slice; above 0.
        target: Ratio,
    },
    /// Every time slice counts the same, as far as it is bad.
    RatioTimeslices {
        /// The width of a slice, in milliseconds.
        width_ms: i64,
    },
}

impl Budgeting {
    /// How wide its slices are, in milliseconds; `None`: it has none.
    #[must_use]
    pub fn width_ms(self) -> Option<i64> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { width_ms, .. } | Self::RatioTimeslices { width_ms } => Some(width_ms),
        }
    }

    /// Checks what no document schema can; `name` is whose it is.
    ///
    /// # Errors
    /// If its slices cannot be kept apart, or are good whatever happens.
    pub fn check(self, name: &str) -> Result<(), SloError> {
        let sound = self.width_ms().is_none_or(|width_ms| {
            let fine = (SLICE_MS..=HOUR_MS).contains(&width_ms) && width_ms % SLICE_MS == 0;
            let wide = (HOUR_MS..=DAY_MS).contains(&width_ms) && width_ms % MINUTE_MS == 0;
            fine || wide
        });
        if !sound {
            return Err(SloError::BadSlice {
                name: name.to_owned(),
                width_ms: self.width_ms().unwrap_or_default(),
            });
        }
        match self {
            Self::Timeslices { target, .. } if target == Ratio::ZERO || target > Ratio::ONE => {
                Err(SloError::BadSliceTarget {
                    name: name.to_owned(),
                    target: target.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// What a seen slice of these events counts as.
    pub(crate) fn judge(self, events: Counts) -> Counts {
        let good = events.total.saturating_sub(events.bad);
        match self {
            Self::Occurrences => events,
            Self::Timeslices { target, .. } => {
                let is_good = events.total == 0
                    || compare_products(&[good, target.denominator()], &[events.total, target.numerator()])
                        .is_ge();
                Counts {
                    bad: u64::from(!is_good),
                    total: 1,
                }
            }
            Self::RatioTimeslices { .. } => Counts {
                bad: share_up(events, MILLION),
                total: MILLION,
            },
        }
    }
}

/// The bad share of events in parts of `whole`, rounded up; 0 without events.
pub(crate) fn share_up(events: Counts, whole: u64) -> u64 {
    if events.total == 0 {
        return 0;
    }
    let bad = u128::from(events.bad.min(events.total)) * u128::from(whole);
    // At most `whole`.
    u64::try_from(bad.div_ceil(u128::from(events.total))).unwrap_or(whole)
}

/// What the integers of an objective's counts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "unit")]
pub enum Unit {
    /// Events, such as requests.
    Events,
    /// Samples of a gauge.
    Samples,
    /// Millionths of samples of a finished ratio.
    SampleMillionths,
    /// Time slices.
    Slices {
        /// How wide they are, in milliseconds.
        width_ms: i64,
    },
    /// Millionths of time slices.
    SliceMillionths {
        /// How wide they are, in milliseconds.
        width_ms: i64,
    },
    /// Billionths of all that the members of a composite count.
    Billionths,
}

impl Unit {
    /// What an objective of these events counts in.
    #[must_use]
    pub fn of(events: &Events, budgeting: Budgeting) -> Self {
        match (events, budgeting) {
            (Events::Composite(_), _) => Self::Billionths,
            (_, Budgeting::Timeslices { width_ms, .. }) => Self::Slices { width_ms },
            (_, Budgeting::RatioTimeslices { width_ms }) => Self::SliceMillionths { width_ms },
            (Events::Gauge(_), Budgeting::Occurrences) => Self::Samples,
            (Events::Share(_), Budgeting::Occurrences) => Self::SampleMillionths,
            (_, Budgeting::Occurrences) => Self::Events,
        }
    }

    /// How many of the unit one whole thing is: one event, one sample, one slice.
    #[must_use]
    pub fn whole(self) -> u64 {
        match self {
            Self::Events | Self::Samples | Self::Slices { .. } => 1,
            Self::SampleMillionths | Self::SliceMillionths { .. } => MILLION,
            Self::Billionths => BILLION,
        }
    }

    /// How many events, samples, minutes or percent a count is, exact; `None` where that fits no 64 bits.
    #[must_use]
    pub fn amount(self, count: u64) -> Option<Ratio> {
        let count = u128::from(count);
        let minutes = |width_ms: i64, parts: u64| {
            reduced(
                count * u128::from(width_ms.unsigned_abs()),
                u128::from(MINUTE_MS.unsigned_abs()) * u128::from(parts),
            )
        };
        match self {
            Self::Events | Self::Samples => reduced(count, 1),
            Self::SampleMillionths => reduced(count, u128::from(MILLION)),
            Self::Slices { width_ms } => minutes(width_ms, 1),
            Self::SliceMillionths { width_ms } => minutes(width_ms, MILLION),
            Self::Billionths => reduced(count * 100, u128::from(BILLION)),
        }
    }

    /// What an [`Unit::amount`] is of.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Samples | Self::SampleMillionths => "samples",
            Self::Slices { .. } | Self::SliceMillionths { .. } => "minutes",
            Self::Billionths => "percent",
        }
    }

    /// `12 of 43,200 minutes`, each number written by `number`.
    #[must_use]
    pub fn part_of(self, counts: Counts, number: impl Fn(Ratio) -> String) -> String {
        let amount = |count| self.amount(count).map_or_else(|| "?".to_owned(), &number);
        format!(
            "{} of {} {}",
            amount(counts.bad),
            amount(counts.total),
            self.noun()
        )
    }
}

impl std::fmt::Display for Unit {
    /// `events`, `minutes`, `slices of 5m`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slices { width_ms } => write!(f, "time slices of {}", window_text(*width_ms)),
            Self::SliceMillionths { width_ms } => {
                write!(f, "millionths of time slices of {}", window_text(*width_ms))
            }
            Self::SampleMillionths => f.write_str("millionths of samples"),
            Self::Billionths => f.write_str("billionths of the whole"),
            Self::Events | Self::Samples => f.write_str(self.noun()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bad: u64, total: u64) -> Counts {
        Counts { bad, total }
    }

    #[test]
    fn a_slice_at_its_target_is_good_and_one_without_events_too() {
        let minute = Budgeting::Timeslices {
            width_ms: MINUTE_MS,
            target: "95%".parse().expect("a share"),
        };
        assert_eq!(minute.judge(counts(5, 100)), counts(0, 1));
        assert_eq!(minute.judge(counts(6, 100)), counts(1, 1));
        assert_eq!(minute.judge(counts(0, 0)), counts(0, 1));
        assert_eq!(minute.judge(counts(u64::MAX, u64::MAX)), counts(1, 1));
        let ratio = Budgeting::RatioTimeslices { width_ms: MINUTE_MS };
        assert_eq!(ratio.judge(counts(1, 3)), counts(333_334, MILLION));
        assert_eq!(ratio.judge(counts(0, 0)), counts(0, MILLION));
        assert_eq!(ratio.judge(counts(7, 7)), counts(MILLION, MILLION));
    }

    #[test]
    fn amounts_are_exact_and_words_say_of_what() {
        let plain = |ratio: Ratio| ratio.to_string();
        let slices = Unit::Slices { width_ms: MINUTE_MS };
        assert_eq!(slices.part_of(counts(12, 43_200), plain), "12 of 43200 minutes");
        let thirds = Unit::Slices { width_ms: 20_000 };
        assert_eq!(thirds.amount(1), Ratio::new(1, 3).ok());
        let ratio = Unit::SliceMillionths { width_ms: 300_000 };
        assert_eq!(
            ratio.part_of(counts(500_000, 4 * MILLION), plain),
            "2.5 of 20 minutes"
        );
        assert_eq!(
            Unit::Billionths.part_of(counts(BILLION / 8, BILLION), plain),
            "12.5 of 100 percent"
        );
        assert_eq!(Unit::Events.part_of(counts(3, 7), plain), "3 of 7 events");
    }

    #[test]
    fn widths_that_cannot_be_kept_apart_are_refused() {
        let check = |width_ms| Budgeting::RatioTimeslices { width_ms }.check("x");
        for good in [SLICE_MS, 90_000, MINUTE_MS, HOUR_MS, 90 * MINUTE_MS, DAY_MS] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [0, -MINUTE_MS, 15_000, HOUR_MS + SLICE_MS, 2 * DAY_MS] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let target = |target| {
            Budgeting::Timeslices {
                width_ms: MINUTE_MS,
                target,
            }
            .check("x")
        };
        assert!(target(Ratio::ZERO).is_err() && target(Ratio::ONE).is_ok());
    }
}
