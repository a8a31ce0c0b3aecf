//! Expressions behind figures, made from what the catalog defines: never from names that this program would have to know.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_catalog::{Catalog, Format};
use mainstay_kernel::{Digest, Labels, MatchOp, Matcher, Principal, ServiceId, TenantId};
use mainstay_rules::{RuleFile, RuleKind};
use mainstay_slo::selector::Selector;
use mainstay_slo::sli::NO_VALUE;
use mainstay_slo::{Events, Gauge, Marked, Objective, SliDefinition, SloEngine};
use mainstay_web::view::Look;

use super::sight;

/// The expressions of a catalog's alerting rules, by the alert's name.
#[derive(Debug, Default)]
pub(super) struct AlertQueries {
    digest: Option<Digest>,
    by_name: BTreeMap<String, String>,
}

impl AlertQueries {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let documents = catalog.documents.of_format(Format::PrometheusRules);
        let files = documents.filter_map(|document| RuleFile::parse(&document.file, document.source()).ok());
        let rules = files.flat_map(|file| file.groups).flat_map(|group| group.rules);
        let rules = rules.filter(|rule| matches!(rule.kind, RuleKind::Alert { .. }));
        Self {
            digest: Some(catalog.digest),
            by_name: rules.map(|rule| (rule.name().to_owned(), rule.query)).collect(),
        }
    }

    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The names of all.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn get(&self, alert: &str) -> Option<&str> {
        self.by_name.get(alert).map(|query| query.trim())
    }
}

/// Conditions on labels that are added to every selector of an expression.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    matchers: Vec<Matcher>,
    /// The service whose counters are read instead of those that the definition names.
    service: Option<ServiceId>,
}

impl Filter {
    /// The part of the platform that is looked at, as far as the reader may see it.
    pub(super) fn of(who: &Principal, look: &Look) -> Self {
        let scope = &look.scope;
        let cell = scope
            .cell
            .as_ref()
            .map(|cell| Matcher::equal("cell", cell.as_str()));
        let tenant = scope
            .tenant
            .as_ref()
            .map(|tenant| Matcher::equal("tenant", tenant.as_str()));
        let allowed = sight::limited_to(who).and_then(one_of);
        Self {
            matchers: cell.into_iter().chain(tenant).chain(allowed).collect(),
            service: scope.service.clone(),
        }
    }

    /// One group of an indicator.
    pub(super) fn of_group(group: &Labels) -> Self {
        let value = |value: &str| if value == NO_VALUE { "" } else { value }.to_owned();
        Self {
            matchers: group
                .iter()
                .map(|(name, text)| Matcher::equal(name, value(text)))
                .collect(),
            service: None,
        }
    }

    /// The same for the tenants that the reader is limited to, if any.
    pub(super) fn seen_by(mut self, who: &Principal) -> Self {
        self.matchers.extend(sight::limited_to(who).and_then(one_of));
        self
    }
}

fn one_of(tenants: &BTreeSet<TenantId>) -> Option<Matcher> {
    let names: Vec<String> = tenants
        .iter()
        .map(|tenant| tenant.as_str().replace('.', "\\."))
        .collect();
    Matcher::new("tenant", MatchOp::Matches, names.join("|")).ok()
}

/// `metric{matchers}`, its `job` replaced or left out where the filter names a service.
fn selector_text(selector: &Selector, filter: &Filter, every_job: bool) -> String {
    let other_job = every_job || filter.service.is_some();
    let own = selector
        .matchers
        .iter()
        .filter(|matcher| !(other_job && matcher.name() == "job"));
    let job = filter
        .service
        .as_ref()
        .map(|service| Matcher::equal("job", service.as_str()));
    let matchers: Vec<String> = own
        .chain(&filter.matchers)
        .chain(&job)
        .map(ToString::to_string)
        .collect();
    if matchers.is_empty() {
        selector.metric.clone()
    } else {
        format!("{}{{{}}}", selector.metric, matchers.join(","))
    }
}

/// How far apart the instants are at which gauges are compared.
const SUBQUERY_STEP: &str = "10s";

/// How counters are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// `rate` or `increase`.
    pub(super) function: &'a str,
    /// Over which time: `5m`.
    pub(super) window: &'a str,
    /// By which labels the sums are made, with commas between; none for one sum.
    pub(super) by: &'a str,
    /// Whether the counters of every job are read, not only those of the job that the definition names.
    pub(super) every_job: bool,
}

