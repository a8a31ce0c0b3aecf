//! Tenants: what each may take up, what it took, and what it was refused. None is slowed or refused for what another does.

mod bucket;
mod limits;
mod query;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_kernel::reach::TENANT_LABEL;
use mainstay_kernel::{Labels, Reach};
use mainstay_series::{Outcome, SeriesError, SeriesLimits, Store};

use bucket::{Bucket, TooMany};
pub(crate) use limits::Limits;
pub use limits::{LimitInfo, LimitsSpec, NO_LIMIT, TenantLimits};
pub use query::{QueryRefusal, QueryTurn};

/// How many tenants have an account of their own. Those beyond share one: what it may take up, all of them may together.
const TENANTS_MAX: usize = 10_000;
/// Whose that account is.
const OTHER: &str = "other";

/// Why samples or queries are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// More samples in a second than the tenant may send.
    Rate,
    /// More samples in a request than it may hold.
    RequestSamples,
    /// The tenant has as many series as it may.
    Series,
    /// The store has as many series as it may.
    StoreSeries,
    /// Labels that are too many or too long.
    Labels,
    /// A histogram of too many buckets.
    Buckets,
    /// Older than the window for late samples, or in conflict with a sample that is held.
    OutOfOrder,
    /// Too far ahead of the clock.
    TooFarAhead,
    /// A series that names another tenant than the request.
    OtherTenant,
    /// Not what a sample has to be.
    Malformed,
    /// As many queries as the tenant may ask at once.
    Queries,
    /// A query that took too long.
    QueryTime,
    /// A query that would load or produce too many samples.
    QuerySamples,
    /// A query that would look at too many series.
    QuerySeries,
    /// A query that would take too much memory.
    QueryBytes,
}

impl Reason {
    /// Its name in self-metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::RequestSamples => "request_samples",
            Self::Series => "series",
            Self::StoreSeries => "store_series",
            Self::Labels => "labels",
            Self::Buckets => "buckets",
            Self::OutOfOrder => "out_of_order",
            Self::TooFarAhead => "too_far_ahead",
            Self::OtherTenant => "other_tenant",
            Self::Malformed => "malformed",
            Self::Queries => "queries",
            Self::QueryTime => "query_time",
            Self::QuerySamples => "query_samples",
            Self::QuerySeries => "query_series",
            Self::QueryBytes => "query_bytes",
        }
    }

    /// Why a series is kept out.
    pub(super) fn of(error: &SeriesError) -> Self {
        match error {
            SeriesError::TenantSeriesLimit { .. } => Self::Series,
            SeriesError::SeriesLimit { .. } => Self::StoreSeries,
            _ => Self::Labels,
        }
    }

    /// Why a sample of a known series is; `None` if it is not, or is sent again.
    fn of_outcome(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Stored | Outcome::Duplicate | Outcome::UnknownSeries => None,
            Outcome::OutOfOrder => Some(Self::OutOfOrder),
            Outcome::TooFarAhead => Some(Self::TooFarAhead),
            Outcome::Limit => Some(Self::Buckets),
        }
    }
}

/// What a tenant took and was refused, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantReport {
    /// Its name; "" of what is nobody's, and of queries that see the platform as a whole.
    pub tenant: String,
    /// Series held.
    pub series: u64,
    /// Samples stored.
    pub samples: u64,
    /// Samples refused, by reason.
    pub refused_samples: BTreeMap<Reason, u64>,
    /// Queries that had their turn.
    pub queries: u64,
    /// Queries under way or waiting.
    pub queries_now: u64,
    /// Queries refused or ended by a limit, by reason.
    pub refused_queries: BTreeMap<Reason, u64>,
}

impl TenantReport {
    /// Whether it has anything, or was refused anything: a name that was only asked for is no tenant.
    fn is_worth_telling(&self) -> bool {
        self.tenant.is_empty()
            || self.series > 0
            || self.samples > 0
            || !self.refused_samples.is_empty()
            || !self.refused_queries.is_empty()
    }
}

/// A tenant, by its place in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TenantNo(u32);

#[derive(Debug, Default)]
struct Account {
    limits: TenantLimits,
    bucket: Bucket,
    report: TenantReport,
}

#[derive(Debug, Default)]
struct Register {
    limits: Limits,
    /// [`Limits::free_samples`]
    free_samples: u64,
    numbers: BTreeMap<String, TenantNo>,
    accounts: Vec<Account>,
}

/// Every tenant that was ever heard of.
#[derive(Debug, Default)]
pub(super) struct Tenants(Mutex<Register>);

