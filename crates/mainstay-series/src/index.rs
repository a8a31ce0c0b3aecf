//! Which series there are, and which of them a selector means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_kernel::{Labels, MatchOp, Matcher};

/// A short name for a series, valid while the store that gave it is open and the series has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(crate) u32);

/// Label sets to ids, and per label name and value the sorted ids that bear it (posting lists).
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_labels: BTreeMap<Arc<Labels>, u32>,
    postings: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
    all: BTreeSet<u32>,
}

impl Index {
    pub(crate) fn get(&self, labels: &Labels) -> Option<u32> {
        self.by_labels.get(labels).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn insert(&mut self, id: u32, labels: &Arc<Labels>) {
        self.by_labels.insert(Arc::clone(labels), id);
        if !self.all.insert(id) {
            return;
        }
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
        if self.by_labels.get(labels) == Some(&id) {
            self.by_labels.remove(labels);
        }
        self.all.remove(&id);
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
            None => self.all.iter().copied().collect(),
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
                let labels = Arc::new(labels);
                index.insert(id, &labels);
                kept.insert(id, labels);
            }
            if let Some(labels) = kept.remove(&gone) {
                index.remove(gone, &labels);
                prop_assert_eq!(index.get(&labels), None);
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
