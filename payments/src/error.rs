//! What can go wrong when a role starts or runs.

use std::path::PathBuf;

/// A failure of a role of the platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listening socket could not be bound.
    #[error("cannot listen on {address}: {source}; choose a free port or 127.0.0.1:0")]
    Listen {
        /// The address asked for.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A manifest is not a Kubernetes object that can be read.
    #[error("{path}:{line}:{column}: {message}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// One-based line.
        line: u64,
        /// One-based column.
        column: u64,
        /// What was expected and how to mend it.
        message: String,
    },
    /// The manifests lack something that the platform needs.
    #[error("{path}: {message}")]
    Manifests {
        /// The directory of the manifests.
        path: PathBuf,
        /// What is missing and how to mend it.
        message: String,
    },
    /// The cell's database failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// An argument does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused something that a role cannot work without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// The result of running a role.
pub type Result<T> = std::result::Result<T, Error>;
