//! Channels: SMTP, webhook, Slack-format chat; receipts, back-off, fall-over to the next channel.
//!
//! [`machine`] is pure and remembers what became of every attempt; the other modules make the attempts.

pub mod channel;
mod http;
pub mod inbox;
pub mod machine;
mod slack;
pub mod smtp;
pub mod webhook;
mod wording;

pub use machine::{Attempted, Delivery, DeliveryEvent, DeliverySpec, DeliveryState, Receipt};
