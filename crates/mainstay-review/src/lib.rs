//! Learning from incidents: a blameless post-mortem drafted from facts. The draft says what happened and what points
//! where; the verdict on the cause, the lessons and the actions are left to humans.

mod draft;
pub mod facts;
mod suspects;

pub use draft::draft;
pub use facts::Facts;
pub use suspects::{Suspect, suspects};
