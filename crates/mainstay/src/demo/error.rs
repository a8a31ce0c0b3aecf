//! Why the demo broke off.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the demo broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("{name}: {source}")]
    Child { name: &'static str, source: io::Error },
    #[error("{name} ended: {status}")]
    Ended { name: &'static str, status: String },
    /// Nobody answered: the process is down or hangs.
    #[error("{url}: {problem}")]
    NoAnswer { url: String, problem: String },
    /// Something answered, but not what was hoped for.
    #[error("{url}: {status} {text}")]
    Refused { url: String, status: u16, text: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not there: run the demo from the root of the repository, or say {option}")]
    Missing { path: PathBuf, option: &'static str },
    #[error("waited {waited:?} for {what} in vain")]
    InVain { what: String, waited: Duration },
    #[error("{0}")]
    Wrong(String),
}
