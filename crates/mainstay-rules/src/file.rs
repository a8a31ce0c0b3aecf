//! Rule files: Prometheus' own format, and the `PrometheusRule` objects of Kubernetes around it.

mod check;
mod document;

use std::collections::BTreeMap;

use mainstay_promql::Expr;

use crate::error::{Diagnostic, RuleFileError};
use crate::template::Template;
use crate::yaml::Source;

/// How large a rule file may be.
const MAX_FILE_BYTES: usize = 16 << 20;

/// A rule file that was read and checked.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Its groups, in order.
    pub groups: Vec<GroupSpec>,
    /// What is allowed but hardly meant, such as a rule given twice.
    pub warnings: Vec<Diagnostic>,
}

/// A group of rules that are evaluated one after the other.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// The file as the caller named it.
    pub file: String,
    /// The line it starts at, from 1.
    pub line: usize,
    /// Its name, unique in the file.
    pub name: String,
    /// How often it is evaluated, in milliseconds; without it, the caller's default.
    pub interval_ms: Option<i64>,
    /// How far into the past queries look and samples are written, in milliseconds.
    pub query_offset_ms: Option<i64>,
    /// How many series or alerts one rule may give; 0 is no limit.
    pub limit: usize,
    /// Its rules, in order; the labels of the group are already in theirs.
    pub rules: Vec<RuleSpec>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// What it makes.
    pub kind: RuleKind,
    /// The query as it was written.
    pub query: String,
    /// The query as it was read.
    pub expr: Expr,
    /// Labels to add: plain text in a recording rule, templates in an alerting rule.
    pub labels: BTreeMap<String, Template>,
    /// The line it starts at, from 1.
    pub line: usize,
}

/// What a rule makes.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// A series of this name.
    Record {
        /// The metric's name.
        name: String,
    },
    /// Alerts of this name.
    Alert {
        /// The alert's name.
        name: String,
        /// How long the query must hold before the alert fires, in milliseconds.
        for_ms: i64,
        /// How long an alert keeps firing after the query stopped to hold, in milliseconds.
        keep_firing_for_ms: i64,
        /// Texts to show.
        annotations: BTreeMap<String, Template>,
    },
}

impl RuleSpec {
    /// The name of the series or of the alert.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Record { name } | RuleKind::Alert { name, .. } => name,
        }
    }
}

impl RuleFile {
    /// Reads a rule file; `file` is its name in messages.
    ///
    /// # Errors
    /// With everything that `promtool check rules` would refuse, at file, line and column: unknown keys, groups of one
    /// name, queries and templates that do not parse, rules that are neither or both of record and alert.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleFileError> {
        let source = Source { file, text };
        if text.len() > MAX_FILE_BYTES {
            let message = format!("larger than {MAX_FILE_BYTES} bytes: split it");
            return Err(RuleFileError(vec![source.diagnostic(1, 1, message)]));
        }
        let document = document::read(source).map_err(|error| RuleFileError(vec![error]))?;
        check::rule_file(source, document)
    }
}
