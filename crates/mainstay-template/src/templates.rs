//! The definitions in reach, and rendering.

use std::sync::Arc;

use jiff::ZonedDateTime;

use crate::ast::Source;
use crate::data::Data;
use crate::error::{Error, Fault};
use crate::eval::{self, Output};
use crate::format::{Sink, Version};
use crate::html;
use crate::limits::{Budget, Limits};
use crate::parse::{self, Trees};
use crate::value::Str;

/// What Alertmanager defines before any file does, by the same names.
const DEFAULTS: &str = include_str!("defaults.tmpl");

/// Template files, and what renders with them in reach.
#[derive(Debug, Default, Clone)]
pub struct Templates {
    trees: Trees,
    limits: Limits,
    version: Version,
}

impl Templates {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits, version: Version) -> Self {
        Self {
            trees: Trees::new(),
            limits,
            version,
        }
    }

    /// With what a configuration may call without defining it, such as `slack.default.title`. Files may define it anew.
    #[must_use]
    pub fn with_defaults(limits: Limits, version: Version) -> Self {
        let mut templates = Self::new(limits, version);
        // A test reads it: it is a template.
        let _ = templates.add("defaults.tmpl", DEFAULTS);
        templates
    }

    /// Reads a template file. What it defines takes the place of earlier definitions of the same name, unless it is
    /// empty; what stands outside of definitions can be called by the file's name, without its folder.
    ///
    /// # Errors
    /// If it is not a template, or too large. Nothing is taken over then.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let own = name.rsplit('/').next().unwrap_or(name);
        let trees = self.parse(name, own, text)?;
        self.merge(trees);
        Ok(())
    }

    /// Whether a text is a template.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self, text: &str) -> Result<(), Error> {
        self.parse("", "", text).map(drop)
    }

    /// Renders a text as Alertmanager does for all but e-mail bodies.
    ///
    /// # Errors
    /// If it is not a template, fails, or reaches a limit.
    pub fn text(&self, text: &str, data: &Arc<Data>, now: &ZonedDateTime) -> Result<String, Error> {
        self.render(text, data, now, Output::Text)
    }

    /// Renders a text as HTML, escaping what alerts bring along by where it stands.
    ///
    /// # Errors
    /// If it is not a template, fails, or reaches a limit; if an action stands where it could not be made safe.
    pub fn html(&self, text: &str, data: &Arc<Data>, now: &ZonedDateTime) -> Result<String, Error> {
        self.render(text, data, now, |sink| Output::Html(html::Writer::new(sink)))
    }

    fn render(
        &self,
        text: &str,
        data: &Arc<Data>,
        now: &ZonedDateTime,
        output: impl FnOnce(Sink) -> Output,
    ) -> Result<String, Error> {
        let own = self.parse("", "", text)?;
        let Some(tree) = own.get(&Str::from("")).cloned() else {
            return Ok(String::new());
        };
        let mut reach = self.clone();
        reach.merge(own);
        // The text itself is rendered even where it is empty, and can call itself.
        reach.trees.insert(Str::from(""), Arc::clone(&tree));
        let budget = Budget::new(self.limits, self.version, now.clone());
        let output = output(budget.sink());
        let bytes = eval::run(&reach.trees, &tree, data, budget, output)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            // A character cut in two by `slice`.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    fn merge(&mut self, trees: Trees) {
        for (name, tree) in trees {
            if !tree.is_empty() || !self.trees.contains_key(&name) {
                self.trees.insert(name, tree);
            }
        }
    }

    fn parse(&self, name: &str, own: &str, text: &str) -> Result<Trees, Error> {
        if text.len() > self.limits.template_bytes {
            let fault = Fault::Limit("bytes of template", self.limits.template_bytes);
            return Err(fault.at(name, text, self.limits.template_bytes));
        }
        let source = Arc::new(Source {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        parse::parse(&source, own, self.limits.nesting)
    }
}
