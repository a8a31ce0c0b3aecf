//! The capabilities together: facts travel, nothing is repeated after a restart, and every page can be explained.

mod alert_review;
mod alert_state;
mod bench;
mod completions;
mod directory;
mod engines;
mod facts;
mod indicators;
mod pagerduty;
mod portions;
mod precision;
mod received;
mod repeat;
mod scripts;
mod shadow;
mod shifts;
mod telemetry;
mod tenants;
mod tiers;
mod turns;
mod why;
