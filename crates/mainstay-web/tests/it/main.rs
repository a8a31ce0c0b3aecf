//! The web from outside: requests in, answers out.

mod alerting;
mod authorization;
mod fake;
mod harness;
mod otlp_grpc;
mod pages;
mod preview;
mod prometheus;
mod protocol;
mod security;
mod streams;
mod tenancy;
mod tsdb;
