//! Channels: SMTP, webhook, Slack-format chat; receipts, back-off, fall-over to the next channel.
//!
//! [`machine`] is pure and remembers what became of every attempt; the other modules make the attempts.

pub mod machine;

pub use machine::{Attempted, Delivery, DeliveryEvent, DeliverySpec, DeliveryState, Receipt};
