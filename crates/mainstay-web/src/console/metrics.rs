//! What is asked of samples, rules and targets: what Prometheus' HTTP API shows.

use std::sync::Arc;

use mainstay_kernel::{Labels, Principal, Reach};

use super::Answer;
use crate::view::{
    Deleted, Deletion, InstantQuery, MetricMetadata, OtlpAnswer, QueryAnswer, QueryError, RangeQuery,
    RuleGroup, Runtime, Sample, Selection, SeriesExemplars, StoreStatus, Targets, WriteRequest, Written,
};

/// Samples and everything about them. Each question says whose series it may see: of others it learns nothing.
pub trait Metrics: Send + Sync + 'static {
    /// Evaluates an expression at one instant.
    fn query<'a>(&'a self, query: &'a InstantQuery) -> Answer<'a, QueryAnswer, QueryError>;
    /// Evaluates an expression over a range.
    fn query_range<'a>(&'a self, query: &'a RangeQuery) -> Answer<'a, QueryAnswer, QueryError>;
    /// The exemplars of the selected series.
    fn exemplars<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<SeriesExemplars>, QueryError>;
    /// The labels of the selected series, in order.
    fn series<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<Arc<Labels>>, QueryError>;
    /// The names of their labels, in order.
    fn label_names<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<String>, QueryError>;
    /// The values of one of their labels, in order.
    fn label_values<'a>(
        &'a self,
        name: &'a str,
        selection: &'a Selection,
    ) -> Answer<'a, Vec<String>, QueryError>;
    /// The newest sample of each selected series, unless it marks the series' end.
    fn latest<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<(Arc<Labels>, Sample)>, QueryError>;
    /// What targets and senders said about metrics.
    fn metric_metadata<'a>(&'a self, reach: &'a Reach) -> Answer<'a, Vec<MetricMetadata>, QueryError>;
    /// The targets that are scraped, and those that are not.
    fn targets(&self) -> Answer<'_, Targets, QueryError>;
    /// The groups of rules, in order of file and name.
    fn rule_groups(&self) -> Answer<'_, Vec<RuleGroup>, QueryError>;
    /// What the store holds; at most `limit` entries of each list.
    fn store_status<'a>(&'a self, limit: usize, reach: &'a Reach) -> Answer<'a, StoreStatus, QueryError>;
    /// Takes samples in; those of a request that reaches one tenant are that tenant's. They are durable once this answers.
    fn write<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, Written>;
    /// [`Metrics::write`], of OTLP metrics.
    fn write_otlp<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, OtlpAnswer>;
    /// Deletes samples, for good, and records who did it; or says what would go.
    fn delete_series<'a>(
        &'a self,
        who: &'a Principal,
        deletion: &'a Deletion,
    ) -> Answer<'a, Deleted, QueryError>;
    /// Writes the files anew of which something was deleted.
    fn clean_tombstones<'a>(&'a self, who: &'a Principal) -> Answer<'a, (), QueryError>;
    /// Copies the samples to a place of their own, whose name it gives; on request without those that are only in memory
    /// and log.
    fn snapshot<'a>(&'a self, who: &'a Principal, skip_head: bool) -> Answer<'a, String, QueryError>;
    /// Figures about the program itself, in Prometheus' text format.
    fn own_metrics(&self) -> Answer<'_, String, QueryError>;
    /// How the program runs.
    fn runtime(&self) -> Answer<'_, Runtime, QueryError>;
}
