//! The reference payments platform: real services in cells, tenants and load, for Mainstay to watch.
//!
//! One library, many processes: [`cli::run`] runs one *role* (a service's pod, the supervisor that starts the pods
//! of the Kubernetes manifests, the load generator, the ledger audit). Roles talk HTTP on loopback and share
//! nothing but the cell's database file. It depends on no other crate of the workspace, since it is what they watch.

pub mod audit;
mod breaker;
pub mod cli;
mod client;
mod clock;
pub mod deadline;
pub mod discovery;
pub mod error;
pub mod loadgen;
mod log;
pub mod metrics;
pub mod model;
pub mod pod;
pub(crate) mod roles;
mod store;
pub mod supervisor;
mod version;
