//! Changes for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_ui::live;
use maud::html;

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::overview::changes_table;
use crate::request::{Head, Visit, show};

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let changes = app.console.changes(&visit.caller.principal, &visit.look).await?;
    let topic = Topic::overview();
    let main = html! {
        h1 { "Changes" }
        (live::region("changes", topic.as_str(), html! { section { (changes_table(&changes, app.now())) } }))
    };
    let head = Head {
        title: "Changes",
        place: "/changes",
        topic,
        scoped: true,
    };
    show(&app, &visit, head, main).await
}
