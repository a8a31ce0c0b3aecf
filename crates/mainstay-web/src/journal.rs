//! The journal: why, and is it whole.

mod api;
mod page;

use mainstay_kernel::Role;

use crate::route::Route;
use crate::view::{BackupMade, Explained, JournalReport, Why};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/why/{subject}",
            "Why an event came about, or why somebody was told of an alert, a page or an incident",
            page::why,
        ),
        Route::get(
            "/api/v1/why/{subject}",
            "Every decision about an alert (by its fingerprint), a page or an incident, in its order",
            api::explain,
        )
        .gives::<Explained>(),
        Route::get("/api/v1/events/{event}/why", "Why an event came about", api::why).gives::<Why>(),
        Route::post(
            "/api/v1/journal/verify",
            "Recompute every hash chain of the journal",
            api::verify,
        )
        .role(Role::Admin)
        .platform()
        .gives::<JournalReport>()
        .timeout_ms(300_000),
        Route::post(
            "/api/v1/backups",
            "Copy everything that is kept, without stopping",
            api::back_up,
        )
        .role(Role::Admin)
        .platform()
        .gives::<BackupMade>()
        .timeout_ms(300_000),
    ]
}
