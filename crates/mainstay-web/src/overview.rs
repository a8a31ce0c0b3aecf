//! The first screen, and the situation around every page.

mod api;
mod page;

pub(crate) use page::{changes_table, exhaustion_words, slo_table};

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::route::{LOOK, Route};
use crate::view::{Look, Overview, Situation};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/",
            "The overview: what is the matter, in one sentence and in depth",
            page::overview,
        )
        .query(LOOK),
        Route::get(
            "/api/v1/overview",
            "Everything that the overview shows",
            api::overview,
        )
        .query(LOOK)
        .gives::<Overview>(),
        Route::get(
            "/api/v1/situation",
            "What is true right now: firing alerts, who is on call, the age of data",
            api::situation,
        )
        .gives::<Situation>(),
    ]
}

/// What page and API show.
async fn ask(app: &App, caller: &Caller, look: &Look) -> Result<Overview, WebError> {
    let mut overview = app.console.overview(&caller.principal, look).await?;
    let situation = app.console.situation(&caller.principal).await?;
    overview.sentence = overview.sentence.unless_stale(situation.data_at, app.now());
    Ok(overview)
}