/// Why all samples of a tenant in a request are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Overrun {
    /// It sent too many lately.
    #[error("tenant {tenant:?} sends more than {limit} samples a second; try again in {retry_after_s} s")]
    Rate {
        /// Whose samples they are.
        tenant: String,
        /// How many it may send in a second.
        limit: u64,
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// They are more than it may ever send at once.
    #[error(
        "a request with {samples} samples of tenant {tenant:?}, allowed are {limit} at once; send less at a time"
    )]
    Size {
        /// Whose samples they are.
        tenant: String,
        /// How many there are; at least, if it was not counted further.
        samples: u64,
        /// How many there may be.
        limit: u64,
    },
}

impl Overrun {
    fn reason(&self) -> Reason {
        match self {
            Self::Rate { .. } => Reason::Rate,
            Self::Size { .. } => Reason::RequestSamples,
        }
    }

    /// After how many seconds the samples may be taken; `None` if never.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Rate { retry_after_s, .. } => Some(*retry_after_s),
            Self::Size { .. } => None,
        }
    }
}

/// Whose the samples of a batch are, in order: how many neighbours are of one tenant.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<(TenantNo, usize)>);

impl Runs {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn push(&mut self, tenant: TenantNo, samples: usize) {
        match self.0.last_mut() {
            Some((last, count)) if *last == tenant => *count += samples,
            _ if samples > 0 => self.0.push((tenant, samples)),
            _ => {}
        }
    }

    fn add_to(&self, totals: &mut BTreeMap<TenantNo, u64>) {
        for (tenant, count) in &self.0 {
            *totals.entry(*tenant).or_default() += *count as u64;
        }
    }

    /// Leaves only those of a batch, whose runs these are, that are of none of the tenants.
    pub(super) fn drop_of<T>(&self, refused: &BTreeMap<TenantNo, Overrun>, batch: &mut Vec<T>) {
        let mut runs = self
            .0
            .iter()
            .flat_map(|(tenant, count)| std::iter::repeat_n(*tenant, *count));
        batch.retain(|_| runs.next().is_some_and(|tenant| !refused.contains_key(&tenant)));
    }

    /// Forgets the runs of these tenants.
    pub(super) fn forget(&mut self, refused: &BTreeMap<TenantNo, Overrun>) {
        self.0.retain(|(tenant, _)| !refused.contains_key(tenant));
    }
}

/// The samples of each tenant in some batches.
pub(super) fn totals<const N: usize>(batches: [&Runs; N]) -> BTreeMap<TenantNo, u64> {
    let mut totals = BTreeMap::new();
    for runs in batches {
        runs.add_to(&mut totals);
    }
    totals
}

/// Whose a series with these labels is; "" if nobody's.
pub(super) fn tenant_of(labels: &Labels) -> &str {
    labels.get(TENANT_LABEL).unwrap_or_default()
}

