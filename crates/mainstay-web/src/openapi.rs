//! The OpenAPI 3.1 document, made from the route table: what is served is what is described.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::header;
use mainstay_kernel::Role;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::ErrorBody;
use crate::route::{self, Access, Gives, Kind, Route, RouteInfo, Takes};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/openapi.json", "This document", serve)
            .public()
            .content(Gives::Other("application/json")),
    ]
}

async fn serve() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// The names of the parameters in a path, in order.
#[must_use]
pub fn path_parameters(path: &str) -> Vec<&str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .collect()
}

/// The document. Pages are left out: they are for people.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let error = serde_json::to_value(ErrorBody::json_schema(&mut generator)).unwrap_or_default();
    let mut paths = Map::new();
    for route in route::table() {
        let info = route.info;
        if info.kind == Kind::Api {
            let operation = operation(&info, &mut generator);
            let item = paths.entry(info.path).or_insert_with(|| json!({}));
            item[info.method.as_str().to_lowercase()] = operation;
        }
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    schemas.insert("Error".to_owned(), error);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Reliability control plane",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": crate::session::COOKIE}
            },
            "schemas": schemas,
            "responses": {
                "Error": {
                    "description": "Why it was not done: a code for programs, a message for people, and how to mend it.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
                }
            }
        }
    })
}

fn operation(info: &RouteInfo, generator: &mut SchemaGenerator) -> Value {
    let in_path = path_parameters(info.path)
        .into_iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = info.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.about,
            "schema": {"type": "string"}
        })
    });
    let mut operation = json!({
        "operationId": operation_id(info),
        "summary": info.summary,
        "description": access_in_words(info),
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": success(info, generator),
            "default": {"$ref": "#/components/responses/Error"}
        }
    });
    match info.takes {
        Takes::Nothing => {}
        Takes::Json(schema) => {
            operation["requestBody"] =
                json!({"content": {"application/json": {"schema": schema(generator)}}});
        }
        Takes::Other(media_type) => {
            operation["requestBody"] = json!({"content": {media_type: {}}});
        }
        Takes::Form(fields) => {
            let fields = fields.iter().map(|field| (*field, json!({"type": "string"})));
            operation["requestBody"] = form(fields);
        }
        Takes::Parameters(parameters) => {
            let fields = parameters.iter().map(|parameter| {
                let schema = json!({"type": "string", "description": parameter.about});
                (parameter.name, schema)
            });
            operation["requestBody"] = form(fields);
        }
    }
    if info.access == Access::Public {
        operation["security"] = json!([]);
    }
    operation
}

fn form(fields: impl Iterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> = fields.map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"content": {
        "application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": properties}}
    }})
}

/// `get_incidents_id`: unique, and the same from version to version.
fn operation_id(info: &RouteInfo) -> String {
    let words = info
        .path
        .trim_start_matches("/api/")
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut id = info.method.as_str().to_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}

/// Who may use a route, in words.
#[must_use]
pub fn access_in_words(info: &RouteInfo) -> String {
    let who = match info.access {
        Access::Public => return "For anybody.".to_owned(),
        Access::Role(Role::Viewer) => "For viewers",
        Access::Role(Role::Responder) => "For responders",
        Access::Role(Role::Admin) => "For administrators",
    };
    match info.tenancy {
        route::Tenancy::Filtered => format!("{who}; shows only the tenants of the account."),
        route::Tenancy::Platform => {
            format!("{who} of the whole platform; not for accounts limited to some tenants.")
        }
    }
}

fn success(info: &RouteInfo, generator: &mut SchemaGenerator) -> Value {
    match info.gives {
        Gives::Data(schema) => json!({
            "description": "The data, and when it was true.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["data", "as_of"],
                "properties": {"data": schema(generator), "as_of": {"type": "string", "format": "date-time"}}
            }}}
        }),
        Gives::Bare(schema) => json!({
            "description": "The data.",
            "content": {"application/json": {"schema": schema(generator)}}
        }),
        Gives::Prometheus => json!({
            "description": "As Prometheus' HTTP API v1 answers.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {"enum": ["success", "error"]},
                    "data": {},
                    "errorType": {"type": "string"},
                    "error": {"type": "string"},
                    "warnings": {"type": "array", "items": {"type": "string"}},
                    "infos": {"type": "array", "items": {"type": "string"}}
                }
            }}}
        }),
        Gives::Other(media_type) => json!({"description": "Content.", "content": {media_type: {}}}),
        Gives::Page => json!({"description": "A page.", "content": {"text/html": {}}}),
        Gives::Redirect => json!({"description": "Back to the page."}),
    }
}