impl Reading<'_> {
    fn sum(self, selectors: &[Selector], filter: &Filter) -> String {
        let read = |selector: &Selector| {
            format!(
                "{}({}[{}])",
                self.function,
                selector_text(selector, filter, self.every_job),
                self.window
            )
        };
        self.sum_of(selectors.iter().map(read).collect())
    }

    fn sum_of(self, parts: Vec<String>) -> String {
        let by = if self.by.is_empty() {
            String::new()
        } else {
            format!(" by ({}) ", self.by)
        };
        format!("sum{by}({})", parts.join(" or "))
    }

    /// How many samples of gauges there were, or of those that fail.
    fn samples(self, gauge: &Gauge, filter: &Filter, failing: bool) -> String {
        let bad = gauge.good.op().opposite().sign();
        let read = |selector: &Selector| {
            let selector = selector_text(selector, filter, self.every_job);
            let kept = if failing {
                format!("({selector} {bad} {})", gauge.good.value())
            } else {
                selector
            };
            format!("count_over_time({kept}[{}:{SUBQUERY_STEP}])", self.window)
        };
        self.sum_of(gauge.gauges.iter().map(read).collect())
    }

    /// All events; `None` where no single expression counts them.
    pub(super) fn total(self, sli: &SliDefinition, filter: &Filter) -> Option<String> {
        match &sli.events {
            Events::Counters(counters) => Some(self.sum(&counters.total, filter)),
            Events::Histograms(one) => {
                Some(format!("histogram_count({})", self.sum(&one.histograms, filter)))
            }
            Events::Gauge(gauge) => Some(self.samples(gauge, filter, false)),
            Events::Share(_) | Events::Composite(_) | Events::Completion(_) => None,
        }
    }

    /// The bad events; `None` where no single expression counts them.
    pub(super) fn bad(self, sli: &SliDefinition, filter: &Filter) -> Option<String> {
        match &sli.events {
            Events::Counters(counters) => {
                let marked = self.sum(&counters.marked_by, filter);
                Some(match counters.marked {
                    Marked::Bad => marked,
                    Marked::Good => format!("{} - {marked}", self.sum(&counters.total, filter)),
                })
            }
            Events::Histograms(one) => {
                let sum = self.sum(&one.histograms, filter);
                let fast = format!("histogram_fraction(-Inf, {}, {sum})", one.good.value());
                Some(format!("histogram_count({sum}) * (1 - {fast})"))
            }
            Events::Gauge(gauge) => Some(self.samples(gauge, filter, true)),
            Events::Share(_) | Events::Composite(_) | Events::Completion(_) => None,
        }
    }

    /// The bad share of all events; `None` where no single expression says it.
    pub(super) fn bad_share(self, sli: &SliDefinition, filter: &Filter) -> Option<String> {
        let (marked, marks) = match &sli.events {
            Events::Counters(counters) => {
                let (marked, total) = (
                    self.sum(&counters.marked_by, filter),
                    self.sum(&counters.total, filter),
                );
                (format!("{marked} / {total}"), counters.marked)
            }
            Events::Histograms(one) => {
                let sum = self.sum(&one.histograms, filter);
                let fast = format!("histogram_fraction(-Inf, {}, {sum})", one.good.value());
                (fast, Marked::Good)
            }
            Events::Gauge(gauge) => {
                let (bad, total) = (
                    self.samples(gauge, filter, true),
                    self.samples(gauge, filter, false),
                );
                (format!("{bad} / {total}"), Marked::Bad)
            }
            Events::Share(share) => {
                let mean = |selector: &Selector| {
                    let selector = selector_text(selector, filter, self.every_job);
                    format!("avg_over_time({selector}[{}])", self.window)
                };
                let means: Vec<String> = share.shares.iter().map(mean).collect();
                (format!("avg({})", means.join(" or ")), share.marked)
            }
            Events::Composite(_) | Events::Completion(_) => return None,
        };
        Some(match marks {
            Marked::Bad => marked,
            Marked::Good => format!("1 - {marked}"),
        })
    }
}

/// What the whole platform is judged by.
#[derive(Debug, Clone)]
pub(super) struct Yardstick {
    /// The objective by which incidents are judged.
    pub(super) objective: Objective,
    /// Its indicator.
    pub(super) sli: SliDefinition,
}

impl Yardstick {
    pub(super) fn of(slos: &SloEngine) -> Option<Self> {
        let objective = slos.yardstick()?.clone();
        let sli = slos.indicators().find(|sli| sli.name == objective.sli)?.clone();
        Some(Self { objective, sli })
    }

    /// The share of bad events above which the budget burns as fast as its fastest alert minds; without alerts, the whole
    /// budget's share.
    pub(super) fn alarming_share(&self) -> f64 {
        let budget = self.budget_share();
        let factors = self.objective.burn.pairs.iter().map(|pair| pair.factor.to_f64());
        budget * factors.reduce(f64::max).unwrap_or(1.0)
    }

    /// The share of events that may be bad.
    pub(super) fn budget_share(&self) -> f64 {
        self.objective
            .target
            .complement()
            .map_or(0.0, mainstay_kernel::Ratio::to_f64)
    }
}

/// The latency indicator's histogram as its 95th percentile, if there is such an indicator: one that marks good events by
/// a bucket.
pub(super) fn latency_p95(slos: &SloEngine, filter: &Filter, window: &str) -> Option<String> {
    let buckets = |sli: &SliDefinition| {
        let counters = sli.events.counters()?;
        let good = counters.marked == Marked::Good;
        counters
            .marked_by
            .iter()
            .find(|selector| good && selector.metric.ends_with("_bucket"))
            .cloned()
    };
    let mut bucket = slos.indicators().find_map(buckets)?;
    bucket.matchers.retain(|matcher| matcher.name() != "le");
    let selector = selector_text(&bucket, filter, false);
    Some(format!(
        "histogram_quantile(0.95, sum by (cell, le) (rate({selector}[{window}])))"
    ))
}