impl Register {
    /// O(log tenants).
    fn number(&mut self, name: &str) -> TenantNo {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let is_full = self.accounts.len() >= TENANTS_MAX;
        let name = if is_full { OTHER } else { name };
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = TenantNo(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        self.accounts.push(Account {
            limits: self.limits.of_tenant(name),
            report: TenantReport {
                tenant: name.to_owned(),
                ..TenantReport::default()
            },
            ..Account::default()
        });
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn account(&mut self, tenant: TenantNo) -> Option<&mut Account> {
        self.accounts.get_mut(tenant.0 as usize)
    }
}

impl Tenants {
    fn register(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other limits in force, for `store` too.
    pub(super) fn limit(&self, limits: Limits, store: &Store) {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let of_series = |limits: TenantLimits| SeriesLimits {
            max_series: size(limits.series),
            max_label_names: size(limits.label_names),
            max_label_name_bytes: size(limits.label_name_bytes),
            max_label_value_bytes: size(limits.label_value_bytes),
        };
        let own = limits
            .own()
            .map(|(tenant, limits)| (tenant.to_owned(), of_series(limits)));
        store.limit_tenants(of_series(limits.default()), own.collect());
        let mut register = self.register();
        register.free_samples = limits.free_samples();
        register.limits = limits;
        let Register { limits, accounts, .. } = &mut *register;
        for account in accounts {
            account.limits = limits.of_tenant(&account.report.tenant);
        }
    }

    /// A tenant's number, by its name.
    pub(super) fn number(&self, name: &str) -> TenantNo {
        self.register().number(name)
    }

    /// Whose the series with these labels are.
    pub(super) fn runs<'a>(&self, series: impl Iterator<Item = &'a Labels>) -> Runs {
        let mut runs = Runs::default();
        let mut before: Option<(&str, TenantNo)> = None;
        for labels in series {
            let name = tenant_of(labels);
            let number = match before {
                Some((same, number)) if same == name => number,
                _ => self.number(name),
            };
            before = Some((name, number));
            runs.push(number, 1);
        }
        runs
    }

    /// Whether a request of at most so many samples need not be counted.
    pub(super) fn cannot_overrun(&self, tenant: TenantNo, at_most: u64) -> bool {
        let mut register = self.register();
        let limits = register.account(tenant).map(|account| account.limits);
        limits.is_none_or(|limits| limits.samples_per_s == NO_LIMIT && at_most <= limits.request_samples)
    }

    /// Whether nobody has a rate, and a request of so many samples may be of any tenant.
    pub(super) fn all_may_send(&self, samples: usize) -> bool {
        samples as u64 <= self.register().free_samples
    }

    /// Charges each tenant for the samples it sends at `now_ms`, and says whose are refused. All of a tenant's are, or
    /// none. What is refused is counted.
    pub(super) fn charge(
        &self,
        totals: &BTreeMap<TenantNo, u64>,
        now_ms: i64,
    ) -> BTreeMap<TenantNo, Overrun> {
        let mut register = self.register();
        let mut refused = BTreeMap::new();
        for (number, samples) in totals {
            let Some(account) = register.account(*number) else {
                continue;
            };
            let limits = account.limits;
            let tenant = || account.report.tenant.clone();
            let (samples, size) = (*samples, |limit| Overrun::Size {
                tenant: tenant(),
                samples: *samples,
                limit,
            });
            let overrun = if samples > limits.request_samples {
                size(limits.request_samples)
            } else {
                match account.bucket.take(samples, &limits, now_ms) {
                    Ok(()) => continue,
                    Err(TooMany::Never { burst }) => size(burst),
                    Err(TooMany::Wait { retry_after_s }) => Overrun::Rate {
                        tenant: tenant(),
                        limit: limits.samples_per_s,
                        retry_after_s,
                    },
                }
            };
            *account
                .report
                .refused_samples
                .entry(overrun.reason())
                .or_default() += samples;
            refused.insert(*number, overrun);
        }
        refused
    }

    /// Counts samples that are refused.
    pub(super) fn refuse(&self, tenant: TenantNo, reason: Reason, samples: u64) {
        if let Some(account) = self.register().account(tenant) {
            *account.report.refused_samples.entry(reason).or_default() += samples;
        }
    }

    /// Counts what became of a batch whose runs these are.
    pub(super) fn settle(&self, runs: &Runs, outcomes: &[Outcome]) {
        let mut register = self.register();
        let mut rest = outcomes;
        for (tenant, count) in &runs.0 {
            let (these, others) = rest.split_at((*count).min(rest.len()));
            rest = others;
            let Some(account) = register.account(*tenant) else {
                continue;
            };
            for outcome in these {
                match Reason::of_outcome(*outcome) {
                    None if *outcome == Outcome::Stored => account.report.samples += 1,
                    None => {}
                    Some(reason) => *account.report.refused_samples.entry(reason).or_default() += 1,
                }
            }
        }
    }

    /// What holds for something of all these tenants: of each limit the smallest.
    pub(super) fn limits(&self, reach: &Reach) -> TenantLimits {
        let register = self.register();
        let of_each = reach.tenants().map(|tenant| register.limits.of_tenant(tenant));
        let all = of_each.reduce(TenantLimits::strictest);
        all.unwrap_or_else(|| register.limits.of_tenant(""))
    }

    /// What every tenant took and was refused, in order of name.
    pub(super) fn report(&self, store: &Store) -> Vec<TenantReport> {
        let series = store.tenants();
        let mut register = self.register();
        for tenant in series.keys() {
            register.number(tenant);
        }
        for account in &mut register.accounts {
            account.report.series = 0;
        }
        for (tenant, count) in series {
            let number = register.number(&tenant);
            if let Some(account) = register.account(number) {
                account.report.series += count as u64;
            }
        }
        let in_order = register.numbers.values();
        in_order
            .filter_map(|number| register.accounts.get(number.0 as usize))
            .filter(|account| account.report.is_worth_telling())
            .map(|account| account.report.clone())
            .collect()
    }
}

/// A shared register, for what outlives the question.
pub(super) type SharedTenants = Arc<Tenants>;
