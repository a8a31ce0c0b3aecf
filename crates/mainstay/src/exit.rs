//! The exit codes, the same for every command.

use std::process::ExitCode;

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok,
    /// It failed.
    Failure,
    /// It was asked in a way that it does not understand.
    Usage,
    /// A check found problems.
    Problems,
    /// The caller may not do this.
    NotAllowed,
    /// It is not known yet: ask again, or have it approved.
    Pending,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Problems => 3,
            Exit::NotAllowed => 4,
            Exit::Pending => 8,
        })
    }
}
