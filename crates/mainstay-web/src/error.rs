//! One error for every answer that is not the one asked for, shown as JSON to programs and as a page to people.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mainstay_ui::frame;
use maud::html;
use serde::Serialize;
use serde_json::json;

use crate::console::Failure;
use crate::prometheus;

/// What a program gets instead of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ErrorDetail {
    /// A word for programs; it stays the same from version to version.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WebError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A word for programs.
    pub code: &'static str,
    /// What went wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl WebError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            help: help.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message, help)
    }

    pub(crate) fn unauthenticated(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message, help)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{what} is not known"),
            "It may never have existed, be long over, or be hidden from your account.",
        )
    }

    /// As a program reads it.
    pub(crate) fn to_json(&self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "help": self.help}});
        self.with_headers(body.to_string(), "application/json")
    }

    /// As a person reads it.
    pub(crate) fn to_page(&self) -> Response {
        let page = frame::bare(
            &format!("{} · Mainstay", self.message),
            &html! {
                h1 { (self.message) }
                p { (self.help) }
                p { a href="/" { "Overview" } }
            },
        );
        self.with_headers(page.into_string(), "text/html; charset=utf-8")
    }

    /// As a client of Prometheus reads it.
    pub(crate) fn to_prometheus(&self) -> Response {
        let error_type = match self.status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                "bad_data"
            }
            StatusCode::SERVICE_UNAVAILABLE => "timeout",
            StatusCode::INTERNAL_SERVER_ERROR => "internal",
            _ => self.code,
        };
        let mut response = prometheus::failed(self.status, error_type, &self.message);
        self.put_headers(response.headers_mut());
        response
    }

    fn with_headers(&self, body: String, content_type: &'static str) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.put_headers(headers);
        response
    }

    fn put_headers(&self, headers: &mut HeaderMap) {
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"mainstay\""),
            );
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
    }
}

impl From<Failure> for WebError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound { what } => Self::not_found(what),
            Failure::Refused { message, help } => Self::new(StatusCode::CONFLICT, "refused", message, help),
            Failure::Invalid { message, help } => Self::invalid(message, help),
            Failure::Unavailable { message } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                message,
                "Try again in a few seconds.",
            ),
            Failure::Internal { detail } => {
                tracing::error!(detail, "a request failed inside");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "an internal error occurred",
                    "The log of this process says what happened.",
                )
            }
        }
    }
}

impl IntoResponse for WebError {
    /// The guard around every route turns it into JSON or a page; by itself it is JSON.
    fn into_response(self) -> Response {
        let mut response = self.to_json();
        response.extensions_mut().insert(self);
        response
    }
}
