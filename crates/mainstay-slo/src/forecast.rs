//! When a budget will be spent: an interval, from what is left of it.
//!
//! What is left (`(1 − target) × total − bad`, in exact integers) is carried forward along [`PATHS`] courses that the future
//! may take, made of the past; the instants at which it reaches nothing are put in order, and the interval leaves out the
//! tenth that comes first and the tenth that comes last. What it assumes:
//!
//! - *Days repeat.* A future day is one of the last 28 or 29, whole, hour by hour as it was, so that traffic's rhythm and the
//!   size and frequency of incidents are those of the past. From four weeks of history on, a working day is like a working
//!   day and a weekend (Saturday and Sunday, UTC) like a weekend. With less than three days, hours repeat instead.
//! - *The past is a sample.* Each course first draws as many days from the past as there are, less one, with repetition, and
//!   is made of these, each a little further from their mean than it was: what a few days cannot tell about the rate of
//!   failures widens the interval.
//! - *What burns now goes on for about as long as it has been burning*: after `e` minutes, `e` more with one chance in two,
//!   `9 e` more with one in ten. While it lasts it burns as it did so far.
//! - In a rolling window, what ages out is given back at the hour at which it does.
//!
//! Nobody can know of a failure unlike any in the past. There is no entropy in it: the same counts give the same forecast.

use jiff::Timestamp;
use mainstay_kernel::Ratio;
use serde::Serialize;

use crate::objective::error_share;
use crate::tally::Counts;

/// How many courses are tried.
const PATHS: u32 = 200;
/// Of them, those that come earlier than the interval, and later than it.
const TAIL: usize = 20;

pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const DAY_HOURS: usize = 24;
/// With so many days of history, working days and weekends are told apart.
const WEEKLY_FROM_DAYS: usize = 28;
/// With fewer days, hours repeat.
const DAILY_FROM_DAYS: usize = 3;
/// Working days, and days of a weekend.
const KINDS: usize = 2;
/// With less history there is a forecast only of what burns now.
const HISTORY_MIN_HOURS: usize = 24;

/// When a budget will be spent, with a probability of 80 % between the first and the last instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// One chance in ten that it is spent before.
    pub earliest: Timestamp,
    /// As likely before as after; none: more likely not inside the window at all.
    pub likely: Option<Timestamp>,
    /// One chance in ten that it is spent after; none: it may well not be spent inside the window.
    pub latest: Option<Timestamp>,
}

/// What burns now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// For how long, in milliseconds; more than 0.
    pub lasted_ms: i64,
    /// What was counted meanwhile.
    pub counts: Counts,
}

/// What a forecast rests on.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// The instant of the forecast.
    pub now: Timestamp,
    /// The least share of good events.
    pub target: Ratio,
    /// What was counted in the window up to now.
    pub spent: Counts,
    /// For how long it is asked, in milliseconds: to the end of the period, or for the length of the window.
    pub ahead_ms: i64,
    /// The counts of past hours of the clock, oldest first, the last of them the last one that is over; `None`: nothing was
    /// seen.
    pub hours: &'a [Option<Counts>],
    /// What leaves a rolling window in each of the hours to come.
    pub leaving: &'a [Counts],
    /// What burns now, if something does.
    pub burst: Option<Burst>,
}

/// When the budget will be spent. `None`: it is spent already, or it will not be inside the window (with nine chances in
/// ten), or there is less than a day of history. Cost: the days ahead, for each course.
#[must_use]
pub fn forecast(outlook: &Outlook<'_>) -> Option<Forecast> {
    let scale = Scale(error_share(outlook.target));
    let left = scale.gain(outlook.spent);
    if left <= 0 && outlook.spent.bad > 0 {
        return None;
    }
    let future = Future::new(outlook, scale);
    let mut spent_after: Vec<Option<i64>> = (0..PATHS).map(|path| future.course(left, path)).collect();
    spent_after.sort_by_key(|after_ms| after_ms.unwrap_or(i64::MAX));
    let at = |place: usize| {
        let after_ms = spent_after.get(place).copied().flatten()?;
        Timestamp::from_millisecond(outlook.now.as_millisecond().checked_add(after_ms)?).ok()
    };
    Some(Forecast {
        earliest: at(TAIL)?,
        likely: at(spent_after.len() / 2),
        latest: at(spent_after.len().saturating_sub(TAIL + 1)),
    })
}

