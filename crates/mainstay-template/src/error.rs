//! What can be wrong with a template, and where.

use std::fmt;

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file or field that the template was read from; empty for the text that was rendered.
    pub source: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_empty() {
            write!(f, "{}:{}", self.line, self.column)
        } else {
            write!(f, "{}:{}:{}", self.source, self.line, self.column)
        }
    }
}

/// Why a template was not read or not rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Go's parser refuses it too.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Place,
        /// What was expected or found.
        message: String,
    },
    /// Go's evaluation fails too: a field that is not there, an argument of the wrong type.
    #[error("{at}: {message}")]
    Execution {
        /// Where.
        at: Place,
        /// What is wrong.
        message: String,
    },
    /// Go could do it, this crate does not.
    #[error("{at}: {what} is not supported")]
    Unsupported {
        /// Where.
        at: Place,
        /// What was asked for.
        what: String,
    },
    /// A limit of [`crate::Limits`] was reached.
    #[error("{at}: more than {limit} {what}")]
    Limit {
        /// Where.
        at: Place,
        /// What there was too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Syntax { at, .. }
            | Self::Execution { at, .. }
            | Self::Unsupported { at, .. }
            | Self::Limit { at, .. } => at,
        }
    }
}

/// An error that does not know yet where it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax(String),
    Execution(String),
    Unsupported(String),
    Limit(&'static str, usize),
}

impl Fault {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    /// The error at a byte offset of a source.
    pub(crate) fn at(self, source: &str, text: &str, offset: usize) -> Error {
        let at = place(source, text, offset);
        match self {
            Self::Syntax(message) => Error::Syntax { at, message },
            Self::Execution(message) => Error::Execution { at, message },
            Self::Unsupported(what) => Error::Unsupported { at, what },
            Self::Limit(what, limit) => Error::Limit { at, what, limit },
        }
    }
}

fn place(source: &str, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        source: source.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}
