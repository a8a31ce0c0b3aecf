//! Service level objectives by exact count: raw counter samples in; budgets, states and burn-rate alerts out.
//!
//! Every open tool computes a 30-day budget from averages of averages. Here every event is counted once, as its sample
//! arrives, into prefix sums: a window is the difference of two of them, whatever its length, and a budget is an
//! integer. What cannot be known (a counter that appeared above zero, a restart, a stretch without samples) is stated
//! beside the count, never guessed.
//!
//! - [`counter`], [`reading`]: from samples to events; [`selector`]: reading an event count out of a PromQL text;
//!   [`sli`]: indicators and their groups; [`slice`]: time slices
//! - [`completion`]: what becomes of payments, by the time at which they began
//! - [`floor`]: how little traffic is too little
//! - [`window`]: rolling and calendar windows; [`objective`]: targets, budgets, states; [`burn`]: multi-window alerts
//! - [`spec`]: OpenSLO documents; [`import`]: those of other tools; [`export`]: rules for a Prometheus
//! - [`adjust`]: what does not count, by agreement; [`credits`]: what contracts give back; [`report`]: monthly reports
//! - [`engine`]: the state machine over all of them, and its stored state
//! - [`replay`]: the same machine over the past, and by other targets; [`forecast`]: when a budget will be spent
//! - [`gate`]: error budget policies, and whether a change may go out
//!
//! Pure: no IO, no clock, no floats but the sample values themselves.

pub mod adjust;
pub mod burn;
mod chance;
mod codec;
pub mod completion;
pub mod counter;
mod coverage;
pub mod credits;
pub mod engine;
pub mod error;
mod exact;
pub mod export;
pub mod floor;
pub mod forecast;
pub mod gate;
pub mod import;
mod latency;
pub mod objective;
pub mod prefix;
pub mod reading;
pub mod replay;
pub mod report;
pub mod selector;
pub mod sli;
pub mod slice;
pub mod spec;
mod tally;
pub mod window;

pub use engine::{
    AlertCause, AlertTransition, Evaluation, ExcludedStretch, GroupWindow, Ingested, Period, RawSample,
    SeriesRef, Settings, Shares, SloCatalog, SloEngine, Status, StatusValue,
};
pub use error::SloError;
pub use objective::{Budget, BudgetPolicy, Objective, Promise};
pub use reading::{Op, Threshold};
pub use sli::{Counters, Events, Gauge, Marked, Member, Share, SliDefinition, Witness};
pub use slice::{Budgeting, Unit};
pub use tally::{Counts, Doubt};
