//! What every handler shares, and the router made of the route table.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use jiff::Timestamp;
use mainstay_kernel::{Clock, Entropy};
use tokio::sync::{Semaphore, broadcast};

use crate::access::Auth;
use crate::console::Console;
use crate::events::Topic;
use crate::session::{Sessions, random_token};
use crate::{guard, route};

/// What the router needs.
pub struct Setup {
    /// What answers.
    pub console: Arc<dyn Console>,
    /// How callers prove who they are.
    pub auth: Auth,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where session ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// Where the names of topics are announced. A capacity of 256 is plenty: who lags is told that everything may have
    /// changed.
    pub live: broadcast::Sender<Topic>,
    /// Limits and the like.
    pub settings: Settings,
}

/// Limits and the like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many pages may follow live events at a time.
    pub max_live_clients: usize,
    /// Whether cookies are only sent over TLS: set it where TLS ends before this process.
    pub secure_cookies: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_live_clients: 256,
            secure_cookies: false,
        }
    }
}

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) console: Arc<dyn Console>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) live: broadcast::Sender<Topic>,
    pub(crate) live_slots: Arc<Semaphore>,
    pub(crate) sessions: Arc<Sessions>,
    /// The anti-forgery token where there are no sessions.
    pub(crate) open_csrf: Arc<str>,
    pub(crate) settings: Arc<Settings>,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The whole web as a service.
pub fn router(setup: Setup) -> Router {
    let app = App {
        open_csrf: random_token(&*setup.entropy).into(),
        live_slots: Arc::new(Semaphore::new(setup.settings.max_live_clients)),
        sessions: Arc::new(Sessions::default()),
        console: setup.console,
        auth: Arc::new(setup.auth),
        clock: setup.clock,
        entropy: setup.entropy,
        live: setup.live,
        settings: Arc::new(setup.settings),
    };
    let mut router = Router::new();
    for route in route::table() {
        let guarded = route.handler.route_layer(middleware::from_fn_with_state(
            (app.clone(), Arc::new(route.info.clone())),
            guard::guard,
        ));
        router = router.route(route.info.path, guarded);
    }
    router
        .fallback(guard::no_such_page)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(DefaultBodyLimit::disable()) // The guard limits bodies, route by route.
        .layer(middleware::from_fn_with_state(app.clone(), guard::every_answer))
        .with_state(app)
}
