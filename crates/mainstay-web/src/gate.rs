//! The gate: whether a change may go out, by what is left of the error budgets.

mod api;
mod page;

pub(crate) use page::place_rows;

use crate::route::Route;
use crate::view::{Done, GateAnswer, GateApproval, GatePlace, GatePolicies, GateRequest, GateStatement};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/gate",
            "The gate: where a deploy would be held up now, policies, approvals, recent answers",
            page::gate,
        )
        .platform(),
        Route::get(
            "/api/v1/gate/places",
            "What the gate would say now of each service in each cell; nothing is written, and nobody may go by it",
            api::places,
        )
        .platform()
        .gives::<Vec<GatePlace>>(),
        Route::post(
            "/api/v1/gate/deploy",
            "Ask whether a change may go out; the answer is in the journal, and signed",
            api::ask,
        )
        .platform()
        .takes::<GateRequest>()
        .gives::<GateAnswer>(),
        Route::post(
            "/api/v1/gate/approvals",
            "Approve changes of a service in a cell",
            api::approve,
        )
        .platform()
        .takes::<GateApproval>()
        .gives::<Done>(),
        Route::get("/api/v1/gate/answers", "Answers, newest first", api::answers)
            .platform()
            .gives::<Vec<GateStatement>>(),
        Route::get(
            "/api/v1/gate/policy",
            "Error budget policies, what they apply to, and the approvals that hold",
            api::policy,
        )
        .platform()
        .gives::<GatePolicies>(),
    ]
}
