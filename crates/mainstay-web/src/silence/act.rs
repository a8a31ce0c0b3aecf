//! The buttons of the page of silences: plain forms that lead back to it.

use axum::extract::{Path, State};
use axum::response::Response;

use super::draft::{Asked, Draft};
use crate::app::App;
use crate::error::WebError;
use crate::guard::{Caller, Fields};
use crate::request::back_to;
use crate::view::PostableSilence;

pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    fields: Fields,
) -> Result<Response, WebError> {
    let text = |name| fields.get(name).unwrap_or_default().to_owned();
    let asked = Asked {
        matchers: text("matchers"),
        length: text("for"),
        from: text("from"),
        comment: text("comment"),
    };
    let draft = Draft::of(&asked, app.now())
        .map_err(|problem| WebError::invalid(problem, "Go back and mend what was typed."))?;
    if asked.comment.is_empty() {
        return Err(WebError::invalid(
            "a silence needs a comment",
            "Go back and say why: whoever finds it at night must know.",
        ));
    }
    let silence = PostableSilence {
        id: None,
        matchers: draft.matchers,
        starts_at: draft.starts_at,
        ends_at: draft.ends_at,
        created_by: caller.principal.actor.subject.clone(),
        comment: asked.comment,
    };
    app.console.silence(&caller.principal, silence).await?;
    Ok(back_to("/silences"))
}

pub(super) async fn end(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, WebError> {
    app.console.end_silence(&caller.principal, &id).await?;
    Ok(back_to("/silences"))
}
