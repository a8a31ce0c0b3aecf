//! Which series there are, and which of them a selector means.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use mainstay_kernel::{Labels, MatchOp, Matcher};
use xxhash_rust::xxh3::xxh3_64;

/// A short name for a series, valid while the store that gave it is open and the series has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(crate) u32);

impl SeriesRef {
    /// A small number that no other series of the store has, to index tables by.
    #[must_use]
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// Label sets to ids, and per label name and value the sorted ids that bear it (posting lists).
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// A hash of each series' labels, and its id.
    by_labels: HashTable<(u32, u32)>,
    postings: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
}

fn hash(labels: &Labels) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is as good a hash")]
    let hash = xxh3_64(labels.text().as_bytes()) as u32;
    hash
}

/// The table takes the high bits of a hash for its own.
fn spread(hash: u32) -> u64 {
    (u64::from(hash) << 32) | u64::from(hash)
}

impl Index {
    /// The id of the series with these labels; `is` tells whether an id's labels are they.
    pub(crate) fn get(&self, labels: &Labels, is: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = hash(labels);
        let found = self
            .by_labels
            .find(spread(hash), |held| held.0 == hash && is(held.1));
        found.map(|held| held.1)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// Adds a series whose id is new.
    pub(crate) fn insert(&mut self, id: u32, labels: &Labels) {
        let hash = hash(labels);
        self.by_labels
            .insert_unique(spread(hash), (hash, id), |held| spread(held.0));
        for (name, value) in labels.iter() {
            let values = match self.postings.get_mut(name) {
                Some(values) => values,
                None => self.postings.entry(name.to_owned()).or_default(),
            };
            let ids = match values.get_mut(value) {
                Some(ids) => ids,
                None => values.entry(value.to_owned()).or_default(),
            };
            // New ids are the largest, so this is a push, except while files are read back.
            let at = ids.partition_point(|held| *held < id);
            ids.insert(at, id);
        }
    }

    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        let hash = hash(labels);
        if let Ok(held) = self.by_labels.find_entry(spread(hash), |held| held.1 == id) {
            held.remove();
        }
        for (name, value) in labels.iter() {
            let Some(values) = self.postings.get_mut(name) else {
                continue;
            };
            if let Some(ids) = values.get_mut(value) {
                ids.retain(|held| *held != id);
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.postings.remove(name);
            }
        }
    }

    /// The ids of the series that pass every matcher, sorted.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<u32> {
        // A matcher that accepts the absent label cannot be answered from posting lists alone: it excludes.
        let (excluding, including): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_value(""));
        let mut lists: Vec<Vec<u32>> = including
            .into_iter()
            .map(|matcher| self.bearing(matcher, true))
            .collect();
        lists.sort_by_key(Vec::len);
        let mut lists = lists.into_iter();
        let mut ids = match lists.next() {
            Some(shortest) => shortest,
            None => {
                let mut all: Vec<u32> = self.by_labels.iter().map(|held| held.1).collect();
                all.sort_unstable();
                all
            }
        };
        for list in lists {
            ids.retain(|id| list.binary_search(id).is_ok());
        }
        for matcher in excluding {
            if ids.is_empty() {
                break;
            }
            let refused = self.bearing(matcher, false);
            ids.retain(|id| refused.binary_search(id).is_err());
        }
        ids
    }

    /// The ids that bear the matcher's label with a value that it accepts (or refuses), sorted.
    fn bearing(&self, matcher: &Matcher, accepted: bool) -> Vec<u32> {
        let Some(values) = self.postings.get(matcher.name()) else {
            return Vec::new();
        };
        if matcher.op() == MatchOp::Equal && accepted {
            return values.get(matcher.value()).cloned().unwrap_or_default();
        }
        let mut ids: Vec<u32> = values
            .iter()
            .filter(|(value, _)| matcher.matches_value(value) == accepted)
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        // A series has one value per label, so no id can stand here twice.
        ids.sort_unstable();
        ids
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(String::as_str)
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.postings
            .get(name)
            .into_iter()
            .flat_map(|values| values.keys().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        prop::collection::btree_map("[ab]", "[xyz]{0,2}", 0..3).prop_map(Labels::from)
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        let op = prop::sample::select(vec![
            MatchOp::Equal,
            MatchOp::NotEqual,
            MatchOp::Matches,
            MatchOp::NotMatches,
        ]);
        let value = prop::sample::select(vec!["", "x", "y", "xz", "x.*", ".*", ".+", "x|y"]);
        ("[abc]", op, value)
            .prop_map(|(name, op, value)| Matcher::new(name, op, value).expect("a sound expression"))
    }

    proptest! {
        /// The index answers as a scan over all label sets would.
        #[test]
        fn as_a_scan(sets in prop::collection::btree_set(labels(), 0..20), matchers in prop::collection::vec(matcher(), 0..4), gone in 0u32..20) {
            let mut index = Index::default();
            let mut kept = BTreeMap::new();
            for (id, labels) in (0..).zip(sets) {
                index.insert(id, &labels);
                kept.insert(id, labels);
            }
            if let Some(labels) = kept.remove(&gone) {
                index.remove(gone, &labels);
                prop_assert_eq!(index.get(&labels, |id| kept.get(&id) == Some(&labels)), None);
            }
            for (id, labels) in &kept {
                prop_assert_eq!(index.get(labels, |held| kept.get(&held) == Some(labels)), Some(*id));
            }
            let scan: Vec<u32> = kept
                .iter()
                .filter(|(_, labels)| matchers.iter().all(|matcher| matcher.matches(labels)))
                .map(|(id, _)| *id)
                .collect();
            prop_assert_eq!(index.select(&matchers), scan);
        }
    }
}
