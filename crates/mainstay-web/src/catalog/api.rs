//! The catalog for programs.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::ApiAnswer;
use crate::view::{Applied, CatalogInfo};

pub(super) async fn catalog(State(app): State<App>, caller: Caller) -> ApiAnswer<CatalogInfo> {
    Ok(app.envelope(app.console.catalog(&caller.principal).await?))
}

pub(super) async fn archive(State(app): State<App>, caller: Caller) -> Result<Response, WebError> {
    let bytes = app.console.catalog_archive(&caller.principal).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(super) async fn apply(State(app): State<App>, caller: Caller) -> ApiAnswer<Applied> {
    Ok(app.envelope(app.console.apply_catalog(&caller.principal).await?))
}
