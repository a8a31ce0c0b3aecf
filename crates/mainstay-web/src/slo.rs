//! Objectives.

mod api;
mod depth;
mod page;
mod what_if;

use mainstay_kernel::Role;

use crate::route::{LOOK, Parameter, Route};
use crate::view::{Slo, SloDetail, WhatIf, WhatIfAsked};

/// What narrows the list besides the part of the platform.
const LIST: &[Parameter] = &[
    LOOK[0],
    LOOK[1],
    LOOK[2],
    LOOK[3],
    Parameter::optional(
        "state",
        "Only budgets in this state: exhausted, critical, warning, healthy or unknown.",
    ),
];

/// What one objective is asked besides.
const DEPTH: &[Parameter] = &[
    LOOK[0],
    LOOK[1],
    LOOK[2],
    LOOK[3],
    Parameter::optional(
        "targets",
        "What if it had these targets, in percent, with commas between them: 99.9, 99.95. At most ten.",
    ),
    Parameter::optional(
        "over",
        "Over how long that is reckoned: 1d, 7d, 30d (default) or 90d.",
    ),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/slos", "Objectives and their budgets", page::list).query(LIST),
        Route::get("/slos/{id}", "One objective in depth", page::one).query(DEPTH),
        Route::get("/api/v1/slos", "Objectives and their budgets", api::list)
            .query(LOOK)
            .gives::<Vec<Slo>>(),
        Route::get("/api/v1/slos/{id}", "One objective in depth", api::one)
            .query(LOOK)
            .gives::<SloDetail>(),
        Route::post(
            "/api/v1/slos/{id}/whatif",
            "What if an objective had other targets: budgets and pages, by the counts that are kept",
            api::what_if,
        )
        .role(Role::Viewer)
        .query(LOOK)
        .takes::<WhatIfAsked>()
        .gives::<WhatIf>(),
    ]
}
