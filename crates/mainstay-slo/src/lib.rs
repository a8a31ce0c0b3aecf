//! Service level objectives by exact count: raw counter samples in; budgets, states and burn-rate alerts out.
//!
//! Every open tool computes a 30-day budget from averages of averages. Here every event is counted once, as its sample
//! arrives, into prefix sums: a window is the difference of two of them, whatever its length, and a budget is an
//! integer. What cannot be known (a counter that appeared above zero, a restart, a stretch without samples) is stated
//! beside the count, never guessed.
//!
//! - [`counter`]: from samples to events; [`selector`]: reading an event count out of a PromQL text; [`sli`]: indicators
//!   and their groups
//! - [`window`]: rolling and calendar windows; [`objective`]: targets, budgets, states; [`burn`]: multi-window alerts
//! - [`spec`]: OpenSLO documents
//! - [`engine`]: the state machine over all of them, and its stored state
//! - [`replay`]: the same machine over the past, and by other targets; [`forecast`]: when a budget will be spent
//! - [`gate`]: error budget policies, and whether a change may go out
//!
//! Pure: no IO, no clock, no floats but the sample values themselves.

pub mod burn;
mod codec;
pub mod counter;
mod coverage;
pub mod engine;
pub mod error;
mod exact;
pub mod forecast;
pub mod gate;
pub mod objective;
pub mod prefix;
pub mod replay;
pub mod selector;
pub mod sli;
pub mod spec;
mod tally;
pub mod window;

pub use engine::{
    AlertCause, AlertTransition, Evaluation, GroupWindow, Ingested, RawSample, SeriesRef, Settings,
    SloCatalog, SloEngine, Status, StatusValue,
};
pub use error::SloError;
pub use objective::{Budget, BudgetPolicy, Objective, Promise};
pub use sli::{Counters, Events, Marked, SliDefinition, Witness};
pub use tally::{Counts, Doubt};
