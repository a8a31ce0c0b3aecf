//! Queries: Prometheus' HTTP API, and the page that every number links to.

mod api;
mod page;
mod parameters;

use crate::route::{Gives, Parameter, Route};

const INSTANT: &[Parameter] = &[
    Parameter {
        name: "query",
        required: true,
        about: "The PromQL expression.",
    },
    Parameter {
        name: "time",
        required: false,
        about: "The instant: seconds since the epoch or RFC 3339; default now.",
    },
    Parameter {
        name: "timeout",
        required: false,
        about: "How long it may take: seconds or 1m30s; at most 2 minutes.",
    },
];
const RANGE: &[Parameter] = &[
    Parameter {
        name: "query",
        required: true,
        about: "The PromQL expression.",
    },
    Parameter {
        name: "start",
        required: true,
        about: "The first instant: seconds since the epoch or RFC 3339.",
    },
    Parameter {
        name: "end",
        required: true,
        about: "The last instant.",
    },
    Parameter {
        name: "step",
        required: true,
        about: "The distance between instants: seconds or 1m30s.",
    },
    Parameter {
        name: "timeout",
        required: false,
        about: "How long it may take: seconds or 1m30s; at most 2 minutes.",
    },
];
const FORM: &[&str] = &["query", "time", "start", "end", "step", "timeout"];
/// A little more than the longest query may take.
const TIMEOUT_MS: u64 = 125_000;

pub(crate) fn routes() -> Vec<Route> {
    let api = |route: Route| route.platform().content(Gives::Prometheus).timeout_ms(TIMEOUT_MS);
    vec![
        Route::get(
            "/query",
            "Run an expression and look at what it finds",
            page::query,
        )
        .platform()
        .query(&INSTANT[..1])
        .timeout_ms(TIMEOUT_MS),
        api(Route::get(
            "/api/v1/query",
            "An expression at one instant (Prometheus HTTP API)",
            api::instant_get,
        ))
        .query(INSTANT),
        api(Route::post(
            "/api/v1/query",
            "The same, with the parameters in a form",
            api::instant_post,
        ))
        .role(mainstay_kernel::Role::Viewer)
        .fields(FORM),
        api(Route::get(
            "/api/v1/query_range",
            "An expression over a range (Prometheus HTTP API)",
            api::range_get,
        ))
        .query(RANGE),
        api(Route::post(
            "/api/v1/query_range",
            "The same, with the parameters in a form",
            api::range_post,
        ))
        .role(mainstay_kernel::Role::Viewer)
        .fields(FORM),
    ]
}
