//! Objectives.

mod api;
mod page;

use mainstay_kernel::Role;

use crate::route::{LOOK, Route};
use crate::view::{Slo, SloDetail, WhatIf, WhatIfAsked};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/slos", "Objectives and their budgets", page::list).query(LOOK),
        Route::get("/slos/{id}", "One objective in depth", page::one).query(LOOK),
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
