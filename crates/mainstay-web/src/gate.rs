//! The gate: whether a change may go out, by what is left of the error budgets.

mod api;

use crate::route::Route;
use crate::view::{Done, GateAnswer, GateApproval, GateKey, GatePolicies, GateRequest, GateStatement};

pub(crate) fn routes() -> Vec<Route> {
    vec![
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
        Route::get("/api/v1/gate/key", "The key that verifies answers", api::key)
            .platform()
            .gives::<GateKey>(),
    ]
}
