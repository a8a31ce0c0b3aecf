//! Completion: what becomes of something that is begun now and ends later, such as a payment.
//!
//! A `202 Accepted` says nothing. What counts is whether a payment reached the right end before its deadline, and it counts
//! where it began: each slice of time is a *cohort* of initiations (ruling R27).
//!
//! - *good*: it reached a right state at its deadline or before;
//! - *bad*: it reached another one, or nothing until its deadline: late is bad at the deadline, whatever comes afterwards;
//! - *rejected*: it was refused in time for a reason that is the customer's, by ISO 20022 status reason code. The service
//!   worked: such a payment is in no sum and is shown apart;
//! - *pending*: not decided yet. It is in no sum and is shown apart.
//!
//! Time is the time of the stream: a deadline has passed when its sender says that it told everything up to then. A sender
//! that is silent decides nothing, so that an outage of the reporting is blindness and no outage of payments.

mod cloud;
mod definition;
mod event;
mod tracker;

pub use cloud::{TYPE_PREFIX, from_cloud_events};
pub use definition::{Completion, DEADLINE_DEFAULT_MS, GOOD_DEFAULT, REJECTED_DEFAULT};
pub use event::{CompletionBatch, CompletionEvent, LABELS_MAX, TEXT_MAX_BYTES};
pub use tracker::Told;
pub(crate) use tracker::{Effect, Limits, Tracker};
