//! What is wrong with a file, and where.

use std::fmt;

/// A finding about a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
    /// How to mend it.
    pub help: &'static str,
}

/// How a file of rules is written; for findings that need no better advice.
pub(crate) const FORMAT_HELP: &str =
    "a rule file has `groups:`, each with a `name:` and `rules:` of `alert:` or `record:` with an `expr:`";

impl Diagnostic {
    /// The same with advice of its own.
    pub(crate) fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RuleFileError(
    /// Everything that is wrong, in order of position; never empty.
    pub Vec<Diagnostic>,
);
