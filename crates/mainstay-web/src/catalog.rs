//! The catalog in force.

mod api;
mod page;

use crate::route::Route;
use crate::view::CatalogInfo;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/catalog", "The catalog in force", page::catalog).platform(),
        Route::get("/api/v1/catalog", "The catalog in force", api::catalog)
            .platform()
            .gives::<CatalogInfo>(),
    ]
}
