//! The platform as its users meet it: real processes, started by the supervisor from the shipped manifests.

mod flow;
mod http;
mod lifecycle;
mod load;
mod platform;
mod supervision;
