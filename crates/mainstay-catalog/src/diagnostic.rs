//! What is wrong, where exactly, and how to mend it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::lint::LintId;
use crate::spanned::At;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The catalog cannot be used as it is.
    Error,
    /// It can be used, but somebody should look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// Which check found it.
    pub lint: LintId,
    /// The file, relative to the catalog's directory, with `/` between its parts.
    pub file: Arc<str>,
    /// Where in the file. Line 0 means the file as a whole.
    #[serde(flatten)]
    pub at: At,
    /// What is wrong.
    pub message: String,
    /// What was expected, or how to mend it; may be empty.
    pub help: String,
    /// The ruling on the specification that the check stands for.
    pub ruling: Option<&'static str>,
    /// The line it is about, for display.
    #[serde(skip)]
    pub excerpt: Option<Box<Excerpt>>,
}

/// The line that a finding is about, or the part of a long one around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    text: Box<str>,
    /// The bytes of `text` that the caret marks.
    marked: (u16, u16),
    /// Whether the line begins before it.
    cut: bool,
}

/// How far an excerpt reaches before the place and after its beginning, in bytes.
const EXCERPT_REACH_BYTES: usize = 200;

impl Excerpt {
    fn new(source: &str, at: At) -> Self {
        let place = source.floor_char_boundary(at.offset_bytes as usize);
        let from = source.floor_char_boundary(place.saturating_sub(EXCERPT_REACH_BYTES));
        let to = source.floor_char_boundary(place.saturating_add(EXCERPT_REACH_BYTES));
        let newline = source[from..place].rfind('\n').map(|newline| from + newline + 1);
        let start = newline.unwrap_or(from);
        let end = source[place..to]
            .find(['\n', '\r'])
            .map_or(to, |newline| place + newline);
        let marked = (place + at.len_bytes as usize).min(place + source[place..end].trim_end().len());
        let marked = source.floor_char_boundary(marked).max(place);
        let within = |byte: usize| u16::try_from(byte - start).unwrap_or_default();
        Self {
            text: source[start..end].into(),
            marked: (within(place), within(marked)),
            cut: newline.is_none() && from > 0,
        }
    }
}

impl Diagnostic {
    /// A finding about the part of `source` (the text of the whole file) at `at`.
    pub fn new(
        lint: LintId,
        file: impl Into<Arc<str>>,
        source: &str,
        at: At,
        message: impl Into<String>,
    ) -> Self {
        Self {
            level: lint.lint().level,
            lint,
            file: file.into(),
            at,
            message: message.into(),
            help: String::new(),
            ruling: lint.lint().ruling,
            excerpt: (at.line > 0).then(|| Box::new(Excerpt::new(source, at))),
        }
    }

    /// A finding about a file as a whole.
    pub fn whole_file(lint: LintId, file: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Self::new(lint, file, "", At::default(), message)
    }

    /// The same finding with a help text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// `file:line:column`, or only the file.
    #[must_use]
    pub fn place(&self) -> String {
        match self.at {
            At { line: 0, .. } => self.file.to_string(),
            At { line, column, .. } => format!("{}:{line}:{column}", self.file),
        }
    }

    /// The finding as text: message, file:line:column, the line itself with a caret, help, ruling. Ends with a newline.
    fn render(&self, renderer: &Renderer, root: Option<&Path>) -> String {
        let path = match root {
            Some(root) => root.join(&*self.file).to_string_lossy().replace('\\', "/"),
            None => self.file.to_string(),
        };
        let level = match self.level {
            Level::Error => annotate_snippets::Level::ERROR,
            Level::Warning => annotate_snippets::Level::WARNING,
        };
        let title = level.primary_title(&self.message).id(self.lint.id());
        let mut group = Group::with_title(title);
        match &self.excerpt {
            None => group = group.element(Origin::path(path)),
            Some(excerpt) => {
                let marked = usize::from(excerpt.marked.0)..usize::from(excerpt.marked.1);
                let mut snippet = Snippet::source(&*excerpt.text)
                    .line_start(self.at.line as usize)
                    .annotation(AnnotationKind::Primary.span(marked));
                if excerpt.cut {
                    // The excerpt does not begin where the line does, so that its columns are not those of the file.
                    let (line, column) = (self.at.line as usize, self.at.column as usize);
                    group = group.element(Origin::path(path).line(line).char_column(column));
                } else {
                    snippet = snippet.path(path);
                }
                group = group.element(snippet);
            }
        }
        if !self.help.is_empty() {
            group = group.element(annotate_snippets::Level::HELP.message(&self.help));
        }
        if let Some(ruling) = self.ruling {
            group = group.element(annotate_snippets::Level::NOTE.message(format!("ruling {ruling}")));
        }
        renderer.render(&[group]) + "\n"
    }
}

/// Most findings that are kept; more are only counted.
pub const MAX_FINDINGS: usize = 1_000;

/// Findings, in a fixed order: by file, line, column, then check and message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    #[serde(skip)]
    incomplete: bool,
    /// Errors that were not kept, because there were too many.
    #[serde(skip)]
    dropped: usize,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. Above [`MAX_FINDINGS`] errors are only counted, and warnings forgotten.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        fn key(d: &Diagnostic) -> (&str, At, LintId, &str) {
            (&d.file, d.at, d.lint, &d.message)
        }
        if self.found.len() >= MAX_FINDINGS {
            self.dropped += usize::from(diagnostic.level == Level::Error);
            return;
        }
        let place = self.found.partition_point(|held| key(held) <= key(&diagnostic));
        self.found.insert(place, diagnostic);
    }

    /// The value, if it could be read; otherwise its finding is added, and what needs everything to have been read is
    /// not judged (see [`Diagnostics::settle`]).
    pub fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push_unread(diagnostic)).ok()
    }

    /// Adds the finding that something could not be read.
    pub fn push_unread(&mut self, diagnostic: Diagnostic) {
        self.incomplete = true;
        self.push(diagnostic);
    }

    /// Says that there is more to the catalog than what was read, as when one of its files is checked alone.
    pub(crate) fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Takes out what only follows from something that could not be read: names that seem to refer to nothing, numbers
    /// that do not add up. They are found, if they are there, once the rest is mended. To be called last, when every
    /// capability has added its findings.
    pub fn settle(&mut self) {
        if self.incomplete {
            self.found
                .retain(|diagnostic| !crate::lint::NEED_EVERYTHING.contains(&diagnostic.lint));
        }
    }

    /// Adds all of another collection, and what it knows of things that could not be read.
    pub fn merge(&mut self, other: Self) {
        self.incomplete |= other.incomplete;
        self.dropped += other.dropped;
        self.extend(other);
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        others.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// In order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.found.iter()
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// How many of them are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|d| d.level == Level::Error).count() + self.dropped
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// The findings as text, in rustc's form. File names are shown below `root`, if given. Colour is ANSI.
    #[must_use]
    pub fn render(&self, root: Option<&Path>, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for diagnostic in &self.found {
            text.push_str(&diagnostic.render(&renderer, root));
            text.push('\n');
        }
        text
    }

    /// One line per finding, `file:line:column: level[lint]: message (help)`: what editors and `grep` read.
    #[must_use]
    pub fn render_short(&self) -> String {
        let mut text = String::new();
        for d in &self.found {
            let level = match d.level {
                Level::Error => "error",
                Level::Warning => "warning",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {level}[{}]: {}", d.place(), d.lint, d.message);
        }
        text
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}
