//! Incidents: what belongs to which, how bad it is, when it is over, and what its timeline says.

mod alerts;
mod bench;
mod impact;
mod outage;
mod work;
