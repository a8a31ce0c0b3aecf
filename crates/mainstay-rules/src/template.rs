//! Alert templates: the part of Go's `text/template` that rules use, with Prometheus' functions.

mod execute;
mod function;
mod humanize;
mod lex;
mod parse;
mod printf;
mod value;

use mainstay_kernel::Labels;
use mainstay_promql::{Limits, Samples};

use parse::Node;

/// How long an expanded text may be.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// What Prometheus puts before every template, so that `$labels` and `$value` work.
const VARIABLES: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// Line in the template, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// What a template may look at.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    /// The labels of the query's result.
    pub labels: &'a Labels,
    /// Its value.
    pub value: f64,
    /// Labels of the installation.
    pub external_labels: &'a Labels,
    /// Where the installation is reached.
    pub external_url: &'a str,
    /// The time of evaluation, milliseconds since 1970.
    pub at_ms: i64,
    /// Where `query` looks.
    pub store: &'a dyn Samples,
    /// What `query` may cost.
    pub limits: &'a Limits<'a>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// With line and column: bad syntax, an unknown function, a variable that was not declared.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let nodes = parse::parse(text)?;
        Ok(Self {
            text: text.to_owned(),
            nodes,
        })
    }

    /// A text in which nothing is expanded.
    #[must_use]
    pub fn plain(text: String) -> Self {
        Self {
            nodes: vec![Node::Text(text.clone())],
            text,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Expands it.
    ///
    /// # Errors
    /// When a function fails, or the text grows beyond 1 MiB.
    pub fn expand(&self, data: &Data<'_>) -> Result<String, String> {
        execute::execute(&self.nodes, data)
    }
}
