//! The service level indicator: one count per client request, in series that exist before traffic does.

use crate::metrics::{Counter, Counters, DURATION_BUCKETS_SECONDS, Histogram, Histograms, Registry};
use axum::http::StatusCode;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::time::Instant;

/// The service that the counts are about.
const SERVICE: &str = crate::model::service::PAYMENT;
/// Stands for requests without a tenant of this cell.
const UNKNOWN: &str = "unknown";
/// nginx's status for a client that went away before its answer; no client ever sees it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Initiate,
    Payment,
    Balance,
    Other,
}

const ROUTES: [Route; 4] = [Route::Initiate, Route::Payment, Route::Balance, Route::Other];

impl Route {
    const fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Initiate => ["POST", "/v1/payments"],
            Self::Payment => ["GET", "/v1/payments/{id}"],
            Self::Balance => ["GET", "/v1/accounts/{id}/balance"],
            Self::Other => ["any", "other"],
        }
    }

    /// The statuses that a client can be answered with on this route.
    const fn statuses(self) -> &'static [u16] {
        match self {
            Self::Initiate => &[
                202,
                400,
                408,
                409,
                413,
                421,
                422,
                429,
                CLIENT_CLOSED_REQUEST,
                500,
                502,
                503,
                504,
            ],
            Self::Payment | Self::Balance => &[
                200,
                400,
                404,
                408,
                409,
                413,
                421,
                429,
                CLIENT_CLOSED_REQUEST,
                500,
                502,
                503,
                504,
            ],
            Self::Other => &[404, 429, CLIENT_CLOSED_REQUEST],
        }
    }

    /// `status` if this route has it, else what stands for it: a service that answers with something unheard-of
    /// is a bad gateway, so that every answer has a series that was there before it.
    pub(super) fn known_status(self, status: StatusCode) -> StatusCode {
        if self.statuses().contains(&status.as_u16()) {
            status
        } else {
            StatusCode::BAD_GATEWAY
        }
    }
}

struct Tenant {
    requests: BTreeMap<(Route, u16), Counter>,
    durations: Histogram,
}

/// The counters of this gateway.
pub(super) struct Sli {
    requests: Counters,
    durations: Histograms,
    tenants: RwLock<BTreeMap<String, Arc<Tenant>>>,
}

impl Sli {
    pub(super) fn declare<'a>(metrics: &Registry, tenants: impl Iterator<Item = &'a str>) -> Self {
        let sli = Self {
            requests: metrics.counters(
                "http_requests_total",
                "Client requests by what the client was answered.",
                &["service", "tenant", "method", "route", "status"],
            ),
            durations: metrics.histograms(
                "http_request_duration_seconds",
                "Time from the request's head to its answer.",
                &["service", "tenant"],
                DURATION_BUCKETS_SECONDS,
            ),
            tenants: RwLock::default(),
        };
        sli.add_tenants(tenants.chain([UNKNOWN]));
        sli
    }

    /// Declares the series of tenants that are new.
    pub(super) fn add_tenants<'a>(&self, tenants: impl Iterator<Item = &'a str>) {
        for tenant in tenants {
            if self
                .tenants
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(tenant)
            {
                continue;
            }
            let mut requests = BTreeMap::new();
            for route in ROUTES {
                let [method, path] = route.labels();
                for &status in route.statuses() {
                    let labels = [SERVICE, tenant, method, path, &status.to_string()];
                    requests.insert((route, status), self.requests.with(&labels));
                }
            }
            let series = Arc::new(Tenant {
                requests,
                durations: self.durations.with(&[SERVICE, tenant]),
            });
            self.tenants
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(tenant.to_owned(), series);
        }
    }

    pub(super) fn begin(&self, tenant: &str, route: Route, began: Instant) -> Measured {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let series = tenants.get(tenant).or_else(|| tenants.get(UNKNOWN)).cloned();
        Measured {
            series,
            route,
            began,
            ended: false,
        }
    }
}

/// A request that is being answered; counted when it ends, or when it is dropped.
pub(super) struct Measured {
    series: Option<Arc<Tenant>>,
    route: Route,
    began: Instant,
    ended: bool,
}

impl Measured {
    pub(super) fn end(&mut self, status: StatusCode) {
        self.count(status.as_u16());
    }

    fn count(&mut self, status: u16) {
        self.ended = true;
        let Some(series) = &self.series else { return };
        if let Some(counter) = series.requests.get(&(self.route, status)) {
            counter.increment();
        }
        series.durations.observe(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.ended {
            self.count(CLIENT_CLOSED_REQUEST);
        }
    }
}
