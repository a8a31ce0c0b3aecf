//! The first screen, and the situation around every page.

mod api;
mod page;

pub(crate) use page::{changes_table, slo_table};

use crate::route::{LOOK, Route};
use crate::view::{Overview, Situation};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/",
            "The overview: what is the matter, in one sentence and in depth",
            page::overview,
        )
        .query(LOOK),
        Route::get(
            "/api/v1/overview",
            "Everything that the overview shows",
            api::overview,
        )
        .query(LOOK)
        .gives::<Overview>(),
        Route::get(
            "/api/v1/situation",
            "What is true right now: firing alerts, who is on call, the age of data",
            api::situation,
        )
        .gives::<Situation>(),
    ]
}
