//! The catalog for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_ui::number::count;
use mainstay_ui::table::{dense, numeric, text};
use mainstay_ui::time;
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};

pub(super) async fn catalog(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let catalog = app.console.catalog(&visit.caller.principal).await?;
    let rows: Vec<Vec<Markup>> = catalog
        .documents
        .iter()
        .map(|documents| vec![html! { (documents.kind) }, html! { (count(documents.count)) }])
        .collect();
    let main = html! {
        h1 { "Catalog" }
        p {
            "Digest " code { (catalog.digest) }
            @if let Some(at) = catalog.applied_at { ", applied " (time::ago(at, app.now())) }
            @if let Some(by) = &catalog.applied_by { " by " (by) }
            "."
        }
        section { (dense("Documents", &[text("Kind"), numeric("Count")], &rows, "The catalog is empty.")) }
    };
    let head = Head {
        title: "Catalog",
        place: "/catalog",
        topic: Topic::overview(),
        scoped: false,
    };
    show(&app, &visit, head, main).await
}
