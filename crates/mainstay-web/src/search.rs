//! Search: one field that leads anywhere.

mod page;

use crate::route::{Parameter, Route};

const QUERY: &[Parameter] = &[Parameter::optional("q", "Words that must all occur, or an id.")];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/search",
            "Search incidents, alerts, objectives and changes",
            page::search,
        )
        .query(QUERY),
    ]
}
