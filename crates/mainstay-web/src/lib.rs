//! The web of Mainstay: a JSON API described by OpenAPI, pages rendered on the server, live events.
//!
//! * [`route::table`] declares every route once: method, path, who may use it, what it takes and gives. The router, the
//!   OpenAPI document, the reference and the authorization test are all derived from it.
//! * [`Console`] is what is asked of the rest of the program. Page and API of one capability lie side by side and show
//!   the same [`view`].
//! * [`guard`] stands before every route: who asks, may they, was it meant, how large, how long.
//!
//! Nothing here decides anything about the platform, and nothing here touches a disk, except to read the tokens file.

pub mod access;
mod alert;
mod alertmanager;
mod app;
mod catalog;
mod change;
mod completion;
pub mod console;
mod desk;
pub mod error;
mod events;
mod gate;
pub mod guard;
mod heartbeat;
mod inbox;
mod incident;
mod journal;
mod login;
mod oncall;
pub mod openapi;
mod otlp_grpc;
mod overview;
mod prometheus;
mod query;
pub mod reference;
mod report;
mod request;
pub mod route;
mod search;
pub mod serve;
mod session;
mod shadow;
mod silence;
mod slo;
pub mod view;

pub use access::{Auth, BindRefused, Tokens, TokensError, check_bind};
pub use app::{Settings, Setup, router};
pub use console::{
    Alertmanager, Answer, Console, Denied, Desk, Failure, Metrics, Oncall, Reports, Shadow, Turn,
};
pub use desk::ACK_PATH;
pub use events::Topic;
pub use otlp_grpc::serve_otlp_grpc;
pub use serve::serve;
