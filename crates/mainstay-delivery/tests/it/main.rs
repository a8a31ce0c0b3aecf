//! The real channels against real sockets, and the inbox.

mod channels;
mod inbox;
mod support;
mod tls;
