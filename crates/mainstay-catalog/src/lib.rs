//! Reliability as code: documents with source spans, diagnostics, references, the platform model, the response
//! documents, and the plan of what a new version changes.
//!
//! Files are read here and nowhere else; everything after [`Documents::load`] is a pure function of the texts.
//!
//! ```
//! use mainstay_catalog::{Documents, Diagnostics, Platform};
//!
//! let text = "apiVersion: mainstay/v1\nkind: Brokers\nitems:\n  - {id: kafka-1, clutser: events, zone: 1}\n";
//! let (documents, mut diagnostics) = Documents::from_texts([("brokers.yaml", text)]);
//! let _platform = Platform::build(&documents, &mut diagnostics);
//! let finding = diagnostics.iter().next().expect("a key that nothing reads is an error");
//! assert_eq!(finding.place(), "brokers.yaml:4:19");
//! assert_eq!(finding.help, "did you mean \"cluster\"?");
//! ```
//!
//! A capability reads its own documents the same way: [`Documents::of_format`] or [`Documents::of_kind`], then
//! [`Document::decode`] into types that deny unknown fields and hold references as [`Spanned`], so that
//! [`Document::unknown_reference`] can point at them. Checks have a name in [`lint`].

pub mod alertmanager;
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
pub mod written;

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
