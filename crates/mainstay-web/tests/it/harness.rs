//! Sending requests to the router without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use mainstay_kernel::Digest;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_web::{Auth, Settings, Setup, Tokens, Topic, router};
use tokio::sync::broadcast;
use tower::ServiceExt as _;

use crate::fake::{Fake, Mood, NOW};

/// The accounts of every test: name, role, tenants. The token is the name with `-token` behind it.
const ACCOUNTS: [(&str, &str, &str); 7] = [
    ("viewer", "viewer", "all"),
    ("responder", "responder", "all"),
    ("admin", "admin", "all"),
    ("own-viewer", "viewer", "[std-001]"),
    ("own-responder", "responder", "[std-001]"),
    ("foreign-viewer", "viewer", "[big-002]"),
    ("foreign-responder", "responder", "[big-002]"),
];

/// The text of a tokens file with those accounts.
pub(crate) fn tokens_file() -> String {
    let mut text = "tokens:\n".to_owned();
    for (name, role, tenants) in ACCOUNTS {
        let digest = Digest::of(format!("{name}-token").as_bytes());
        text.push_str(&format!(
            "  - name: {name}\n    role: {role}\n    tenants: {tenants}\n    sha256: \"{digest}\"\n"
        ));
    }
    text
}

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("answers are UTF-8")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }
}

/// The web over a fake console.
pub(crate) struct Web {
    pub(crate) fake: Arc<Fake>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) live: broadcast::Sender<Topic>,
    pub(crate) router: Router,
}

impl Web {
    pub(crate) fn open(mood: Mood) -> Self {
        Self::with(mood, Auth::Open, Settings::default())
    }

    pub(crate) fn with_tokens(mood: Mood) -> Self {
        let tokens = Tokens::parse("tokens.yaml", &tokens_file()).expect("the file is well formed");
        Self::with(mood, Auth::Tokens(tokens), Settings::default())
    }

    pub(crate) fn with(mood: Mood, auth: Auth, settings: Settings) -> Self {
        let fake = Arc::new(Fake::new(mood));
        let clock = Arc::new(ManualClock::at(NOW.parse().expect("a timestamp")));
        let (live, _) = broadcast::channel(16);
        let router = router(Setup {
            console: fake.clone(),
            auth,
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            live: live.clone(),
            settings,
        });
        Self {
            fake,
            clock,
            live,
            router,
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router never fails");
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.expect("bodies are whole").to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(get(path).body(Body::empty()).expect("well formed"))
            .await
    }
}

/// A request as a browser on this machine sends it.
pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(path).header(header::HOST, "127.0.0.1:8080")
}

/// The same, writing.
pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(path).header(header::HOST, "127.0.0.1:8080")
}

/// A form in a body.
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What stands between two texts.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text
        .find(before)
        .unwrap_or_else(|| panic!("{before:?} is not in the answer"))
        + before.len();
    let rest = &text[start..];
    &rest[..rest.find(after).expect("the end is there")]
}
