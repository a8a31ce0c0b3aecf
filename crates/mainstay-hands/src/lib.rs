//! Hands: what changes the platform on Mainstay's behalf. For now one hand, which talks to the local supervisor of
//! processes; Kubernetes, PostgreSQL and proxies come behind the same trait.

mod supervisor;

pub use supervisor::SupervisorHand;

use std::future::Future;

use mainstay_kernel::effect::{Act, Outcome};

/// Carries out acts. An act that was carried out before under the same key must not be harmful a second time.
pub trait Hands: Send + Sync + 'static {
    /// Carries out `act`; `key` is its idempotency key.
    fn act(&self, key: &str, act: &Act) -> impl Future<Output = Outcome> + Send;
}
