//! Asking another engine over the Prometheus HTTP API v1.

mod client;
mod decode;
mod engine;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod selector;

pub use client::{Answer, Client};
pub use engine::{Engine, Product};
