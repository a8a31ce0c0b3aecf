//! Alerts: which routes take them, when their groups are told, what the wire formats say, and what holds whatever
//! happens.

mod bench;
mod flapping;
mod grouping;
mod limits;
mod observation;
mod routing;
mod sequences;
mod shadow;
mod suppression;
