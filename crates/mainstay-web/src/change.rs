//! Changes of the platform: the list, and the door by which they are reported.

pub(crate) mod api;
mod page;

use crate::route::{LOOK, Route};
use crate::view::{Change, Done};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/changes", "Changes, newest first", page::list).query(LOOK),
        Route::get("/api/v1/changes", "Changes, newest first", api::list)
            .query(LOOK)
            .gives::<Vec<Change>>(),
        Route::post(
            "/api/v1/changes",
            "Report a change: one CloudEvent, structured or binary mode",
            api::record,
        )
        .platform()
        .takes::<api::CloudEventSchema>()
        .gives::<Done>(),
    ]
}
