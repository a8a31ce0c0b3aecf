//! What handlers take apart and put together.

use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mainstay_kernel::{Principal, Role, Scope};
use mainstay_ui::frame::{self, Frame, Place, ScopeBar};
use maud::Markup;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::guard::{Caller, Fields, Proof};
use crate::view::{Look, Situation, Utc};

/// The ranges to choose from, the default first, with their milliseconds.
pub(crate) const RANGES: [(&str, u64); 5] = [
    ("1h", 3_600_000),
    ("6h", 21_600_000),
    ("24h", 86_400_000),
    ("7d", 604_800_000),
    ("30d", 2_592_000_000),
];

const fn place(name: &'static str, path: &'static str) -> Place {
    Place { name, path }
}

/// The pages that the navigation leads everybody to.
const PLACES: [Place; 6] = [
    place("Overview", "/"),
    place("Incidents", "/incidents"),
    place("Alerts", "/alerts"),
    place("Objectives", "/slos"),
    place("Changes", "/changes"),
    place("Reports", "/reports"),
];
/// Those that show the platform as a whole.
const PLATFORM_PLACES: [Place; 4] = [
    place("On-call", "/oncall"),
    place("Gate", "/gate"),
    place("Query", "/query"),
    place("Catalog", "/catalog"),
];
/// The demo's.
const INBOX: Place = place("Inbox", "/inbox");

/// Data, and when it was true.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Envelope<T> {
    pub(crate) data: T,
    #[schemars(with = "Utc")]
    pub(crate) as_of: Timestamp,
}

/// The answer of most API routes.
pub(crate) type ApiAnswer<T> = Result<Json<Envelope<T>>, WebError>;

impl App {
    /// Wraps data for a program.
    pub(crate) fn envelope<T>(&self, data: T) -> Json<Envelope<T>> {
        Json(Envelope {
            data,
            as_of: self.now(),
        })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, WebError> {
        // The guard puts it there for every route that is not public.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| WebError::unauthenticated("no token was sent", "Sign in at /login."))
    }
}

impl FromRequestParts<App> for Fields {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, WebError> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A typed name in the path. What is no name at all names nothing that exists.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        let unknown = |_| WebError::not_found(parts.uri.path());
        let Path(text) = Path::<String>::from_request_parts(&mut parts.clone(), app)
            .await
            .map_err(unknown)?;
        text.parse()
            .map(Self)
            .map_err(|_| WebError::not_found(parts.uri.path()))
    }
}

/// The parameters of the query, as a type of the route's own.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, WebError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|error| {
                WebError::invalid(error.body_text(), "See /api/v1/openapi.json for the parameters.")
            })
    }
}

#[derive(Deserialize)]
struct LookParams {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    cell: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    range: String,
}

impl FromRequestParts<App> for Look {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        fn name<T: FromStr<Err: std::fmt::Display>>(
            parameter: &str,
            text: &str,
        ) -> Result<Option<T>, WebError> {
            let wrong =
                |error| WebError::invalid(format!("{parameter}: {error}"), "Choose one of the scope bar.");
            (!text.is_empty())
                .then(|| text.parse().map_err(wrong))
                .transpose()
        }
        let Params(params) = Params::<LookParams>::from_request_parts(parts, app).await?;
        let range = if params.range.is_empty() {
            RANGES[0].0
        } else {
            &params.range
        };
        let range_ms = RANGES.iter().find(|(name, _)| *name == range).map(|(_, ms)| *ms);
        Ok(Self {
            scope: Scope {
                tenant: name("tenant", &params.tenant)?,
                cell: name("cell", &params.cell)?,
                service: name("service", &params.service)?,
                ..Scope::default()
            },
            range_ms: range_ms.ok_or_else(|| {
                WebError::invalid(
                    format!("range: {range:?} is not known"),
                    "Use 1h, 6h, 24h, 7d or 30d.",
                )
            })?,
        })
    }
}

/// A request for a page.
pub(crate) struct Visit {
    pub(crate) caller: Caller,
    pub(crate) look: Look,
    /// Whether only what may have changed is wanted.
    pub(crate) fragment: bool,
}

impl FromRequestParts<App> for Visit {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        #[derive(Deserialize)]
        struct FragmentParam {
            fragment: Option<String>,
        }
        let Params(FragmentParam { fragment }) = Params::from_request_parts(parts, app).await?;
        Ok(Self {
            caller: Caller::from_request_parts(parts, app).await?,
            look: Look::from_request_parts(parts, app).await?,
            fragment: fragment.as_deref() == Some("1"),
        })
    }
}

impl Visit {
    /// Whether actions for this role are offered.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.caller.principal.has(role)
    }
}

/// What a page tells its frame.
pub(crate) struct Head<'a> {
    /// What the page is about.
    pub(crate) title: &'a str,
    /// Its place in the navigation.
    pub(crate) place: &'static str,
    /// The topic that it follows.
    pub(crate) topic: Topic,
    /// Whether the scope bar narrows it.
    pub(crate) scoped: bool,
}

/// Puts a page into its frame.
pub(crate) async fn show(
    app: &App,
    visit: &Visit,
    head: Head<'_>,
    main: Markup,
) -> Result<Response, WebError> {
    let situation = app.console.situation(&visit.caller.principal).await?;
    let range = RANGES
        .iter()
        .find(|(_, ms)| *ms == visit.look.range_ms)
        .map_or(RANGES[0].0, |(name, _)| *name);
    let user = visit.caller.principal.actor.to_string();
    let ranges = RANGES.map(|(name, _)| name);
    let sign_out = matches!(visit.caller.proof, Proof::Session { .. }).then(|| visit.caller.csrf());
    let frame = Frame {
        title: head.title,
        now: app.now(),
        data_at: situation.data_at,
        firing: situation.firing,
        on_call: situation
            .on_call
            .iter()
            .map(|duty| frame::Duty {
                rota: &duty.rota,
                now: duty.now.as_deref(),
                next: duty.until.zip(duty.next.as_deref()),
            })
            .collect(),
        places: places(&visit.caller.principal, &situation),
        current: head.place,
        scope: ScopeBar {
            scope: visit.look.scope.clone(),
            range,
            ranges: &ranges,
            tenants: &situation.places.tenants,
            cells: &situation.places.cells,
            services: &situation.places.services,
        },
        scoped: head.scoped,
        user: &user,
        sign_out,
        topic: head.topic.as_str(),
    };
    let markup = if visit.fragment {
        frame::fragment(&frame, &main)
    } else {
        frame::page(&frame, &main)
    };
    Ok(Html(markup.into_string()).into_response())
}

fn places(who: &Principal, situation: &Situation) -> Vec<Place> {
    let mut places = PLACES.to_vec();
    if who.sees(None) {
        places.extend(PLATFORM_PLACES);
        places.extend(situation.has_inbox.then_some(INBOX));
    }
    places
}

/// Back to a page after an action, so that reloading it does nothing twice.
pub(crate) fn back_to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// An instant as it is typed: with its zone, or by the wall clock of `zone`.
pub(crate) fn typed_instant(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let wall: DateTime = text.parse().ok()?;
        zone.to_ambiguous_timestamp(wall).compatible().ok()
    })
}

/// Reads a JSON body.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, WebError> {
    serde_json::from_slice(body).map_err(|error| {
        WebError::invalid(
            format!("the body is not as expected: {error}"),
            "See /api/v1/openapi.json for the form of the body.",
        )
    })
}
