//! The route table: every route, declared once.

use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_kernel::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::app::App;
use crate::{
    alert, alertmanager, catalog, change, completion, desk, events, gate, heartbeat, inbox, incident,
    journal, login, oncall, openapi, overview, prometheus, query, report, search, shadow, silence, slo,
};

/// The largest body of most routes, in bytes.
pub const BODY_MAX_BYTES: usize = 64 << 10;
/// The largest body of routes that take telemetry, in bytes.
pub const INGEST_MAX_BYTES: usize = 4 << 20;
/// How long most answers may take, in milliseconds.
pub const TIMEOUT_MS: u64 = 10_000;

/// Writes the schema of a type into a generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Accounts with at least this role.
    Role(Role),
}

/// What a route shows of tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// Only what the caller may see: accounts limited to some tenants may use it.
    Filtered,
    /// The platform as a whole: accounts limited to some tenants may not use it.
    Platform,
}

/// What kind of client a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person with a browser: errors are pages, and who is not signed in is sent to do so.
    Page,
    /// A program: errors are JSON.
    Api,
}

/// What a route takes in its body.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(SchemaOf),
    /// Form fields.
    Form(&'static [&'static str]),
    /// A form of these parameters, which may also stand in the address.
    Parameters(&'static [Parameter]),
    /// Any other content, of this media type.
    Other(&'static str),
}

/// What a route gives.
#[derive(Debug, Clone, Copy)]
pub enum Gives {
    /// A page.
    Page,
    /// After an action: the way back to a page.
    Redirect,
    /// JSON: data in the envelope.
    Data(SchemaOf),
    /// JSON: the data themselves.
    Bare(SchemaOf),
    /// JSON as Prometheus' API writes it.
    Prometheus,
    /// Any other content, of this media type.
    Other(&'static str),
}

/// A parameter in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it means, with its form.
    pub about: &'static str,
}

impl Parameter {
    /// One that may be left out.
    pub(crate) const fn optional(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            required: false,
            about,
        }
    }

    /// One that must be given.
    pub(crate) const fn required(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            required: true,
            about,
        }
    }
}

/// Everything that is known of a route.
#[derive(Debug, Clone)]
pub struct RouteInfo {
    /// Its method.
    pub method: http::Method,
    /// Its path, with `{parameters}`.
    pub path: &'static str,
    /// What kind of client it is for.
    pub kind: Kind,
    /// Who may use it.
    pub access: Access,
    /// What it shows of tenants.
    pub tenancy: Tenancy,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it takes in its query.
    pub query: &'static [Parameter],
    /// What it takes in its body.
    pub takes: Takes,
    /// What it gives.
    pub gives: Gives,
    /// The largest body it takes, in bytes.
    pub body_max_bytes: usize,
    /// How long its answer may take, in milliseconds; 0: as long as it likes.
    pub timeout_ms: u64,
}

/// A route.
pub struct Route {
    /// What is known of it.
    pub info: RouteInfo,
    pub(crate) handler: MethodRouter<App>,
}

/// What scopes a page or a list: in its query, so that a link says what it shows.
pub const LOOK: &[Parameter] = &[
    Parameter::optional("tenant", "Only this tenant."),
    Parameter::optional("cell", "Only this cell."),
    Parameter::optional("service", "Only this service."),
    Parameter::optional("range", "How far back: 1h (default), 6h, 24h, 7d or 30d."),
];

impl Route {
    /// A route that reads, for viewers.
    pub(crate) fn get<T, H: Handler<T, App>>(path: &'static str, summary: &'static str, handler: H) -> Self
    where
        T: 'static,
    {
        Self::new(http::Method::GET, path, summary, get(handler))
    }

    /// A route that does something, for responders.
    pub(crate) fn post<T, H: Handler<T, App>>(path: &'static str, summary: &'static str, handler: H) -> Self
    where
        T: 'static,
    {
        Self::new(http::Method::POST, path, summary, post(handler)).role(Role::Responder)
    }

    /// The same by PUT.
    pub(crate) fn put<T, H: Handler<T, App>>(path: &'static str, summary: &'static str, handler: H) -> Self
    where
        T: 'static,
    {
        Self::new(http::Method::PUT, path, summary, put(handler)).role(Role::Responder)
    }

    /// The same by DELETE.
    pub(crate) fn delete<T, H: Handler<T, App>>(path: &'static str, summary: &'static str, handler: H) -> Self
    where
        T: 'static,
    {
        Self::new(http::Method::DELETE, path, summary, delete(handler)).role(Role::Responder)
    }

    fn new(
        method: http::Method,
        path: &'static str,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        let kind = if path.starts_with("/api/") || path == "/events" {
            Kind::Api
        } else {
            Kind::Page
        };
        Self {
            info: RouteInfo {
                gives: if method == http::Method::GET {
                    Gives::Page
                } else {
                    Gives::Redirect
                },
                method,
                path,
                kind,
                access: Access::Role(Role::Viewer),
                tenancy: Tenancy::Filtered,
                summary,
                query: &[],
                takes: Takes::Nothing,
                body_max_bytes: BODY_MAX_BYTES,
                timeout_ms: TIMEOUT_MS,
            },
            handler,
        }
    }

    pub(crate) fn role(mut self, role: Role) -> Self {
        self.info.access = Access::Role(role);
        self
    }

    pub(crate) fn public(mut self) -> Self {
        self.info.access = Access::Public;
        self
    }

    pub(crate) fn platform(mut self) -> Self {
        self.info.tenancy = Tenancy::Platform;
        self
    }

    pub(crate) fn query(mut self, query: &'static [Parameter]) -> Self {
        self.info.query = query;
        self
    }

    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        self.info.takes = Takes::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    pub(crate) fn fields(mut self, fields: &'static [&'static str]) -> Self {
        self.info.takes = Takes::Form(fields);
        self
    }

    pub(crate) fn form(mut self, parameters: &'static [Parameter]) -> Self {
        self.info.takes = Takes::Parameters(parameters);
        self
    }

    pub(crate) fn bytes(mut self, media_type: &'static str) -> Self {
        self.info.takes = Takes::Other(media_type);
        self
    }

    /// For programs, whatever its path looks like.
    pub(crate) fn program(mut self) -> Self {
        self.info.kind = Kind::Api;
        self
    }

    pub(crate) fn gives<T: JsonSchema>(mut self) -> Self {
        self.info.gives = Gives::Data(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Without the envelope.
    pub(crate) fn gives_bare<T: JsonSchema>(mut self) -> Self {
        self.info.gives = Gives::Bare(SchemaGenerator::subschema_for::<T>);
        self
    }

    pub(crate) fn content(mut self, gives: Gives) -> Self {
        self.info.gives = gives;
        self
    }

    pub(crate) fn body_max_bytes(mut self, bytes: usize) -> Self {
        self.info.body_max_bytes = bytes;
        self
    }

    pub(crate) fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.info.timeout_ms = timeout_ms;
        self
    }
}

/// Every route there is.
#[must_use]
pub fn table() -> Vec<Route> {
    [
        overview::routes(),
        incident::routes(),
        alert::routes(),
        alertmanager::routes(),
        silence::routes(),
        slo::routes(),
        report::routes(),
        change::routes(),
        completion::routes(),
        gate::routes(),
        query::routes(),
        prometheus::routes(),
        oncall::routes(),
        heartbeat::routes(),
        shadow::routes(),
        journal::routes(),
        catalog::routes(),
        inbox::routes(),
        search::routes(),
        login::routes(),
        desk::routes(),
        events::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
