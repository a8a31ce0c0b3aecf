//! Queries of tenants: how many at once, and what ended them.

use mainstay_kernel::Reach;

use super::{Reason, SharedTenants, TenantLimits, TenantNo};
use crate::telemetry::Telemetry;

/// A tenant asks as much at once as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant:?} has {limit} queries under way, its limit")]
pub struct QueryRefusal {
    /// The tenant.
    pub tenant: String,
    /// How many queries it may have under way.
    pub limit: u64,
}

/// A query that is under way until this is dropped.
#[derive(Debug)]
pub struct QueryTurn {
    tenants: SharedTenants,
    whose: Vec<TenantNo>,
    /// What it may take up.
    pub limits: TenantLimits,
}

impl QueryTurn {
    /// Notes that a limit ended it.
    pub fn ended_by(&self, reason: Reason) {
        let mut register = self.tenants.register();
        for tenant in &self.whose {
            if let Some(account) = register.account(*tenant) {
                *account.report.refused_queries.entry(reason).or_default() += 1;
            }
        }
    }
}

impl Drop for QueryTurn {
    fn drop(&mut self) {
        let mut register = self.tenants.register();
        for tenant in &self.whose {
            if let Some(account) = register.account(*tenant) {
                account.report.queries_now = account.report.queries_now.saturating_sub(1);
            }
        }
    }
}

impl Telemetry {
    /// What a query that sees the series within reach may take up: of each limit of these tenants the smallest.
    #[must_use]
    pub fn query_limits(&self, reach: &Reach) -> TenantLimits {
        self.tenants.limits(reach)
    }

    /// Begins a query that sees the series within reach. It counts with every tenant that it reaches.
    ///
    /// # Errors
    /// If one of them has as many under way as it may.
    pub fn begin_query(&self, reach: &Reach) -> Result<QueryTurn, QueryRefusal> {
        let limits = self.tenants.limits(reach);
        let mut register = self.tenants.register();
        let whose: Vec<TenantNo> = match reach {
            Reach::All => vec![register.number("")],
            Reach::Only(_) => reach.tenants().map(|tenant| register.number(tenant)).collect(),
        };
        for tenant in &whose {
            let Some(account) = register.account(*tenant) else {
                continue;
            };
            let limit = account.limits.queries;
            if account.report.queries_now >= limit {
                *account.report.refused_queries.entry(Reason::Queries).or_default() += 1;
                return Err(QueryRefusal {
                    tenant: account.report.tenant.clone(),
                    limit,
                });
            }
        }
        for tenant in &whose {
            if let Some(account) = register.account(*tenant) {
                account.report.queries += 1;
                account.report.queries_now += 1;
            }
        }
        drop(register);
        Ok(QueryTurn {
            tenants: SharedTenants::clone(&self.tenants),
            whose,
            limits,
        })
    }
}
