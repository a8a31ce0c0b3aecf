//! Alerts: the list, and the two doors by which other systems' alerts come in.

mod api;
mod page;

pub(crate) use page::{compact, table};

use crate::route::{INGEST_MAX_BYTES, LOOK, Parameter, Route};
use crate::view::{Alert, AlertReview, Done, PostableAlert, WebhookMessage};

const REVIEW: &[Parameter] = &[Parameter::optional(
    "days",
    "Days back from now; 30 if nothing is said, at most 366.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/alerts", "Alerts, firing ones first", page::list).query(LOOK),
        Route::get("/api/v1/alerts/all", "Alerts, firing ones first", api::list)
            .query(LOOK)
            .gives::<Vec<Alert>>(),
        Route::get(
            "/api/v1/alerts/review",
            "Which alerts led to work, which to nothing, and which rules and objectives never fired",
            api::review,
        )
        .platform()
        .query(REVIEW)
        .gives::<AlertReview>(),
        Route::post(
            "/api/v2/alerts",
            "Take alerts in, as Alertmanager's API v2 does",
            api::post_v2,
        )
        .platform()
        .takes::<Vec<PostableAlert>>()
        .gives::<Done>()
        .body_max_bytes(INGEST_MAX_BYTES),
        Route::post(
            "/api/v1/alerts/webhook",
            "Take alerts in from an Alertmanager's webhook receiver (version 4)",
            api::webhook,
        )
        .platform()
        .takes::<WebhookMessage>()
        .gives::<Done>()
        .body_max_bytes(INGEST_MAX_BYTES),
    ]
}
