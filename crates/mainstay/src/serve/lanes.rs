//! How much is sent at once and how often, for each kind of channel. What wakes people has slots of its own in every
//! channel and waits for no rate: nothing that is less urgent, however slow its receiver, delays it.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_catalog::response::Limit;
use mainstay_journal::Room;
use mainstay_kernel::effect::{ACTS, Channel, LANES};

/// What the catalog may say at most: each message on its way holds up to 1 MiB.
const AT_ONCE_MAX: usize = 256;
/// What a message costs, in the bucket's units; a bucket fills by `per_minute` units each millisecond.
const COST: i64 = 60_000;
/// What a bucket holds at most, as a time of filling.
const BURST_MS: i64 = 10_000;

/// Where an effect is on its way: its lane, and whether it is urgent.
pub(super) type Slot = (&'static str, bool);

/// The usual limits: how many at once, and how many a minute if they are counted.
fn usual(lane: &str) -> (usize, Option<u32>) {
    match lane {
        "webhook" => (16, None),
        "email" => (8, Some(600)),
        "chat" => (8, Some(600)),
        // A call holds its slot until somebody answers it.
        "sms" | "voice" => (8, Some(60)),
        _ => (4, None),
    }
}

/// Counts what may still be sent, in [`COST`]; what is urgent may run it into debt.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    per_minute: u32,
    level: i64,
    at: Duration,
}

impl Bucket {
    fn most(&self) -> i64 {
        (i64::from(self.per_minute) * BURST_MS).max(COST)
    }

    fn fill(&mut self, now: Duration) {
        let ms = i64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(i64::MAX);
        // What is less than a millisecond is filled the next time.
        self.at += Duration::from_millis(ms.unsigned_abs());
        let filled = ms.saturating_mul(i64::from(self.per_minute));
        self.level = self.level.saturating_add(filled).min(self.most());
    }

    fn take(&mut self) {
        self.level = (self.level - COST).max(-self.most());
    }

    fn messages(&self) -> usize {
        usize::try_from(self.level / COST).unwrap_or(0)
    }
}

#[derive(Debug)]
struct Lane {
    name: &'static str,
    at_once: usize,
    bucket: Option<Bucket>,
    urgent: usize,
    lesser: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lanes(Vec<Lane>);

impl Lanes {
    /// Everything is free.
    pub(super) fn new(limits: &BTreeMap<Channel, Limit>) -> Self {
        let lane = |name| Lane {
            name,
            at_once: 0,
            bucket: None,
            urgent: 0,
            lesser: 0,
        };
        let mut lanes = Self(LANES.map(lane).into());
        lanes.limit(limits);
        lanes
    }

    /// Puts the catalog's limits in force.
    pub(super) fn limit(&mut self, limits: &BTreeMap<Channel, Limit>) {
        for lane in &mut self.0 {
            let said = limits.iter().find(|(channel, _)| channel.name() == lane.name);
            let said = said.map(|(_, limit)| limit);
            let (at_once, per_minute) = usual(lane.name);
            let at_once = said
                .and_then(|limit| limit.at_once)
                .map_or(at_once, |said| said.get().into());
            lane.at_once = at_once.min(AT_ONCE_MAX);
            let said = said
                .and_then(|limit| limit.per_minute)
                .map(std::num::NonZeroU32::get);
            match (said.or(per_minute), &mut lane.bucket) {
                (Some(per_minute), Some(bucket)) => bucket.per_minute = per_minute,
                (Some(per_minute), bucket) => {
                    let level = i64::from(per_minute) * BURST_MS;
                    *bucket = Some(Bucket {
                        per_minute,
                        level: level.max(COST),
                        at: Duration::ZERO,
                    });
                }
                (None, bucket) => *bucket = None,
            }
        }
    }

    /// What may be begun at `now`, measured from any one instant.
    pub(super) fn rooms(&mut self, now: Duration) -> Vec<Room> {
        let mut rooms = Vec::with_capacity(2 * LANES.len());
        for lane in &mut self.0 {
            let allowed = lane.bucket.as_mut().map_or(usize::MAX, |bucket| {
                bucket.fill(now);
                bucket.messages()
            });
            let room = |urgent, count| Room {
                lane: lane.name,
                urgent,
                count,
            };
            rooms.push(room(true, lane.at_once.saturating_sub(lane.urgent)));
            // Whatever changes the platform is urgent.
            if lane.name != ACTS {
                rooms.push(room(false, lane.at_once.saturating_sub(lane.lesser).min(allowed)));
            }
        }
        rooms.retain(|room| room.count > 0);
        rooms
    }

    /// Something is on its way.
    pub(super) fn begin(&mut self, slot: Slot) {
        if let Some(lane) = self.lane(slot.0) {
            *lane.count(slot.1) += 1;
            if let Some(bucket) = &mut lane.bucket {
                bucket.take();
            }
        }
    }

    /// It is there, or not; its slot is free again.
    pub(super) fn end(&mut self, slot: Slot) {
        if let Some(lane) = self.lane(slot.0) {
            let count = lane.count(slot.1);
            *count = count.saturating_sub(1);
        }
    }

    fn lane(&mut self, name: &str) -> Option<&mut Lane> {
        self.0.iter_mut().find(|lane| lane.name == name)
    }
}

impl Lane {
    fn count(&mut self, urgent: bool) -> &mut usize {
        if urgent {
            &mut self.urgent
        } else {
            &mut self.lesser
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32};

    use super::*;

    fn room(lanes: &mut Lanes, seconds: u64, urgent: bool) -> usize {
        let rooms = lanes.rooms(Duration::from_secs(seconds));
        let room = rooms
            .iter()
            .find(|room| room.lane == "chat" && room.urgent == urgent);
        room.map_or(0, |room| room.count)
    }

    fn chat(at_once: u16, per_minute: u32) -> Lanes {
        let limit = Limit {
            at_once: NonZeroU16::new(at_once),
            per_minute: NonZeroU32::new(per_minute),
        };
        Lanes::new(&[(Channel::Chat, limit)].into())
    }

    #[test]
    fn what_is_urgent_has_slots_of_its_own() {
        let mut lanes = chat(2, 60_000);
        for _ in 0..2 {
            lanes.begin(("chat", false));
        }
        assert_eq!((room(&mut lanes, 1, false), room(&mut lanes, 1, true)), (0, 2));
        lanes.end(("chat", false));
        assert_eq!((room(&mut lanes, 1, false), room(&mut lanes, 1, true)), (1, 2));
    }

    #[test]
    fn a_rate_holds_back_what_is_not_urgent() {
        let mut lanes = chat(100, 6);
        // One message: six a minute are one in ten seconds.
        assert_eq!(room(&mut lanes, 0, false), 1);
        lanes.begin(("chat", false));
        assert_eq!((room(&mut lanes, 9, false), room(&mut lanes, 9, true)), (0, 100));
        assert_eq!(room(&mut lanes, 10, false), 1);
        // Pages count, and wait for nothing.
        for _ in 0..50 {
            lanes.begin(("chat", true));
        }
        assert_eq!((room(&mut lanes, 19, false), room(&mut lanes, 19, true)), (0, 50));
        assert_eq!(room(&mut lanes, 40, false), 1, "the debt is bounded");
    }

    #[test]
    fn another_catalog_changes_the_limits_at_once() {
        let mut lanes = chat(2, 6);
        lanes.begin(("chat", false));
        lanes.limit(&BTreeMap::new());
        assert_eq!((room(&mut lanes, 60, false), room(&mut lanes, 60, true)), (7, 8));
    }
}
