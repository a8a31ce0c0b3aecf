//! Why, for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_kernel::EventId;
use mainstay_ui::{time, url};
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Id, Visit, show};

pub(super) async fn why(
    State(app): State<App>,
    Id(subject): Id<String>,
    visit: Visit,
) -> Result<Response, WebError> {
    let main = match subject.parse::<EventId>() {
        Ok(event) => caused(&app, &visit, event).await?,
        Err(_) => decided(&app, &visit, subject).await?,
    };
    let head = Head {
        title: "Why",
        place: "/incidents",
        topic: Topic::overview(),
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

/// One event and what caused it.
async fn caused(app: &App, visit: &Visit, event: EventId) -> Result<Markup, WebError> {
    let why = app.console.why(&visit.caller.principal, event).await?;
    let now = app.now();
    Ok(html! {
        h1 { @match why.chain.first() { Some(first) => { "Why: " (first.text) }, None => "Why" } }
        p.dim { "Each line was caused by the one below it. Nothing here is reconstructed: it is what the journal holds." }
        section {
            ol.ranked {
                @for step in &why.chain {
                    li {
                        div {
                            (step.text) " " (time::ago(step.at, now))
                            span.sub {
                                (step.kind) " by " (step.actor) " · stream " (step.stream) " · event " code { (step.event) }
                                " · digest " code { (step.digest.get(..12).unwrap_or(&step.digest)) }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Every decision about an alert, a page or an incident.
async fn decided(app: &App, visit: &Visit, subject: String) -> Result<Markup, WebError> {
    let why = app.console.decisions(&visit.caller.principal, subject).await?;
    let now = app.now();
    Ok(html! {
        h1 { "Why: " (why.subject) }
        @if let Some(note) = &why.note { p { (note) } }
        p.dim { "Every decision in its order, from the rule to the receipt, as the journal holds it." }
        section {
            ol.ranked {
                @for one in &why.decisions {
                    li {
                        div {
                            b { (one.step) } " " (one.text) " " (time::ago(one.at, now))
                            span.sub { a href=(url::path(&["why", &one.event.to_string()])) { "event " (one.event) } }
                        }
                    }
                }
            }
        }
    })
}
