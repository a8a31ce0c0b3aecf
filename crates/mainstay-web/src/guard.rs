//! What stands before every route: who asks, may they, did they mean it, how large, how long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use mainstay_kernel::Principal;
use mainstay_kernel::principal::Tenants;
use mainstay_ui::form::CSRF_FIELD;
use mainstay_ui::url;
use subtle::ConstantTimeEq as _;

use crate::access::{Auth, local_admin};
use crate::app::App;
use crate::console::Failure;
use crate::error::WebError;
use crate::route::{Access, Gives, Kind, RouteInfo, Takes, Tenancy};
use crate::session;

/// The header that carries the anti-forgery token of a session when it calls the API.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// How many times the limit is read of a body that is too large, so that its sender hears of it.
const READ_OFF_FACTOR: usize = 8;
/// How long that may take.
const READ_OFF_TIME: Duration = Duration::from_secs(2);

/// What a page may load and where it may send: only this server, and nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) proof: Proof,
}

/// How they proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A token in the request itself. No other site can add one; a browser that was told it as a password adds it by
    /// itself, but `check_origin` refuses what other sites send then.
    Bearer,
    /// A cookie, which a browser adds by itself; with the session's anti-forgery token.
    Session { csrf: String },
    /// Nothing was asked, on loopback; with the process's anti-forgery token.
    Open { csrf: String },
}

impl Caller {
    /// The token that forms must carry.
    pub(crate) fn csrf(&self) -> &str {
        match &self.proof {
            Proof::Bearer => "",
            Proof::Session { csrf } | Proof::Open { csrf } => csrf,
        }
    }
}

/// The fields of a posted form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field without surrounding blanks; absent and blank are the same.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }
}

/// Around each route.
pub(crate) async fn guard(
    State((app, info)): State<(App, Arc<RouteInfo>)>,
    request: Request,
    next: Next,
) -> Response {
    let response = match admit(&app, &info, request).await {
        Ok(Admitted::Serve(request)) => run(&info, request, next).await,
        Ok(Admitted::SignIn(redirect)) => return redirect,
        Err(error) => error.into_response(),
    };
    match (response.extensions().get::<WebError>(), info.kind, info.gives) {
        (Some(error), Kind::Page, _) => error.to_page(),
        (Some(error), Kind::Api, Gives::Prometheus) => error.to_prometheus(),
        _ => response,
    }
}

enum Admitted {
    Serve(Request),
    SignIn(Response),
}

async fn admit(app: &App, info: &RouteInfo, mut request: Request) -> Result<Admitted, WebError> {
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD);
    check_origin(app, request.headers(), writes)?;
    let caller = authenticate(app, info.kind, request.headers());
    match (info.access, &caller) {
        (Access::Public, _) => {}
        (Access::Role(_), None) => return not_signed_in(info, &request),
        (Access::Role(role), Some(caller)) => {
            if !caller.principal.has(role) {
                return Err(forbidden(
                    format!("this needs the role {role}; yours is {}", caller.principal.role),
                    "Ask whoever keeps the tokens file for a token with that role.",
                ));
            }
            if info.tenancy == Tenancy::Platform && matches!(caller.principal.tenants, Tenants::Only(_)) {
                return Err(forbidden(
                    "this shows the platform as a whole; your account is limited to its tenants",
                    "Use the pages and API routes that show tenants' own data.",
                ));
            }
        }
    }
    if writes {
        request = take_body(info, caller.as_ref(), request).await?;
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    Ok(Admitted::Serve(request))
}

async fn run(info: &RouteInfo, request: Request, next: Next) -> Response {
    if info.timeout_ms == 0 {
        return next.run(request).await;
    }
    let limit = Duration::from_millis(info.timeout_ms);
    // A query by form reads too: one that nobody waits for any more is dropped.
    let reads =
        matches!(*request.method(), Method::GET | Method::HEAD) || matches!(info.takes, Takes::Parameters(_));
    let answer = async move {
        if reads {
            return next.run(request).await;
        }
        // What was begun is ended, whether or not the caller stays to hear of it.
        tokio::spawn(next.run(request)).await.unwrap_or_else(|broken| {
            let detail = format!("a handler broke: {broken}");
            WebError::from(Failure::Internal { detail }).into_response()
        })
    };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        WebError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!("this took longer than {} ms", info.timeout_ms),
            "Ask for less, or try again later.",
        )
        .into_response()
    })
}

