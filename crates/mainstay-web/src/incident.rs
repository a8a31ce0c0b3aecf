//! Incidents: what is wrong, whom it hits, what was done, and the buttons to do more.

mod act;
mod api;
mod page;

pub(crate) use page::table;

use crate::route::{Gives, LOOK, Route};
use crate::view::{Done, Incident, IncidentSummary};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/incidents", "Incidents, open ones first", page::list).query(LOOK),
        Route::get("/incidents/{id}", "One incident", page::one),
        Route::get(
            "/incidents/{id}/postmortem",
            "The post-mortem draft of an incident",
            page::postmortem,
        ),
        Route::post(
            "/incidents/{id}/acknowledge",
            "Take an incident on",
            act::acknowledge,
        )
        .fields(&[]),
        Route::post("/incidents/{id}/resolve", "End an incident", act::resolve).fields(&["note"]),
        Route::post("/incidents/{id}/notes", "Write into the timeline", act::note).fields(&["text"]),
        Route::post(
            "/incidents/{id}/runbooks/{runbook}/steps/{step}",
            "Run or tick off one step of a runbook",
            act::step,
        )
        .fields(&[])
        .timeout_ms(30_000),
        Route::post(
            "/pages/{id}/acknowledge",
            "Take one page on",
            act::acknowledge_page,
        )
        .fields(&[]),
        Route::get("/api/v1/incidents", "Incidents, open ones first", api::list)
            .query(LOOK)
            .gives::<Vec<IncidentSummary>>(),
        Route::get("/api/v1/incidents/{id}", "One incident", api::one).gives::<Incident>(),
        Route::get(
            "/api/v1/incidents/{id}/postmortem",
            "The post-mortem draft, CommonMark",
            api::postmortem,
        )
        .content(Gives::Other("text/markdown; charset=utf-8")),
        Route::post(
            "/api/v1/incidents/{id}/acknowledge",
            "Take every page of an incident on",
            api::acknowledge,
        )
        .gives::<Done>(),
        Route::post(
            "/api/v1/pages/{id}/acknowledge",
            "Take one page on",
            api::acknowledge_page,
        )
        .gives::<Done>(),
        Route::post("/api/v1/incidents/{id}/resolve", "End an incident", api::resolve)
            .takes::<api::ResolveBody>()
            .gives::<Done>(),
        Route::post(
            "/api/v1/incidents/{id}/notes",
            "Write into the timeline",
            api::note,
        )
        .takes::<api::NoteBody>()
        .gives::<Done>(),
        Route::post(
            "/api/v1/incidents/{id}/runbooks/{runbook}/steps/{step}",
            "Run or tick off one step of a runbook",
            api::step,
        )
        .gives::<Done>()
        .timeout_ms(30_000),
    ]
}
