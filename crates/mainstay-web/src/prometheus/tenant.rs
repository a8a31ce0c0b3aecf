//! Whose samples a request is about: the header `X-Scope-OrgID`, as those send it who write to Mimir, Cortex or Loki.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, StatusCode};
use mainstay_kernel::{Reach, ReachError};

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;

/// The header that names tenants: `a`, or `a|b` where it is read by.
pub(crate) const TENANT_HEADER: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Whose samples a request is about.
pub(super) struct Within(pub(super) Reach);

impl FromRequestParts<App> for Within {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, WebError> {
        reach(&parts.headers, &parts.extensions).map(Self)
    }
}

/// What the caller reaches, of what the header asks for.
pub(super) fn reach(headers: &HeaderMap, extensions: &Extensions) -> Result<Reach, WebError> {
    let asked = asked(headers)?;
    // The guard lets nobody through to these routes whom it does not know.
    let Some(caller) = extensions.get::<Caller>() else {
        return Err(refused(&ReachError::Nobody));
    };
    Reach::of(&caller.principal, asked).map_err(|error| refused(&error))
}

fn asked(headers: &HeaderMap) -> Result<Option<Reach>, WebError> {
    let mut values = headers.get_all(TENANT_HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // One of two was perhaps put there by somebody else on the way: neither is believed.
    if values.next().is_some() {
        return Err(malformed("it is there more than once"));
    }
    let text = value.to_str().map_err(|_| malformed("it is no ASCII text"))?;
    Reach::named(text.trim())
        .map(Some)
        .map_err(|error| malformed(&error.to_string()))
}

fn malformed(problem: &str) -> WebError {
    WebError::invalid(
        format!("the header X-Scope-OrgID names no tenant: {problem}"),
        "Send one tenant; with queries several may be named: `a|b`.",
    )
}

fn refused(error: &ReachError) -> WebError {
    WebError::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        error.to_string(),
        "Name a tenant of the account in X-Scope-OrgID, or leave the header out.",
    )
}
