//! The catalog for programs.

use axum::extract::State;

use crate::app::App;
use crate::guard::Caller;
use crate::request::ApiAnswer;
use crate::view::CatalogInfo;

pub(super) async fn catalog(State(app): State<App>, caller: Caller) -> ApiAnswer<CatalogInfo> {
    Ok(app.envelope(app.console.catalog(&caller.principal).await?))
}
