//! Metrics engines beside the embedded one: any server that speaks the Prometheus HTTP API v1 can be asked
//! ([`query`]), and any that takes remote write can be sent to ([`write`]).
//!
//! What a server answers is given as it came; where its dialect differs from ours is said by
//! [`mainstay_promql::dialect`].

pub mod query;
pub mod write;

mod connection;
mod error;

pub use connection::{Auth, Connection, Endpoint};
pub use error::{RemoteError, Unanswered};
