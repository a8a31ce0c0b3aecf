//! The catalog in force.

mod api;
mod page;

use mainstay_kernel::Role;

use crate::route::{Gives, Route};
use crate::view::{Applied, CatalogInfo};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/catalog", "The catalog in force", page::catalog).platform(),
        Route::get("/api/v1/catalog", "The catalog in force", api::catalog)
            .platform()
            .gives::<CatalogInfo>(),
        Route::get(
            "/api/v1/catalog/archive",
            "The documents of the catalog in force, as one archive",
            api::archive,
        )
        .platform()
        .content(Gives::Other("application/octet-stream")),
        Route::post(
            "/api/v1/catalog/apply",
            "Read the catalog's directory anew and put it in force",
            api::apply,
        )
        .role(Role::Admin)
        .platform()
        .gives::<Applied>(),
    ]
}
