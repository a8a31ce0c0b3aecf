//! Channels: SMTP, SMS and voice, chat, webhooks, PagerDuty, Teams, ntfy; receipts, back-off, fall-over to the next channel.
//!
//! [`machine`] is pure and remembers what became of every attempt; the other modules make the attempts.

pub mod ack_link;
pub mod alertmanager;
pub mod channel;
pub mod fence;
mod http;
pub mod inbox;
pub mod machine;
mod ntfy;
mod pagerduty;
pub mod signature;
pub mod slack;
pub mod smtp;
mod teams;
pub mod telephone;
pub mod templated;
pub mod webhook;
mod wording;

pub use machine::{Attempted, Delivery, DeliveryEvent, DeliverySpec, DeliveryState, Receipt};
