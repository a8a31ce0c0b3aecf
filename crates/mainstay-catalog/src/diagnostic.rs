//! What is wrong, where exactly, and how to mend it.

use std::fmt::Write as _;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Group, Origin, Renderer, Snippet};
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
    pub file: String,
    /// Where in the file. Line 0 means the file as a whole.
    #[serde(flatten)]
    pub at: Position,
    /// What is wrong.
    pub message: String,
    /// What was expected, or how to mend it; may be empty.
    pub help: String,
    /// The ruling on the specification that the check stands for.
    pub ruling: Option<&'static str>,
    /// The line it stands in, for display.
    #[serde(skip)]
    pub source_line: String,
}

/// [`At`], as a finding reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1; 0 if the finding is about the whole file.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many bytes the finding covers within its line.
    pub len_bytes: u32,
}

/// Longest source line kept for display, in bytes.
const SOURCE_LINE_MAX_BYTES: usize = 400;

impl Diagnostic {
    /// A finding about the part of `source` (the text of the whole file) at `at`.
    pub fn new(lint: LintId, file: &str, source: &str, at: At, message: impl Into<String>) -> Self {
        let line = source
            .lines()
            .nth(at.line.saturating_sub(1) as usize)
            .unwrap_or_default();
        let source_line = crop(line, SOURCE_LINE_MAX_BYTES);
        Self {
            level: lint.lint().level,
            lint,
            file: file.to_owned(),
            at: Position {
                line: at.line,
                column: at.column,
                len_bytes: at.len,
            },
            message: message.into(),
            help: String::new(),
            ruling: lint.lint().ruling,
            source_line: if at.line == 0 {
                String::new()
            } else {
                source_line.to_owned()
            },
        }
    }

    /// A finding about a file as a whole.
    pub fn whole_file(lint: LintId, file: &str, message: impl Into<String>) -> Self {
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
        if self.at.line == 0 {
            self.file.clone()
        } else {
            format!("{}:{}:{}", self.file, self.at.line, self.at.column)
        }
    }

    /// The finding as text: message, file:line:column, the line itself with a caret, help, ruling. Ends with a newline.
    fn render(&self, renderer: &Renderer, root: Option<&Path>) -> String {
        let path = match root {
            Some(root) => root.join(&self.file).to_string_lossy().replace('\\', "/"),
            None => self.file.clone(),
        };
        let level = match self.level {
            Level::Error => annotate_snippets::Level::ERROR,
            Level::Warning => annotate_snippets::Level::WARNING,
        };
        let title = level.primary_title(&self.message).id(self.lint.id());
        let place: Element<'_> = if self.at.line == 0 {
            Origin::path(path).into()
        } else {
            Snippet::source(&self.source_line)
                .line_start(self.at.line as usize)
                .path(path)
                .annotation(AnnotationKind::Primary.span(self.bytes_in_line()))
                .into()
        };
        let mut group: Group<'_> = title.element(place);
        if !self.help.is_empty() {
            group = group.element(annotate_snippets::Level::HELP.message(&self.help));
        }
        if let Some(ruling) = self.ruling {
            group = group.element(annotate_snippets::Level::NOTE.message(format!("ruling {ruling}")));
        }
        renderer.render(&[group]) + "\n"
    }

    /// The bytes of the source line that the caret marks: at least one character, never past the line's end.
    fn bytes_in_line(&self) -> std::ops::Range<usize> {
        let line = &self.source_line;
        let start = line
            .char_indices()
            .nth(self.at.column.saturating_sub(1) as usize)
            .map_or(line.len(), |(index, _)| index);
        let mut end = start
            .saturating_add(self.at.len_bytes as usize)
            .min(line.trim_end().len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        start..end.max(start)
    }
}

fn crop(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Findings, in a fixed order: by file, line, column, then check and message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    #[serde(skip)]
    incomplete: bool,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let key = |d: &Diagnostic| (d.file.clone(), d.at, d.lint, d.message.clone());
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

    /// Takes out what only follows from something that could not be read: names that seem to refer to nothing, numbers
    /// that do not add up. They are found, if they are there, once the rest is mended.
    pub(crate) fn settle(&mut self) {
        if self.incomplete {
            self.found
                .retain(|diagnostic| !crate::lint::NEED_EVERYTHING.contains(&diagnostic.lint));
        }
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
        self.found.iter().filter(|d| d.level == Level::Error).count()
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
