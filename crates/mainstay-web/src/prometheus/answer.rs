//! What every answer is wrapped into.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::json;
use crate::view::QueryError;

/// What Prometheus says when `limit` left something out.
const TRUNCATED: &str = "results truncated due to limit";

/// Remarks about an answer.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl Remarks {
    /// Leaves at most `limit` items, and says so.
    pub(super) fn truncate<T>(&mut self, items: &mut Vec<T>, limit: Option<usize>) {
        if let Some(limit) = limit
            && items.len() > limit
        {
            items.truncate(limit);
            self.warnings.push(TRUNCATED.to_owned());
        }
    }

    /// The end of an answer, after its data.
    pub(super) fn tail(&self, before: &str) -> String {
        let mut tail = before.to_owned();
        for (name, remarks) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !remarks.is_empty() {
                tail.push_str(&format!(",\"{name}\":"));
                tail.push_str(&Value::from(remarks.clone()).to_string());
            }
        }
        tail.push('}');
        tail
    }
}

/// An answer, or why there is none.
pub(super) type Answered = Result<Good, QueryError>;

/// An answer as Prometheus wraps it.
pub(super) struct Good(pub(super) Body);

impl Good {
    /// Data that are small.
    pub(super) fn data(data: Value) -> Self {
        Self(Body::from(
            json!({ "status": "success", "data": data }).to_string(),
        ))
    }

    /// A list that may be large.
    pub(super) fn list<T: Send + 'static>(
        items: Vec<T>,
        write: fn(&mut String, &T),
        remarks: &Remarks,
    ) -> Self {
        let head = r#"{"status":"success","data":["#.to_owned();
        Self(json::list(head, items, write, remarks.tail("]")))
    }
}

impl IntoResponse for Good {
    fn into_response(self) -> Response {
        typed(StatusCode::OK, self.0)
    }
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let text = match &self {
            Self::Parse(error) => format!("invalid parameter \"query\": {error}"),
            other => other.to_string(),
        };
        failed(self.status(), self.error_type(), &text)
    }
}

/// Why there is no answer.
pub(crate) fn failed(status: StatusCode, error_type: &str, error: &str) -> Response {
    let body = json!({ "status": "error", "errorType": error_type, "error": error });
    typed(status, Body::from(body.to_string()))
}

fn typed(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
