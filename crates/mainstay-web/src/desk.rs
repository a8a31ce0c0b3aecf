//! Doors for people who are not signed in: a link in a mail, a button in Slack. What they carry is signed.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use mainstay_ui::status::{severity, status_word};
use mainstay_ui::{Status, frame, time, url};
use maud::{Markup, html};

use crate::app::App;
use crate::console::Denied;
use crate::error::WebError;
use crate::guard::Fields;
use crate::request::{Params, back_to};
use crate::route::{Parameter, Route};
use crate::view::{AckLink, LinkedPage, SlackAnswer, SlackRequest};

const LINK: &[Parameter] = &[
    Parameter::required("page", "The page."),
    Parameter::required("person", "Whom the mail was sent to."),
    Parameter::required("until", "Until when the link is good, in seconds since 1970."),
    Parameter::required("signature", "What proves that the link is ours."),
];
/// Where the links of mails lead, after the address of the console.
pub const ACK_PATH: &str = "/ack";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            ACK_PATH,
            "What the link in a mail of a page is about; it does nothing",
            ask,
        )
        .public()
        .query(LINK),
        Route::post(ACK_PATH, "Take a page on by the link in its mail", acknowledge)
            .public()
            .fields(&["page", "person", "until", "signature"]),
        Route::post(
            "/api/v1/slack/actions",
            "What was pressed in Slack: its interactive requests, signed by Slack",
            slack,
        )
        .public()
        .bytes("application/x-www-form-urlencoded")
        .gives_bare::<SlackAnswer>(),
    ]
}

impl From<Denied> for WebError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Signature(why) => Self::new(
                StatusCode::FORBIDDEN,
                "signature",
                format!("this is not believed: {why}"),
                "Open the newest mail, or sign in and acknowledge in the console.",
            ),
            Denied::Failed(failure) => failure.into(),
        }
    }
}

async fn ask(State(app): State<App>, Params(link): Params<AckLink>) -> Result<Response, WebError> {
    let page = app.console.linked_page(&link).await?;
    let body = shown(&page, &link, app.now());
    let title = format!("Page {} · Mainstay", page.page);
    Ok(Html(frame::bare(&title, &body).into_string()).into_response())
}

fn shown(page: &LinkedPage, link: &AckLink, now: Timestamp) -> Markup {
    html! {
        h1 { (severity(page.severity)) " " (page.title) }
        p.dim { "Page " (page.page) " of incident " a href=(url::path(&["incidents", page.incident.as_str()])) { (page.incident) } }
        @match &page.acknowledged {
            Some((at, by)) if *by == page.person => {
                p.banner.s-ok role="status" { (status_word(Status::Ok, "You have it")) ", since " (time::ago(*at, now)) }
            },
            Some((at, by)) => {
                p.banner.s-neutral role="status" { (status_word(Status::Neutral, format!("{by} was first"))) ": acknowledged " (time::ago(*at, now)) }
            },
            None if page.over => {
                p.banner.s-neutral role="status" { (status_word(Status::Neutral, "over")) ": nobody is waited for any more." }
            },
            None => {
                form method="post" action=(ACK_PATH) {
                    input type="hidden" name="page" value=(link.page);
                    input type="hidden" name="person" value=(link.person);
                    input type="hidden" name="until" value=(link.until);
                    input type="hidden" name="signature" value=(link.signature);
                    p { button.main.wide type="submit" { "Acknowledge as " (page.name) } }
                }
                p.dim { "You take it on: nobody else is called for it." }
            },
        }
    }
}

async fn acknowledge(State(app): State<App>, fields: Fields) -> Result<Response, WebError> {
    let text = |name| fields.get(name).unwrap_or_default().to_owned();
    let link = AckLink {
        page: text("page"),
        person: text("person"),
        until: text("until"),
        signature: text("signature"),
    };
    app.console.acknowledge_by_link(&link).await?;
    // The page says who has it: whoever was first.
    Ok(back_to(&url::with_query(
        ACK_PATH,
        &[
            ("page", &link.page),
            ("person", &link.person),
            ("until", &link.until),
            ("signature", &link.signature),
        ],
    )))
}

async fn slack(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<SlackAnswer>, WebError> {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let request = SlackRequest {
        timestamp: text("x-slack-request-timestamp"),
        signature: text("x-slack-signature"),
        body: body.to_vec(),
    };
    Ok(Json(app.console.slack_action(&request).await?))
}
