//! Monthly reports, and what does not count in them.

mod api;
mod page;

use mainstay_kernel::Role;

use crate::route::{Gives, LOOK, Parameter, Route};
use crate::view::{Adjustment, Done, IssuedReport, NewAdjustment, ReportIndex, SigningKeyInfo};

const TENANT: Parameter = Parameter::optional("tenant", "Of this tenant; without it, of the platform.");

/// What a report is asked by.
const ASK: &[Parameter] = &[
    TENANT,
    Parameter::optional("format", "json (default), md, html or csv."),
    Parameter::optional(
        "edition",
        "The number of an edition that was issued, or last; without it, the month as it is known now.",
    ),
];

/// Which month's reports are listed.
const MONTH: &[Parameter] = &[Parameter::optional(
    "month",
    "2026-10; without it, the running month.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/reports", "Monthly reports and their editions", page::reports).query(MONTH),
        Route::get(
            "/adjustments",
            "What does not count, by whose word",
            page::adjustments,
        ),
        Route::get(
            "/api/v1/reports",
            "The reports of a month and their editions, and the months that there are",
            api::index,
        )
        .query(MONTH)
        .gives::<ReportIndex>(),
        Route::get(
            "/api/v1/reports/{month}",
            "A monthly report, such as 2026-10: a draft, or an edition as it was issued",
            api::report,
        )
        .query(ASK)
        .content(Gives::Other("application/json"))
        .timeout_ms(30_000),
        Route::post(
            "/api/v1/reports/{month}",
            "Issue the next edition of a monthly report, unless nothing changed",
            api::issue,
        )
        .query(&[TENANT])
        .role(Role::Admin)
        .platform()
        .gives::<IssuedReport>()
        .timeout_ms(30_000),
        Route::get(
            "/api/v1/signing-key",
            "The public key that verifies editions of reports and answers of the gate",
            api::key,
        )
        .gives::<SigningKeyInfo>(),
        Route::get(
            "/api/v1/adjustments",
            "What does not count: entries of the ledger, and maintenance of the last and next 31 days",
            api::adjustments,
        )
        .gives::<Vec<Adjustment>>(),
        Route::post(
            "/api/v1/adjustments",
            "Write down a stretch that does not count",
            api::adjust,
        )
        .role(Role::Admin)
        .platform()
        .takes::<NewAdjustment>()
        .gives::<Done>(),
        Route::post(
            "/api/v1/adjustments/{number}/withdraw",
            "Take an adjustment back; both entries stay",
            api::withdraw,
        )
        .role(Role::Admin)
        .platform()
        .takes::<api::WithdrawBody>()
        .gives::<Done>(),
        Route::get(
            "/api/v1/slos/{id}/explain",
            "How every number of an objective comes about, CommonMark",
            api::explain,
        )
        .query(LOOK)
        .content(Gives::Other("text/markdown; charset=utf-8")),
    ]
}