/// Counts as what they leave of the budget: `share × total − bad`, times the share's denominator to stay whole.
#[derive(Debug, Clone, Copy)]
struct Scale(Ratio);

impl Scale {
    fn gain(self, counts: Counts) -> i128 {
        i128::from(self.0.numerator()) * i128::from(counts.total)
            - i128::from(self.0.denominator()) * i128::from(counts.bad)
    }
}

/// A stretch of hours as it may come again.
#[derive(Debug, Clone)]
struct Block {
    /// What each hour leaves of the budget.
    gains: Vec<i128>,
    sum: i128,
    /// The lowest that it comes to on the way.
    low: i128,
    /// Of which kind of day it is.
    kind: usize,
}

impl Block {
    fn new(gains: Vec<i128>, kind: usize) -> Self {
        let (mut sum, mut low) = (0, 0);
        for gain in &gains {
            sum += gain;
            low = low.min(sum);
        }
        Self {
            gains,
            sum,
            low,
            kind,
        }
    }
}

/// The courses that the future may take.
struct Future<'a> {
    outlook: &'a Outlook<'a>,
    /// The blocks that a block ahead may be like, by its kind.
    pools: Vec<Vec<Block>>,
    block_hours: usize,
    /// How far into its block the present is, in hours.
    into_block: usize,
    /// What ages out in each hour to come.
    leaving: Vec<i128>,
    /// What ages out in each block ahead, and the most that it comes to on the way.
    leaving_blocks: Vec<(i128, i128)>,
    /// What the burst leaves of the budget in an hour.
    burst_gain: i128,
    /// How long it has lasted; 0 if there is none.
    burst_ms: i64,
}

impl<'a> Future<'a> {
    fn new(outlook: &'a Outlook<'a>, scale: Scale) -> Self {
        let hours: Vec<Option<i128>> = outlook
            .hours
            .iter()
            .map(|hour| hour.map(|counts| scale.gain(counts)))
            .collect();
        let days = days(&hours, outlook.now);
        let is_weekly = days.len() >= WEEKLY_FROM_DAYS;
        let (blocks, block_hours) = if days.len() < DAILY_FROM_DAYS {
            let hours = hours.iter().flatten();
            let blocks: Vec<Block> = hours.map(|gain| Block::new(vec![*gain], 0)).collect();
            (blocks, 1)
        } else {
            (days, DAY_HOURS)
        };
        let mut pools = vec![Vec::new(); KINDS];
        let known_hours = blocks.len() * block_hours;
        for block in blocks.into_iter().filter(|_| known_hours >= HISTORY_MIN_HOURS) {
            let kind = if is_weekly { block.kind } else { 0 };
            pools[kind].push(block);
        }
        let pools = pools.into_iter().map(|pool| widened(&pool)).collect();
        let leaving: Vec<i128> = outlook.leaving.iter().map(|counts| scale.gain(*counts)).collect();
        let into_block = hour_of_day(outlook.now) % block_hours;
        // What is left of the block that the present is in makes a block of its own.
        let (first, rest) = leaving.split_at(leaving.len().min(block_hours - into_block));
        let leaving_blocks = [first].into_iter().chain(rest.chunks(block_hours)).map(|hours| {
            let (mut sum, mut high) = (0, 0);
            for gain in hours {
                sum += gain;
                high = sum.max(high);
            }
            (sum, high)
        });
        let burst = outlook.burst.map(|burst| {
            let lasted_ms = burst.lasted_ms.max(1);
            (
                scale.gain(burst.counts) * i128::from(HOUR_MS) / i128::from(lasted_ms),
                lasted_ms,
            )
        });
        let (burst_gain, burst_ms) = burst.unwrap_or_default();
        Self {
            outlook,
            block_hours,
            into_block,
            leaving_blocks: leaving_blocks.collect(),
            pools,
            leaving,
            burst_gain,
            burst_ms,
        }
    }

