//! Which series a label set is, remembered from request to request.

use hashbrown::HashTable;

use crate::series_key::SeriesKey;

/// What the caller found under a [`SeriesKey`], most recently used first to stay.
///
/// Two halves: what is asked for moves into the young one, and when that is full it becomes the old one, which is
/// forgotten. So an entry stays at least until half as many others as the cache holds have been used after it, lookups
/// are O(1), and nothing is ever searched for what to evict.
#[derive(Debug, Clone)]
pub struct SeriesCache<R> {
    young: HashTable<(SeriesKey, R)>,
    old: HashTable<(SeriesKey, R)>,
    entries_max: usize,
}

impl<R: Clone> SeriesCache<R> {
    /// A cache of at most this many entries (at least 2). It takes up to [`bytes_for`](Self::bytes_for) them.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            young: HashTable::new(),
            old: HashTable::new(),
            entries_max: entries_max.max(2),
        }
    }

    /// About how many bytes a full cache of this many entries takes; what `R` refers to comes on top.
    #[must_use]
    pub fn bytes_for(entries_max: usize) -> usize {
        // A slot and its control byte, at the table's emptiest right after it has grown.
        entries_max
            .saturating_mul(size_of::<(SeriesKey, R)>() + 1)
            .saturating_mul(16)
            / 7
    }

    /// What was found under `key`.
    #[inline]
    pub fn get(&mut self, key: SeriesKey) -> Option<R> {
        match self.young.find(key.hash(), |held| held.0 == key) {
            Some(held) => Some(held.1.clone()),
            None => self.rejuvenate(key),
        }
    }

    #[cold]
    fn rejuvenate(&mut self, key: SeriesKey) -> Option<R> {
        let (held, _) = self
            .old
            .find_entry(key.hash(), |held| held.0 == key)
            .ok()?
            .remove();
        self.insert(key, held.1.clone());
        Some(held.1)
    }

    /// Remembers what `key` is.
    pub fn insert(&mut self, key: SeriesKey, found: R) {
        if let Some(held) = self.young.find_mut(key.hash(), |held| held.0 == key) {
            held.1 = found;
            return;
        }
        if let Ok(stale) = self.old.find_entry(key.hash(), |held| held.0 == key) {
            stale.remove();
        }
        if self.young.len() >= self.entries_max / 2 {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young
            .insert_unique(key.hash(), (key, found), |held| held.0.hash());
    }

    /// Forgets what does not hold any longer: series that the store has dropped.
    pub fn retain(&mut self, mut holds: impl FnMut(&R) -> bool) {
        self.young.retain(|held| holds(&held.1));
        self.old.retain(|held| holds(&held.1));
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_what_is_used_stays() {
        let key = |number: u32| SeriesKey::of(&number.to_le_bytes());
        let mut cache = SeriesCache::new(100);
        for number in 0..10_000 {
            assert_eq!(cache.get(key(number)), None);
            cache.insert(key(number), number);
            if number > 0 {
                assert_eq!(cache.get(key(0)), Some(0), "used all the time, after {number}");
            }
            assert_eq!(cache.get(key(number)), Some(number));
            assert!(cache.len() <= 100, "{}", cache.len());
        }
        assert_eq!(cache.get(key(5000)), None, "long unused");
        assert_eq!(cache.get(key(9970)), Some(9970));
        cache.insert(key(9970), 7);
        assert_eq!(cache.get(key(9970)), Some(7));
        cache.retain(|number| *number == 7);
        assert_eq!((cache.len(), cache.get(key(0))), (1, None));
    }
}
