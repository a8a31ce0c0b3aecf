//! The inbox for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_ui::{live, time, url};
use maud::html;

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};

pub(super) async fn inbox(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let messages = app.console.inbox(&visit.caller.principal).await?;
    let topic = Topic::inbox();
    let now = app.now();
    let main = html! {
        h1 { "Inbox of the demo" }
        p.dim { "What a real mail server and a real chat webhook on this machine received." }
        (live::region("inbox", topic.as_str(), html! {
            section {
                @if messages.is_empty() { p.empty { "Nothing has arrived yet." } }
                @for message in &messages {
                    article.message {
                        div.facts {
                            b { (message.subject) }
                            span { (message.channel) " to " (message.to) }
                            (time::ago(message.at, now))
                            @if let Some(incident) = &message.incident {
                                a href=(url::path(&["incidents", incident.as_str()])) { (incident) }
                            }
                        }
                        pre { (message.body) }
                    }
                }
            }
        }))
    };
    let head = Head {
        title: "Inbox",
        place: "/inbox",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}
