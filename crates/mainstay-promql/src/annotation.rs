//! Warnings and remarks about a query, in Prometheus' words.

use std::collections::BTreeSet;
use std::fmt;

use crate::ast::Position;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The result may be wrong.
    Warning,
    /// Something worth knowing.
    Info,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
    /// The part of the query it is about.
    pub position: Position,
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "warning",
            Level::Info => "info",
        };
        write!(f, "PromQL {level}: {} ({})", self.message, self.position)
    }
}

/// All remarks about one query, each once.
pub type Annotations = BTreeSet<Annotation>;
