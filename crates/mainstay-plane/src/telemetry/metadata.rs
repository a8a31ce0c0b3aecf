//! What is said of metrics: their kinds, meanings and units. It is in memory only: targets and senders say it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use mainstay_ingest::FamilyMetadata;
use mainstay_kernel::Reach;

use super::Telemetry;

/// How many families are kept of all targets; targets that say the same count once.
const SCRAPED_MAX: usize = 200_000;
/// How many metrics are kept of senders, and of those of one tenant.
const TOLD_MAX: usize = 50_000;
const TOLD_TENANT_MAX: usize = 20_000;
/// How many different things may be said of one of them: the newest stay.
const SAYINGS_MAX: usize = 5;

/// What one target says.
type Families = Arc<[FamilyMetadata]>;

/// What is known of metrics.
#[derive(Debug, Default)]
pub(super) struct MetadataTable {
    /// What each target says, by job and instance.
    scraped: BTreeMap<(String, String), Families>,
    /// The same, once: targets of one job mostly say the same.
    distinct: BTreeSet<Families>,
    /// How many families are in `distinct`.
    families: usize,
    /// What senders say, by tenant ("" of nobody's) and metric: what one says, no other reads or pushes out.
    told: BTreeMap<String, BTreeMap<String, VecDeque<FamilyMetadata>>>,
    /// How many metrics are in `told`.
    metrics: usize,
}

impl MetadataTable {
    /// Replaces what a target says; one that says nothing is forgotten.
    fn scrape(&mut self, target: (String, String), said: Vec<FamilyMetadata>) {
        if let Some(before) = self.scraped.remove(&target) {
            // Ours and that of `distinct`: no other target says it.
            if Arc::strong_count(&before) == 2 && self.distinct.remove(&before) {
                self.families -= before.len();
            }
        }
        let said: Families = said.into();
        let known = self.distinct.get(&said).cloned();
        let kept = known.or_else(|| {
            let has_room = self.families + said.len() <= SCRAPED_MAX;
            (has_room && !said.is_empty()).then(|| {
                self.families += said.len();
                self.distinct.insert(Arc::clone(&said));
                said
            })
        });
        if let Some(kept) = kept {
            self.scraped.insert(target, kept);
        }
    }

    fn tell(&mut self, tenant: &str, said: FamilyMetadata) {
        let known = self.told.get(tenant);
        if !known.is_some_and(|told| told.contains_key(&said.family)) {
            let of_tenant = known.map_or(0, BTreeMap::len);
            if self.metrics >= TOLD_MAX || of_tenant >= TOLD_TENANT_MAX {
                return;
            }
            self.metrics += 1;
        }
        let told = self.told.entry(tenant.to_owned()).or_default();
        let sayings = told.entry(said.family.clone()).or_default();
        if !sayings.contains(&said) {
            if sayings.len() == SAYINGS_MAX {
                sayings.pop_front();
            }
            sayings.push_back(said);
        }
    }
}

impl Telemetry {
    fn metadata(&self) -> MutexGuard<'_, MetadataTable> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a target says now, instead of what it said before.
    pub(super) fn note_scraped(&self, job: &str, instance: &str, said: Vec<FamilyMetadata>) {
        self.metadata()
            .scrape((job.to_owned(), instance.to_owned()), said);
    }

    /// Notes what a sender says of a metric of a tenant, "" of nobody's. O(log metrics).
    pub(super) fn note_told(&self, tenant: &str, said: FamilyMetadata) {
        self.metadata().tell(tenant, said);
    }

    /// What a target said in its last scrape, in order of family; empty if nothing is known of it.
    #[must_use]
    pub fn target_metadata(&self, job: &str, instance: &str) -> Arc<[FamilyMetadata]> {
        let target = (job.to_owned(), instance.to_owned());
        self.metadata().scraped.get(&target).cloned().unwrap_or_default()
    }

    /// Everything that is said of metrics, each saying once, in order of family.
    #[must_use]
    pub fn known_metadata(&self) -> Vec<FamilyMetadata> {
        let table = self.metadata();
        let scraped = table.distinct.iter().flat_map(|families| families.iter());
        let told = table.told.values().flat_map(BTreeMap::values).flatten();
        let known: BTreeSet<&FamilyMetadata> = scraped.chain(told).collect();
        known.into_iter().cloned().collect()
    }

    /// What senders said of the metrics within reach, in order of tenant and metric.
    #[must_use]
    pub fn told_metadata(&self, reach: &Reach) -> Vec<FamilyMetadata> {
        let known = self.metadata();
        let told: Vec<_> = match reach {
            Reach::All => known.told.values().collect(),
            Reach::Only(_) => reach
                .tenants()
                .filter_map(|tenant| known.told.get(tenant))
                .collect(),
        };
        told.into_iter()
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use mainstay_ingest::exposition::MetricKind;

    use super::*;

    fn said(help: &str) -> FamilyMetadata {
        FamilyMetadata::new("a", MetricKind::Gauge, help, "")
    }

    #[test]
    fn what_targets_say_is_kept_once_and_forgotten_with_the_last_of_them() {
        let mut table = MetadataTable::default();
        let target = |instance: &str| ("j".to_owned(), instance.to_owned());
        table.scrape(target("1"), vec![said("x")]);
        table.scrape(target("2"), vec![said("x")]);
        assert_eq!((table.scraped.len(), table.families), (2, 1));
        table.scrape(target("1"), vec![said("y"), said("z")]);
        assert_eq!(table.families, 3);
        table.scrape(target("2"), Vec::new());
        assert_eq!((table.scraped.len(), table.families), (1, 2));
        table.scrape(target("1"), Vec::new());
        assert_eq!((table.distinct.len(), table.families), (0, 0));
    }

    #[test]
    fn of_many_sayings_the_newest_stay_and_metrics_are_limited_by_tenant() {
        let mut table = MetadataTable::default();
        for n in 0..SAYINGS_MAX + 2 {
            table.tell("a", said(&n.to_string()));
            table.tell("a", said(&n.to_string()));
        }
        let kept: Vec<&str> = table.told["a"]["a"]
            .iter()
            .map(|said| said.help.as_str())
            .collect();
        assert_eq!(kept, ["2", "3", "4", "5", "6"]);
        for tenant in ["a", "b", "c", "d"] {
            for n in 0..TOLD_TENANT_MAX + 5 {
                let metric = FamilyMetadata::new(&format!("m{n}"), MetricKind::Gauge, "", "");
                table.tell(tenant, metric);
            }
        }
        let told = |tenant: &str| table.told[tenant].len();
        assert_eq!((told("a"), told("b")), (TOLD_TENANT_MAX, TOLD_TENANT_MAX));
        assert!(!table.told.contains_key("d"));
        assert_eq!(told("c"), TOLD_MAX - 2 * TOLD_TENANT_MAX);
    }
}
