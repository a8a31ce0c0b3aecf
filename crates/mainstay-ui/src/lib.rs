//! The components that every page of the console is made of. Each is a typed function that returns markup, so that a
//! status without its word, a number without its query or a time without its zone cannot be written.
//!
//! Everything is rendered on the server and complete without script; [`assets`] holds the one style sheet and the one
//! script, which only keeps what is shown up to date. No inline style, no inline script: the pages live under a content
//! security policy that allows neither.

pub mod assets;
pub mod chart;
pub mod form;
pub mod frame;
pub mod live;
pub mod number;
pub mod status;
pub mod table;
pub mod time;
pub mod timeline;
pub mod url;

pub use chart::Chart;
pub use number::Unit;
pub use status::{Status, status};
