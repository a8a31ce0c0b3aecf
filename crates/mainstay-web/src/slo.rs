//! Objectives.

mod api;
mod page;

use crate::route::{LOOK, Route};
use crate::view::{Slo, SloDetail};

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
    ]
}