fn forbidden(message: impl Into<String>, help: &'static str) -> WebError {
    WebError::new(StatusCode::FORBIDDEN, "forbidden", message, help)
}

fn not_signed_in(info: &RouteInfo, request: &Request) -> Result<Admitted, WebError> {
    if info.kind == Kind::Page && info.method == Method::GET {
        let next = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let target = url::with_query("/login", &[("next", next)]);
        return Ok(Admitted::SignIn(Redirect::to(&target).into_response()));
    }
    Err(match request.headers().contains_key(header::AUTHORIZATION) {
        true => WebError::unauthenticated(
            "the token that was sent is in no tokens file",
            "Send another one, or ask whoever keeps the tokens file of the server.",
        ),
        false => WebError::unauthenticated(
            "no token was sent",
            "Send one: `Authorization: Bearer TOKEN`, for `mainstay` MAINSTAY_TOKEN or --token; or sign in at /login.",
        ),
    })
}

/// Refuses what another site made the browser send. Browsers name the sender's origin with everything that writes.
/// Where nobody is asked who they are, the host must be loopback too, or a name that a stranger pointed here would do
/// (DNS rebinding).
fn check_origin(app: &App, headers: &HeaderMap, writes: bool) -> Result<(), WebError> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST);
    if matches!(*app.auth, Auth::Open) && !host.is_some_and(is_loopback_name) {
        return Err(WebError::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "without authentication, only loopback names are served",
            "Use http://127.0.0.1 or http://localhost, or start with a tokens file.",
        ));
    }
    let Some(origin) = text(header::ORIGIN).filter(|_| writes) else {
        return Ok(());
    };
    let same = origin
        .split_once("://")
        .is_some_and(|(_, authority)| Some(authority) == host);
    if same {
        Ok(())
    } else {
        Err(forbidden(
            "this came from a page of another site",
            "Do it from Mainstay's own pages, or by the API with a token.",
        ))
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Who asks: by a token, by a session, or, where nobody is asked, as the local administrator.
fn authenticate(app: &App, kind: Kind, headers: &HeaderMap) -> Option<Caller> {
    let tokens = match &*app.auth {
        Auth::Open => {
            return Some(Caller {
                principal: local_admin(),
                proof: Proof::Open {
                    csrf: app.open_csrf.to_string(),
                },
            });
        }
        Auth::Tokens(tokens) => tokens,
    };
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let (scheme, credentials) = authorization.to_str().ok()?.split_once(' ')?;
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => credentials.trim().to_owned(),
            "basic" if kind == Kind::Api => password(credentials.trim())?,
            _ => return None,
        };
        return tokens.principal(&token).map(|principal| Caller {
            principal,
            proof: Proof::Bearer,
        });
    }
    let session = app.sessions.find(session_id(headers)?, app.now())?;
    Some(Caller {
        principal: session.principal,
        proof: Proof::Session { csrf: session.csrf },
    })
}

/// The password of basic authentication: a token, for programs that know no other way. The name before it says nothing.
fn password(credentials: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(credentials)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// The id in the session's cookie.
pub(crate) fn session_id(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, id)| (name == session::COOKIE).then_some(id))
}

