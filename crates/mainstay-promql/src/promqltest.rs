//! Text scenarios for queries, in the format of Prometheus' `promqltest`: `load`, `clear`, `eval instant`,
//! `eval range`, `expect`.

mod compare;
mod run;
mod script;
mod store;

use std::fmt;

pub use run::{run, run_over};

/// What a script gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many evaluations gave what they should.
    pub passed: usize,
    /// Those that did not.
    pub failed: Vec<Finding>,
}

/// One evaluation that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its line in the script, from 1.
    pub line: usize,
    /// Where its query begins in the line, in characters from 1.
    pub column: usize,
    /// Its query.
    pub query: String,
    /// What was wrong; differences in lines of their own.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.query, self.message)
    }
}

/// A script that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What was expected.
    pub message: String,
}
