//! What others must tell at least so often.

mod page;

use axum::extract::{Path, State};

use crate::app::App;
use crate::guard::Caller;
use crate::request::ApiAnswer;
use crate::route::Route;
use crate::view::{Done, Heartbeat};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/heartbeats",
            "How every heartbeat of the catalog stands",
            page::list,
        ),
        Route::get(
            "/api/v1/heartbeats",
            "How every heartbeat of the catalog stands",
            list,
        )
        .gives::<Vec<Heartbeat>>(),
        Route::post(
            "/api/v1/heartbeats/{name}",
            "Tell that something is alive: a heartbeat of the catalog came; it is durable when this answers",
            beat,
        )
        .gives::<Done>(),
    ]
}

async fn list(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<Heartbeat>> {
    Ok(app.envelope(app.console.heartbeats(&caller.principal).await?))
}

async fn beat(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> ApiAnswer<Done> {
    Ok(app.envelope(app.console.beat(&caller.principal, &name).await?))
}
