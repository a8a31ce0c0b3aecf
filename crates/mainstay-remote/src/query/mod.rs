//! Asking another engine over the Prometheus HTTP API v1.

mod client;
mod decode;
mod engine;
mod selector;

pub use client::{Answer, Client};
pub use engine::{Engine, Product};
