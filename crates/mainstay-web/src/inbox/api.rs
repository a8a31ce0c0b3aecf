//! The inbox for programs.

use axum::extract::State;

use crate::app::App;
use crate::guard::Caller;
use crate::request::ApiAnswer;
use crate::view::InboxMessage;

pub(super) async fn inbox(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<InboxMessage>> {
    Ok(app.envelope(app.console.inbox(&caller.principal).await?))
}
