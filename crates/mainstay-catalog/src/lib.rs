//! Reliability as code: documents with source spans, diagnostics, references, the platform model, the response
//! documents, and the plan of what a new version changes.
//!
//! Files are read here and nowhere else; everything after [`Documents::load`] is a pure function of the texts.

pub mod catalog;
mod decode;
pub mod diagnostic;
pub mod document;
pub mod documents;
pub mod duration;
pub mod envelope;
mod error;
mod links;
pub mod lint;
mod nearest;
pub mod plan;
pub mod platform;
pub mod response;
pub mod runbook;
pub mod spanned;

pub use catalog::Catalog;
pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use document::{Document, Format};
pub use documents::Documents;
pub use error::{ArchiveError, CatalogError};
pub use lint::LintId;
pub use nearest::{nearest, suggest};
pub use platform::Platform;
pub use response::Response;
pub use spanned::{At, Spanned};
