//! Live events: the names of topics, never content. A page that hears its topic fetches itself again, with its reader's
//! own authority, so that nothing can leak here.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::StatusCode;
use mainstay_kernel::IncidentId;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until, timeout};

use crate::app::App;
use crate::error::WebError;
use crate::request::Params;
use crate::route::{Gives, Parameter, Route};

/// How many topics one page may follow.
const MAX_TOPICS: usize = 16;
/// How often a quiet stream says that it is alive.
const BEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts; then the page opens another, and who it is is asked again.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// What something happened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(String);

impl Topic {
    /// Everything: sent after gaps, and followed by nobody.
    #[must_use]
    pub fn everything() -> Self {
        Self("everything".to_owned())
    }

    /// Anything that the overview and the lists show: alerts, incidents, changes, objectives.
    #[must_use]
    pub fn overview() -> Self {
        Self("overview".to_owned())
    }

    /// One incident.
    #[must_use]
    pub fn incident(id: &IncidentId) -> Self {
        Self(format!("incident/{id}"))
    }

    /// The demo's inbox.
    #[must_use]
    pub fn inbox() -> Self {
        Self("inbox".to_owned())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const TOPICS: &[Parameter] = &[Parameter::required(
    "topics",
    "Which topics to hear of, with commas between: overview, incident/ID, inbox.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/events",
            "Names of topics as things happen to them (server-sent events)",
            follow,
        )
        .query(TOPICS)
        .content(Gives::Other("text/event-stream"))
        .timeout_ms(0),
    ]
}

#[derive(Deserialize)]
struct FollowParams {
    topics: String,
}

async fn follow(State(app): State<App>, Params(params): Params<FollowParams>) -> Result<Response, WebError> {
    let topics: BTreeSet<Topic> = params
        .topics
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| Topic(name.to_owned()))
        .collect();
    if topics.is_empty() || topics.len() > MAX_TOPICS {
        return Err(WebError::invalid(
            format!("{} topics are asked for", topics.len()),
            format!("Ask for 1 to {MAX_TOPICS}."),
        ));
    }
    let permit = app.live_slots.clone().try_acquire_owned().map_err(|_| {
        WebError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_live_pages",
            format!("{} pages are following already", app.settings.max_live_clients),
            "The page stays usable without live updates; close some tabs.",
        )
    })?;
    let follower = Follower {
        topics,
        receiver: app.live.subscribe(),
        ends_at: Instant::now() + LIFETIME,
        greeted: false,
        _permit: permit,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).into_response())
}

struct Follower {
    topics: BTreeSet<Topic>,
    receiver: Receiver<Topic>,
    ends_at: Instant,
    greeted: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; none when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            // The first byte tells the browser at once that the stream is open.
            self.greeted = true;
            return Some(beat());
        }
        tokio::select! {
            event = timeout(BEAT, Self::heard(&mut self.receiver, &self.topics)) => event.unwrap_or_else(|_| Some(beat())),
            () = sleep_until(self.ends_at) => None,
        }
    }

    async fn heard(receiver: &mut Receiver<Topic>, topics: &BTreeSet<Topic>) -> Option<Event> {
        loop {
            let topic = match receiver.recv().await {
                Ok(topic) if topics.contains(&topic) || topic == Topic::everything() => topic,
                Ok(_) => continue,
                // Names were missed: anything may have changed.
                Err(RecvError::Lagged(_)) => Topic::everything(),
                Err(RecvError::Closed) => return None,
            };
            return Some(Event::default().data(topic.as_str().replace(['\n', '\r'], " ")));
        }
    }
}

fn beat() -> Event {
    Event::default().event("beat").data("")
}
