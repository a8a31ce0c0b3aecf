//! Why, for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_kernel::EventId;
use mainstay_ui::time;
use maud::html;

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Id, Visit, show};

pub(super) async fn why(
    State(app): State<App>,
    Id(event): Id<EventId>,
    visit: Visit,
) -> Result<Response, WebError> {
    let why = app.console.why(&visit.caller.principal, event).await?;
    let now = app.now();
    let main = html! {
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
    };
    let head = Head {
        title: "Why",
        place: "/incidents",
        topic: Topic::overview(),
        scoped: false,
    };
    show(&app, &visit, head, main).await
}
