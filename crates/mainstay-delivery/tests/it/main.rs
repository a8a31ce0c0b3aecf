//! The real channels against real sockets, the inbox, and the machine that remembers what became of every attempt.

mod bridge;
mod callbacks;
mod channels;
mod inbox;
mod machine;
mod marks;
mod matrix;
mod pagerduty;
mod provider;
mod real_mail;
mod receivers;
mod support;
mod telephone;
mod templated;
mod tls;
