//! Composition: every capability wired to the journal and to each other, once. The binary and the simulator both call
//! this, with their own clock, entropy, journal, channels and hands; nothing else wires.
//!
//! One [`Plane`] leads at a time. It takes commands, lets facts travel between capabilities by durable subscriptions,
//! fires durable timers, and carries effects out. It never acknowledges what is not in the journal, and never sends what
//! was not written first.

mod alert_review;
mod core;
mod directory;
mod effects;
mod error;
mod facts;
mod gate;
mod history;
pub mod judge;
mod observe;
mod plane;
mod postmortem;
pub mod reports;
mod shifts;
pub mod signing;
pub mod telemetry;
mod turns;
pub mod watchdog;
mod why;

pub use alert_review::{AlertReview, NameReview, Unannounced, alert_review};
pub use core::{Command, Done};
pub use directory::Directory;
pub use error::{ApplyError, PlaneError, Refused};
pub use history::{events_within, last_before};
pub use judge::{Blind, Judge};
pub use observe::OBSERVED_AT_ONCE;
pub use plane::{LEAD_TTL, Parts, Plane, States};
pub use shifts::open_matters;
pub use telemetry::{Telemetry, TelemetryError};
pub use why::{Decision, Step, Subject, newest_start, why};