    /// After how many milliseconds nothing is left on one course; `None`: not in the time asked for.
    fn course(&self, left: i128, path: u32) -> Option<i64> {
        let mut draw = Draw::new(path);
        let drawn: Vec<Vec<&Block>> = self.pools.iter().map(|pool| draw.as_many(pool)).collect();
        let ahead_ms = self.outlook.ahead_ms;
        let mut walk = Walk { left, at_ms: 0 };
        // Lengths of a burst that are one as likely as the other.
        let part = i128::from(2 * path + 1);
        let burst_ms = i128::from(self.burst_ms) * (i128::from(2 * PATHS) - part) / part;
        let burst_ms = i64::try_from(burst_ms).unwrap_or(i64::MAX).min(ahead_ms);
        while walk.at_ms < burst_ms {
            let gain = self.burst_gain - self.leaves(walk.hour());
            if let Some(spent_ms) = walk.go(gain, burst_ms) {
                return Some(spent_ms);
            }
        }
        while walk.at_ms < ahead_ms {
            let hour = walk.hour().saturating_add(self.into_block);
            let number = hour / self.block_hours;
            let block = draw.one_of(drawn.get(self.kind(number))?)?;
            let (leaves, leaves_most) = self.leaving_blocks.get(number).copied().unwrap_or_default();
            let (starts_ms, ends_ms) = (self.block_ms(number), self.block_ms(number + 1));
            let is_whole = walk.at_ms == starts_ms && ends_ms <= ahead_ms;
            if is_whole && walk.left + block.low - leaves_most > 0 {
                walk.left += block.sum - leaves;
                walk.at_ms = ends_ms;
                continue;
            }
            while walk.at_ms < ends_ms.min(ahead_ms) {
                let hour = walk.hour().saturating_add(self.into_block) % self.block_hours;
                let gain = block.gains.get(hour).copied();
                let gain = gain.unwrap_or_default() - self.leaves(walk.hour());
                if let Some(spent_ms) = walk.go(gain, ahead_ms) {
                    return Some(spent_ms);
                }
            }
        }
        None
    }

    fn leaves(&self, hour: usize) -> i128 {
        self.leaving.get(hour).copied().unwrap_or_default()
    }

    /// When a block begins, in milliseconds from now; of the one that the present is in, before it.
    fn block_ms(&self, number: usize) -> i64 {
        let hours = i64::try_from(number.saturating_mul(self.block_hours)).unwrap_or(i64::MAX);
        let into = i64::try_from(self.into_block).unwrap_or_default();
        hours.saturating_sub(into).saturating_mul(HOUR_MS)
    }

    /// Of which kind a block is.
    fn kind(&self, number: usize) -> usize {
        let is_weekly = self.pools.iter().skip(1).any(|pool| !pool.is_empty());
        let starts_ms = self
            .outlook
            .now
            .as_millisecond()
            .saturating_add(self.block_ms(number));
        if is_weekly { kind_of_day(starts_ms) } else { 0 }
    }
}

/// What is left of a budget, on its way.
struct Walk {
    left: i128,
    at_ms: i64,
}

impl Walk {
    /// The hour to come that it is in.
    fn hour(&self) -> usize {
        usize::try_from(self.at_ms / HOUR_MS).unwrap_or(usize::MAX)
    }

