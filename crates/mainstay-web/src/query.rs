//! The page that every number links to.

mod page;

use crate::prometheus::TIMEOUT_MS;
use crate::route::{Parameter, Route};

const QUERY: &[Parameter] = &[Parameter::optional("query", "The PromQL expression.")];

pub(crate) fn routes() -> Vec<Route> {
    let page = Route::get(
        "/query",
        "Run an expression and look at what it finds",
        page::query,
    );
    vec![page.platform().query(QUERY).timeout_ms(TIMEOUT_MS)]
}
