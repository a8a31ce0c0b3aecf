//! The page to sign in, and what comes of it.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mainstay_ui::{assets, frame};
use maud::{Markup, html};
use serde::Deserialize;

use crate::access::Auth;
use crate::app::App;
use crate::error::WebError;
use crate::guard::{Fields, session_id};
use crate::request::{Params, back_to};
use crate::session;

#[derive(Deserialize)]
pub(super) struct FormParams {
    #[serde(default)]
    next: String,
}

pub(super) async fn form(State(app): State<App>, Params(params): Params<FormParams>) -> Response {
    if matches!(*app.auth, Auth::Open) {
        return back_to("/");
    }
    Html(login_page(local_path(&params.next), None).into_string()).into_response()
}

fn login_page(next: &str, problem: Option<&str>) -> Markup {
    frame::bare(
        "Sign in · Mainstay",
        &html! {
            h1 { "Sign in" }
            @if let Some(problem) = problem { p.banner.s-breached role="alert" { (problem) } }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                p {
                    label for="token" { "Token" } " "
                    input id="token" name="token" type="password" required autocomplete="current-password" maxlength="512" autofocus;
                    " " button.main type="submit" { "Sign in" }
                }
            }
            p.dim { "Whoever runs this server keeps the tokens file and hands tokens out." }
        },
    )
}

/// A path of this server, so that nobody can be sent elsewhere by a link to the sign-in page.
fn local_path(next: &str) -> &str {
    let safe = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if safe { next } else { "/" }
}

pub(super) async fn sign_in(State(app): State<App>, fields: Fields) -> Response {
    let Auth::Tokens(tokens) = &*app.auth else {
        return back_to("/");
    };
    let next = local_path(fields.get("next").unwrap_or("/"));
    let Some(principal) = fields.get("token").and_then(|token| tokens.principal(token)) else {
        tracing::warn!("a sign-in was refused");
        let page = login_page(next, Some("That token is not known."));
        return (StatusCode::UNAUTHORIZED, Html(page.into_string())).into_response();
    };
    tracing::info!(actor = %principal.actor, "signed in");
    let id = app.sessions.open(principal, app.now(), &*app.entropy);
    with_cookie(&app, back_to(next), &id, session::LIFETIME.as_secs())
}

pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(id) = session_id(&headers) {
        app.sessions.close(id);
    }
    with_cookie(&app, back_to("/login"), "", 0)
}

fn with_cookie(app: &App, mut response: Response, id: &str, max_age_s: i64) -> Response {
    let secure = if app.settings.secure_cookies {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{}={id}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}",
        session::COOKIE
    );
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, WebError> {
    let asset = assets::find(&format!("/assets/{name}")).ok_or_else(|| WebError::not_found("the asset"))?;
    Ok((
        [
            (header::CONTENT_TYPE, asset.content_type),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        asset.content,
    )
        .into_response())
}

pub(super) async fn health() -> &'static str {
    "ok\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_sign_in_leads_nowhere_else() {
        assert_eq!(local_path("/incidents/7?range=6h"), "/incidents/7?range=6h");
        for foreign in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "",
            "javascript:1",
            "/a b",
            "/a\nb",
        ] {
            assert_eq!(local_path(foreign), "/", "{foreign:?}");
        }
    }
}
