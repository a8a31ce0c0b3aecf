//! Where slices begin and end: in four tiers, the older the wider.

/// The width of the finest slice: 10 s, in milliseconds.
pub const SLICE_MS: i64 = 10_000;
/// For how long slices of 10 s are kept at least: 7 h, in milliseconds. Longer than the longest short burn window and its
/// long partner's edge.
pub const FINE_KEEP_MS: i64 = 7 * 3_600_000;
/// For how long slices of 1 min are kept at least: 4 days, in milliseconds. Longer than the longest burn window.
pub const MINUTE_KEEP_MS: i64 = 4 * 86_400_000;
/// For how long slices of 15 min are kept at least: 95 days, in milliseconds. Longer than a quarter.
pub const QUARTER_KEEP_MS: i64 = 95 * 86_400_000;
/// For how long counts are kept: 400 days, in milliseconds.
pub const RETENTION_MS: i64 = 400 * 86_400_000;

/// Tiers, coarsest first.
pub(super) const TIERS: usize = 4;
/// The finest tier.
pub(super) const FINE: usize = TIERS - 1;
/// What every edge of a tier is a multiple of, in slices of 10 s.
pub(super) const UNITS: [u32; TIERS] = [90, 90, 6, 1];

const HOUR: u32 = 360;
const QUARTERS_OF_A_DAY: u32 = 96;

/// The quarters of a day (in UTC) at which the oldest slices end, as bits: every full hour, and those at which a day
/// begins where clocks are not whole hours off UTC, from Newfoundland (−03:30, 02:30 in summer) to the Chatham Islands
/// (+12:45, +13:45).
const OLD_EDGES: u128 = {
    let hours_and_quarters = [
        (2, 2),
        (3, 2),
        (9, 2),
        (10, 1),
        (11, 1),
        (13, 2),
        (14, 2),
        (15, 1),
        (17, 2),
        (18, 1),
        (18, 2),
        (19, 2),
        (20, 2),
    ];
    let mut edges = 0;
    let mut hour = 0;
    while hour < 24 {
        edges |= 1 << (hour * 4);
        hour += 1;
    }
    let mut at = 0;
    while at < hours_and_quarters.len() {
        let (hour, quarter) = hours_and_quarters[at];
        edges |= 1 << (hour * 4 + quarter);
        at += 1;
    }
    edges
};

/// Where the tiers meet, in slices of 10 s since the epoch. It follows the time of the samples of a whole indicator,
/// so that all of its groups have the same slices and a sum's windows are the sums of its parts' windows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Edges {
    /// Up to where slices are of the oldest tier, of 15 min and of 1 min.
    pub(super) reach: [u32; FINE],
    /// Up to where nothing is kept.
    pub(super) lost: u32,
}

impl PartialEq for Edges {
    /// At every sample: number by number is faster than as memory.
    fn eq(&self, other: &Self) -> bool {
        let [a, b, c] = self.reach;
        let [d, e, f] = other.reach;
        c == f && a == d && b == e && self.lost == other.lost
    }
}

impl Eq for Edges {}

impl Edges {
    /// Where they are when samples have come to `t_ms`. Every edge is a full hour and so one of the oldest slices, so that
    /// no window's edge can fall between two tiers.
    pub(crate) fn at(t_ms: i64) -> Self {
        let edge = |keep_ms| {
            let slot = slot_down(t_ms.saturating_sub(keep_ms));
            slot - slot % HOUR
        };
        Self {
            reach: [edge(QUARTER_KEEP_MS), edge(MINUTE_KEEP_MS), edge(FINE_KEEP_MS)],
            lost: edge(RETENTION_MS),
        }
    }

    /// The last edge at or before a slot.
    pub(super) fn down(self, slot: u32) -> u32 {
        let tier = self.reach.iter().position(|reach| slot < *reach);
        round_down(slot, tier.unwrap_or(FINE))
    }

    /// The first edge at or after a slot.
    pub(super) fn up(self, slot: u32) -> u32 {
        round_up(slot, self.tier(slot))
    }

    /// The tier of the slice that a slot is in.
    pub(super) fn tier(self, slot: u32) -> usize {
        let tier = self.reach.iter().position(|reach| slot <= *reach);
        tier.unwrap_or(FINE)
    }
}

pub(super) fn slot_down(t_ms: i64) -> u32 {
    u32::try_from(t_ms.max(0) / SLICE_MS).unwrap_or(u32::MAX - HOUR)
}

pub(super) fn slot_up(t_ms: i64) -> u32 {
    u32::try_from(t_ms.max(0).saturating_add(SLICE_MS - 1) / SLICE_MS).unwrap_or(u32::MAX - HOUR)
}

pub(super) fn slot_ms(slot: u32) -> i64 {
    i64::from(slot) * SLICE_MS
}

/// The last edge of a tier at or before a slot.
fn round_down(slot: u32, tier: usize) -> u32 {
    let units = slot / UNITS[tier];
    if tier > 0 {
        return units * UNITS[tier];
    }
    let quarter = units % QUARTERS_OF_A_DAY;
    let edges = OLD_EDGES & (u128::MAX >> (127 - quarter));
    (units - quarter + edges.ilog2()) * UNITS[tier]
}

/// The first edge of a tier at or after a slot.
pub(super) fn round_up(slot: u32, tier: usize) -> u32 {
    let units = slot.div_ceil(UNITS[tier]);
    if tier > 0 {
        return units.saturating_mul(UNITS[tier]);
    }
    let quarter = units % QUARTERS_OF_A_DAY;
    // The next day begins with an edge.
    let edges = (OLD_EDGES | 1 << QUARTERS_OF_A_DAY) & (u128::MAX << quarter);
    (units - quarter + edges.trailing_zeros()).saturating_mul(UNITS[tier])
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz;

    #[test]
    fn every_day_of_every_zone_begins_at_an_edge_of_the_oldest_slices() {
        let (mut zones, mut off_the_hour) = (0, 0);
        for name in tz::db().available() {
            let zone = tz::db().get(name.as_str()).expect("a zone");
            zones += 1;
            for day in date(2024, 1, 1).series(jiff::Span::new().days(1)).take(3_660) {
                let begins_ms = zone
                    .to_timestamp(day.at(0, 0, 0, 0))
                    .expect("in range")
                    .as_millisecond();
                let slot = slot_down(begins_ms);
                off_the_hour += u32::from(slot % HOUR != 0);
                assert!(
                    slot_ms(slot) == begins_ms && round_down(slot, 0) == slot && round_up(slot, 0) == slot,
                    "{day} in {}",
                    name.as_str()
                );
            }
        }
        assert!(zones > 400 && off_the_hour > 10_000, "{zones} zones");
    }

    #[test]
    fn old_slices_are_no_longer_than_an_hour() {
        let mut edges = 0;
        for slot in 1_000_000 * 90..1_000_000 * 90 + 8_640 {
            let (down, up) = (round_down(slot, 0), round_up(slot, 0));
            assert!(
                down <= slot && slot <= up && up - down <= HOUR,
                "{slot}: {down} to {up}"
            );
            assert!(down == up || (down < slot && slot < up));
            edges += u32::from(down == up);
        }
        assert_eq!(edges, OLD_EDGES.count_ones());
        assert_eq!(edges, 37);
    }
}
