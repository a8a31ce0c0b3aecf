//! Signing in and out, the embedded assets, and the two questions that a load balancer asks.

mod page;

use crate::route::{Gives, Parameter, Route};

const NEXT: &[Parameter] = &[Parameter::optional(
    "next",
    "Where to go afterwards: a path of this server.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/login", "The page to sign in", page::form)
            .public()
            .query(NEXT),
        Route::post("/login", "Sign in with a token", page::sign_in)
            .public()
            .fields(&["token", "next"]),
        Route::post("/logout", "Sign out", page::sign_out)
            .role(mainstay_kernel::Role::Viewer)
            .fields(&[]),
        Route::get(
            "/assets/{name}",
            "The style sheet and the script, by digest",
            page::asset,
        )
        .public()
        .content(Gives::Other("text/css")),
        Route::get("/healthz", "Whether this process lives", page::health)
            .public()
            .content(Gives::Other("text/plain")),
    ]
}
