//! Reports and adjustments for programs.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use http::{HeaderValue, header};
use mainstay_kernel::{Digest, SloId, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Id, Params, parse_json};
use crate::view::{
    Adjustment, Done, IssuedReport, Look, NewAdjustment, ReportAsk, ReportForm, ReportIndex, SigningKeyInfo,
    Wanted,
};

/// Why an adjustment is taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WithdrawBody {
    /// Why: 1 to 1,000 bytes.
    reason: String,
}

#[derive(Deserialize)]
pub(super) struct MonthParams {
    #[serde(default)]
    month: String,
}

impl MonthParams {
    /// The month, if one is named.
    pub(super) fn month(&self) -> Option<&str> {
        Some(self.month.as_str()).filter(|month| !month.is_empty())
    }
}

pub(super) async fn index(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<MonthParams>,
) -> ApiAnswer<ReportIndex> {
    let index = app.console.reports(&caller.principal, params.month());
    Ok(app.envelope(index.await?))
}

#[derive(Deserialize)]
pub(super) struct AskParams {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    edition: String,
}

fn asked(month: String, params: &AskParams) -> Result<ReportAsk, WebError> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let tenant = given(&params.tenant).map(TenantId::new).transpose();
    let tenant = tenant.map_err(|error| WebError::invalid(format!("tenant: {error}"), "Name one tenant."))?;
    let form = given(&params.format).map_or(Some(ReportForm::Json), |name| ReportForm::named(&name));
    let edition = match params.edition.as_str() {
        "" => Some(Wanted::Draft),
        "last" => Some(Wanted::Last),
        number => number.parse().ok().map(Wanted::Number),
    };
    Ok(ReportAsk {
        tenant,
        month,
        form: form.ok_or_else(|| {
            WebError::invalid(
                format!("format: {:?} is not known", params.format),
                "Use json, md, html or csv.",
            )
        })?,
        edition: edition.ok_or_else(|| {
            WebError::invalid(
                format!("edition: {:?} is no number", params.edition),
                "Give the number of an edition, or last.",
            )
        })?,
    })
}

pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(month): Path<String>,
    Params(params): Params<AskParams>,
) -> Result<Response, WebError> {
    let ask = asked(month, &params)?;
    let file = app.console.report(&caller.principal, &ask).await?;
    let mut response = (
        [(header::CONTENT_TYPE, file.form.media_type())],
        file.text.clone(),
    )
        .into_response();
    if file.form == ReportForm::Html
        && let Some(policy) = policy_for_one_style(&file.text)
    {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// What a page may load that needs nothing but the style in it: that style, by its digest, and nothing else.
fn policy_for_one_style(page: &str) -> Option<HeaderValue> {
    let (_, rest) = page.split_once("<style>")?;
    let (style, _) = rest.split_once("</style>")?;
    let digest = base64::engine::general_purpose::STANDARD.encode(Digest::of(style.as_bytes()).0);
    let policy =
        format!("default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'");
    HeaderValue::from_str(&policy).ok()
}

pub(super) async fn issue(
    State(app): State<App>,
    caller: Caller,
    Path(month): Path<String>,
    Params(params): Params<AskParams>,
) -> ApiAnswer<IssuedReport> {
    let ask = asked(month, &params)?;
    Ok(app.envelope(app.console.issue_report(&caller.principal, &ask).await?))
}

pub(super) async fn key(State(app): State<App>, caller: Caller) -> ApiAnswer<SigningKeyInfo> {
    Ok(app.envelope(app.console.signing_key(&caller.principal).await?))
}

pub(super) async fn adjustments(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<Adjustment>> {
    Ok(app.envelope(app.console.adjustments(&caller.principal).await?))
}

pub(super) async fn adjust(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let new: NewAdjustment = parse_json(&body)?;
    Ok(app.envelope(app.console.adjust(&caller.principal, &new).await?))
}

pub(super) async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(number): Path<String>,
    body: Bytes,
) -> ApiAnswer<Done> {
    let number: u32 = number
        .parse()
        .map_err(|_| WebError::not_found("the adjustment"))?;
    let WithdrawBody { reason } = parse_json(&body)?;
    Ok(app.envelope(app.console.withdraw(&caller.principal, number, &reason).await?))
}

pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SloId>,
    look: Look,
) -> Result<Response, WebError> {
    let text = app.console.explain(&caller.principal, &id, &look).await?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_use_its_own_style_and_nothing_else() {
        let policy = policy_for_one_style("<head><style>a{b:c}</style></head>").expect("a policy");
        // printf %s 'a{b:c}' | openssl dgst -sha256 -binary | base64
        let text = policy.to_str().expect("text");
        assert!(
            text.contains("style-src 'sha256-0cRUVYRKwNwnl1hkfkPGjkht16b039TjFdJzmXfFK2o='"),
            "{text}"
        );
        assert!(policy_for_one_style("<p>no style</p>").is_none());
    }
}
