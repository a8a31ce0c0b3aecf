//! A whole catalog: its documents, its models, its digest.

use std::path::Path;

use mainstay_kernel::Digest;

use crate::diagnostic::Diagnostics;
use crate::documents::Documents;
use crate::error::CatalogError;
use crate::links;
use crate::platform::Platform;
use crate::response::Response;
use crate::runbook::{self, RunbookDoc};

/// Everything a catalog says, ready for use.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The digest of its files: what events name it by.
    pub digest: Digest,
    /// The platform model.
    pub platform: Platform,
    /// Routing, rotas, escalation, channels.
    pub response: Response,
    /// Runbooks, by file name.
    pub runbooks: Vec<RunbookDoc>,
    /// The documents, for the capabilities that read their own.
    pub documents: Documents,
}

impl Catalog {
    /// Reads and checks the catalog in a directory.
    ///
    /// # Errors
    /// If anything in it is an error. Warnings come with the catalog.
    pub fn load(path: &Path) -> Result<(Self, Diagnostics), CatalogError> {
        let (documents, diagnostics) = Documents::load(path);
        Self::usable(documents, diagnostics)
    }

    /// Reads a catalog that was kept with [`Documents::to_bytes`].
    ///
    /// # Errors
    /// If the archive is damaged, or if this release finds errors in what an earlier one accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, Diagnostics), CatalogError> {
        let (documents, diagnostics) = Documents::from_bytes(bytes)?;
        Self::usable(documents, diagnostics)
    }

    /// What `mainstay check` says: about a whole catalog if `path` is a directory, and about one file alone otherwise,
    /// where names are not expected to refer to anything. Capabilities add what they find in their own documents.
    #[must_use]
    pub fn check(path: &Path) -> (Self, Diagnostics) {
        let (documents, mut diagnostics) = Documents::load(path);
        if !path.is_dir() {
            diagnostics.mark_incomplete();
        }
        let catalog = Self::build(documents, &mut diagnostics);
        (catalog, diagnostics)
    }

    fn usable(
        documents: Documents,
        mut diagnostics: Diagnostics,
    ) -> Result<(Self, Diagnostics), CatalogError> {
        let catalog = Self::build(documents, &mut diagnostics);
        if diagnostics.has_errors() {
            Err(CatalogError::Invalid(diagnostics))
        } else {
            Ok((catalog, diagnostics))
        }
    }

    /// Builds the models and checks everything that can be seen in the platform and response documents alone;
    /// capabilities check their own documents.
    #[must_use]
    pub fn build(documents: Documents, diagnostics: &mut Diagnostics) -> Self {
        let platform = Platform::build(&documents, diagnostics);
        let response = Response::build(&documents, &platform, diagnostics);
        let runbooks = runbook::build(&documents, &platform, diagnostics);
        links::check(&documents, &runbooks, diagnostics);
        diagnostics.settle();
        Self {
            digest: documents.digest(),
            platform,
            response,
            runbooks,
            documents,
        }
    }
}
