//! Incidents: something is wrong enough to have a name, an owner and a clock. A pure machine that learns of alerts,
//! changes, pages and impact from the other capabilities, keeps an append-only timeline, and asks for a human.

mod alerts;
mod command;
mod decide;
mod event;
mod fold;
mod machine;
pub mod model;
mod place;

pub use command::{IncidentCommand, IncidentRefusal};
pub use event::IncidentEvent;
pub use machine::Incidents;
pub use model::{Impact, Incident, IncidentState, Phase, TimelineEntry, TimelineKind};
pub use place::IncidentSpec;