    /// Goes to the end of the hour or to `until_ms`, at so much of the budget in an hour. Gives the instant at which
    /// nothing is left.
    fn go(&mut self, gain_per_hour: i128, until_ms: i64) -> Option<i64> {
        let ends_ms = (self.at_ms - self.at_ms % HOUR_MS)
            .saturating_add(HOUR_MS)
            .min(until_ms);
        let step_ms = i128::from(ends_ms - self.at_ms);
        let gain = gain_per_hour * step_ms / i128::from(HOUR_MS);
        if gain < 0 && self.left + gain <= 0 {
            let after_ms = step_ms * self.left.max(0) / -gain;
            return self.at_ms.checked_add(i64::try_from(after_ms).ok()?);
        }
        self.left += gain;
        self.at_ms = ends_ms;
        None
    }
}

/// The days (UTC) that are whole among hours that end with the last one before `now`, as far as most of their hours are
/// known. Of the others the mean is put in their place.
fn days(hours: &[Option<i128>], now: Timestamp) -> Vec<Block> {
    let today = hour_of_day(now);
    let before_today = hours.get(..hours.len().saturating_sub(today)).unwrap_or_default();
    let days = before_today.rchunks_exact(DAY_HOURS).zip(1_i64..);
    let days = days.filter_map(|(day, ago)| {
        let known: Vec<i128> = day.iter().flatten().copied().collect();
        let mean = known.iter().sum::<i128>() / i128::try_from(known.len().max(1)).ok()?;
        let gains = day.iter().map(|gain| gain.unwrap_or(mean)).collect();
        let at_ms = now.as_millisecond().saturating_sub(ago.saturating_mul(DAY_MS));
        let most = known.len() * 4 >= DAY_HOURS * 3;
        most.then(|| Block::new(gains, kind_of_day(at_ms)))
    });
    days.collect()
}

/// Blocks of a pool of `n`, each so much further from their mean that together they vary as an unknown one does about the
/// mean of `n` known ones: `√((n + 1) / (n − 1))` times.
fn widened(pool: &[Block]) -> Vec<Block> {
    const UNIT: u128 = 1_000_000;
    let count = pool.len() as u128;
    let Some(others) = count.checked_sub(1).filter(|others| *others > 0) else {
        return pool.to_vec();
    };
    let root = ((count + 1) * UNIT * UNIT / others).isqrt();
    let (factor, unit) = (root.cast_signed(), UNIT.cast_signed());
    let hours = pool.iter().map(|block| block.gains.len()).max().unwrap_or(0);
    let means: Vec<i128> = (0..hours)
        .map(|hour| {
            let gains = pool.iter().filter_map(|block| block.gains.get(hour));
            gains.sum::<i128>() / count.cast_signed()
        })
        .collect();
    let wider = |block: &Block| {
        let gains = block.gains.iter().zip(&means);
        let gains = gains.map(|(gain, mean)| mean + (gain - mean).saturating_mul(factor) / unit);
        Block::new(gains.collect(), block.kind)
    };
    pool.iter().map(wider).collect()
}

fn hour_of_day(at: Timestamp) -> usize {
    let hour = at.as_millisecond().rem_euclid(DAY_MS) / HOUR_MS;
    usize::try_from(hour).unwrap_or_default()
}

/// 0 for a working day, 1 for one of a weekend.
fn kind_of_day(at_ms: i64) -> usize {
    // The epoch was a Thursday.
    let weekday = (at_ms.div_euclid(DAY_MS) + 3).rem_euclid(7);
    usize::from(weekday >= 5)
}

/// Draws without entropy: SplitMix64, begun with the number of the course.
struct Draw(u64);

impl Draw {
    fn new(path: u32) -> Self {
        Self(u64::from(path).wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = (u128::from(self.next()) * from.len() as u128) >> 64;
        from.get(usize::try_from(place).unwrap_or(usize::MAX)).copied()
    }

    /// As many as there are, less one (so that the spread of their mean is that of the mean), with repetition.
    fn as_many<'b, T>(&mut self, from: &'b [T]) -> Vec<&'b T> {
        let all: Vec<&T> = from.iter().collect();
        let count = all.len().saturating_sub(1).max(all.len().min(1));
        (0..count).filter_map(|_| self.one_of(&all)).collect()
    }
}