/// Reads the body up to the route's limit, and checks that whoever sent it has seen one of our pages where the browser
/// alone would do as proof.
async fn take_body(info: &RouteInfo, caller: Option<&Caller>, request: Request) -> Result<Request, WebError> {
    let (mut parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let limit = info.body_max_bytes;
    let too_large = || {
        WebError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body has more than {limit} bytes"),
            "Send less at a time.",
        )
    };
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        if !parts.headers.contains_key(header::EXPECT) {
            read_off(body, limit.saturating_mul(READ_OFF_FACTOR)).await;
        }
        return Err(too_large());
    }
    let read = tokio::time::timeout(
        Duration::from_millis(info.timeout_ms.max(1)),
        axum::body::to_bytes(body, limit),
    );
    let bytes: Bytes = match read.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_beyond_limit(&error) => return Err(too_large()),
        Ok(Err(error)) => {
            return Err(WebError::invalid(
                format!("the body broke off: {error}"),
                "Send it again, whole.",
            ));
        }
        Err(_) => {
            return Err(WebError::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow_body",
                "the body did not arrive in time",
                "Send it again.",
            ));
        }
    };
    let presented = match info.kind {
        Kind::Api => parts
            .headers
            .get(CSRF_HEADER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        Kind::Page => {
            let fields = parse_form(&parts.headers, &bytes).await?;
            let presented = fields.0.get(CSRF_FIELD).cloned();
            parts.extensions.insert(fields);
            presented
        }
    };
    let expected = match (info.access, caller.map(|caller| &caller.proof), info.kind) {
        (Access::Public, _, _) | (_, None | Some(Proof::Bearer), _) => None,
        // A command line on this machine has no token to send; `check_origin` keeps browsers' pages of other sites out.
        (_, Some(Proof::Open { .. }), Kind::Api) => None,
        (_, Some(Proof::Session { csrf } | Proof::Open { csrf }), _) => Some(csrf),
    };
    if let Some(expected) = expected {
        let presented = presented.unwrap_or_default();
        if !bool::from(expected.as_bytes().ct_eq(presented.as_bytes())) {
            return Err(WebError::new(
                StatusCode::FORBIDDEN,
                "csrf",
                "the form is not from this session",
                "Go back, reload the page and try again.",
            ));
        }
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Reads on for a moment what is not wanted: who is still sending when the connection closes hears of that alone, and not
/// why, and sends the same again.
async fn read_off(mut body: Body, limit_bytes: usize) {
    let reading = async {
        let mut left_bytes = limit_bytes;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less_bytes) = left_bytes.checked_sub(length) else {
                return;
            };
            left_bytes = less_bytes;
        }
    };
    // Whoever is slower is cut off.
    let _in_time = tokio::time::timeout(READ_OFF_TIME, reading).await;
}

/// Whether a body was longer than what is read of it, rather than broken.
fn is_beyond_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

async fn parse_form(headers: &HeaderMap, bytes: &Bytes) -> Result<Fields, WebError> {
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    let mut copy = Request::new(Body::from(bytes.clone()));
    *copy.method_mut() = Method::POST;
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        copy.headers_mut()
            .insert(header::CONTENT_TYPE, content_type.clone());
    }
    axum::Form::from_request(copy, &())
        .await
        .map(|axum::Form(fields)| Fields(fields))
        .map_err(|error| {
            WebError::invalid(
                error.body_text(),
                "Send form fields, application/x-www-form-urlencoded.",
            )
        })
}

/// Around everything, also what matches no route: the headers that every answer bears.
pub(crate) async fn every_answer(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status().is_client_error() {
        app.console.note_refused(response.status().as_u16());
    }
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::CACHE_CONTROL, "no-store");
    set(
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    if app.settings.secure_cookies {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// What matches no route.
pub(crate) async fn no_such_page(request: Request) -> Response {
    answer_by_path(
        &request,
        WebError::not_found(format_args!("the page {}", request.uri().path())),
    )
}

/// What matches a path but not its method.
pub(crate) async fn no_such_method(request: Request) -> Response {
    let error = WebError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        format!("{} cannot be used here", request.method()),
        "The `allow` header says what can; /api/v1/openapi.json describes every route.",
    );
    answer_by_path(&request, error)
}

fn answer_by_path(request: &Request, error: WebError) -> Response {
    if request.uri().path().starts_with("/api/") {
        error.to_json()
    } else {
        error.to_page()
    }
}
