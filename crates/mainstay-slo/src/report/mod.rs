//! Monthly reports: for one tenant, or for the platform. One model, made from counts, catalog and ledger alone, written
//! as Markdown, HTML, CSV or JSON; the same sources give the same bytes.
//!
//! An *edition* is a report that was issued: numbered, with the differences to the edition before it, and signed over
//! [`edition::canonical`] JSON. Late data or a retroactive adjustment makes the next edition a correction.

mod build;
mod csv;
mod divide;
pub mod edition;
mod html;
pub mod machine;
mod markdown;
mod model;
mod month;
mod words;

pub use build::{Asked, Sources, build};
pub use csv::csv;
pub use divide::{Divided, Episode, divided};
pub use html::html;
pub use markdown::markdown;
pub use model::*;
pub use month::{Month, MonthError};
