//! What changes or copies the store: Prometheus' `admin/tsdb`. For administrators of the whole platform.

use axum::extract::State;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use mainstay_kernel::Role;
use serde_json::json;

use super::answer::{Answered, Good};
use super::given::Given;
use super::{END, START};
use crate::app::App;
use crate::guard::Caller;
use crate::route::{Gives, Parameter, Route};
use crate::view::{Deletion, QueryError};

/// Files may have to be written anew.
const TIMEOUT_MS: u64 = 300_000;

const DELETE: &[Parameter] = &[
    Parameter::required(
        "match[]",
        "A selector of series, such as up{job=\"a\"}; may be given several times.",
    ),
    START,
    END,
    Parameter::optional(
        "dry_run",
        "true: delete nothing, and say how many series and samples it would be. Prometheus does not know it.",
    ),
];
const SNAPSHOT: &[Parameter] = &[Parameter::optional(
    "skip_head",
    "true: without the samples that are not in files yet.",
)];

fn both<T: 'static, H: Handler<T, App>>(
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    handler: H,
) -> [Route; 2] {
    let put = Route::put(path, "The same", handler.clone());
    [Route::post(path, summary, handler), put].map(|route| {
        route
            .role(Role::Admin)
            .platform()
            .form(parameters)
            .content(Gives::Prometheus)
            .timeout_ms(TIMEOUT_MS)
    })
}

pub(super) fn routes() -> impl Iterator<Item = Route> {
    let delete = both(
        "/api/v1/admin/tsdb/delete_series",
        "Delete the samples of series, for good; a change record says who deleted what",
        DELETE,
        delete_series,
    );
    let clean = both(
        "/api/v1/admin/tsdb/clean_tombstones",
        "Write the files anew of which something was deleted",
        &[],
        clean_tombstones,
    );
    let snapshot = both(
        "/api/v1/admin/tsdb/snapshot",
        "Copy the store, by hard links, into the directory snapshots of its data",
        SNAPSHOT,
        snapshot,
    );
    delete.into_iter().chain(clean).chain(snapshot)
}

async fn delete_series(State(app): State<App>, caller: Caller, given: Given) -> Result<Response, QueryError> {
    if given.all("match[]").next().is_none() {
        return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
    }
    let deletion = Deletion {
        selection: given.selection()?,
        selectors: given.all("match[]").map(str::to_owned).collect(),
        dry_run: given.flag("dry_run")?,
    };
    let deleted = app.console.delete_series(&caller.principal, &deletion).await?;
    if deletion.dry_run {
        let data = json!({"series": deleted.series, "samples": deleted.samples});
        return Ok(Good::data(data).into_response());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn clean_tombstones(State(app): State<App>, caller: Caller) -> Result<StatusCode, QueryError> {
    app.console.clean_tombstones(&caller.principal).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn snapshot(State(app): State<App>, caller: Caller, given: Given) -> Answered {
    let name = app
        .console
        .snapshot(&caller.principal, given.flag("skip_head")?)
        .await?;
    Ok(Good::data(json!({ "name": name })))
}
