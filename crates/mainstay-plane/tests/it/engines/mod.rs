//! One suite over three engines: the embedded store, Debian's Prometheus, Debian's VictoriaMetrics. The same samples are
//! in each, brought there by our own remote write.

mod budgets;
mod data;
mod judged;
mod peer;
mod queries;
mod raw;
mod write;
