//! What can go wrong apart from findings in documents.

use crate::diagnostic::Diagnostics;

/// Why bytes are not a kept catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin as one.
    #[error("not a catalog archive")]
    NotAnArchive,
    /// It is of a version that a later release wrote.
    #[error("a catalog archive of version {0}, which this release cannot read")]
    UnknownVersion(u8),
    /// It ends too early.
    #[error("the catalog archive is cut short")]
    CutShort,
    /// A name or a text in it is not UTF-8.
    #[error("the catalog archive holds something that is not text")]
    NotText,
}

/// Why a catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It has errors.
    #[error("the catalog has {} error(s)", .0.errors())]
    Invalid(Diagnostics),
    /// The archive it was kept in is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}
