//! Documents: pieces of text with a format, a kind and a name, read from files.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::decode;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lint::{self, LintId};
use crate::nearest::suggest;
use crate::spanned::{At, Spanned};

/// The version that Mainstay's own documents name.
pub const API_VERSION: &str = "mainstay/v1";

/// Every kind of Mainstay document. Kinds in the plural hold `items`, the others a `spec`.
pub const KINDS: &[&str] = &[
    "Platform",
    "Regions",
    "Cells",
    "Tenants",
    "Teams",
    "People",
    "Services",
    "Databases",
    "Brokers",
    "Externals",
    "Calendar",
    "Routing",
    "AlertmanagerRouting",
    "Rota",
    "ErrorBudgetPolicy",
    "EscalationPolicy",
    "Channels",
    "MetricsLimits",
    "MaintenanceWindow",
    "ServiceCredits",
    "Heartbeats",
    "Watchdog",
    "WatchdogHost",
];

/// Most documents in one file.
pub const FILE_MAX_DOCUMENTS: usize = 256;

/// What a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// One of ours: `apiVersion: mainstay/v1`.
    Mainstay,
    /// OpenSLO: `apiVersion: openslo/...`.
    OpenSlo,
    /// Objectives of Sloth: `slos:`, or a `PrometheusServiceLevel` object that wraps them.
    Sloth,
    /// An objective of Pyrra: a `ServiceLevelObjective` object.
    Pyrra,
    /// A Prometheus rule file (`groups:`), or a `PrometheusRule` object that wraps one.
    PrometheusRules,
    /// Unit tests of Prometheus rules (`tests:`), as promtool reads them.
    PrometheusRuleTests,
    /// An Alertmanager configuration (`route:`, or `receivers:` beside `global:` or `inhibit_rules:`).
    AlertmanagerConfig,
    /// Any other object with `apiVersion` and `kind`.
    KubernetesObject,
    /// Markdown with front matter.
    Runbook,
    /// None of these; an error has been reported.
    Unknown,
}

/// One document of a catalog.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file it stands in, relative to the catalog, with `/` between its parts.
    pub file: Arc<str>,
    /// Its place among the documents of that file, from 0.
    pub index: usize,
    /// What it is written in.
    pub format: Format,
    /// `apiVersion`, or "".
    pub api_version: String,
    /// `kind`, or "".
    pub kind: String,
    /// `metadata.name`, or the file's name without its ending for formats that have no such key.
    pub name: String,
    /// Where the document begins.
    pub at: At,
    source: Arc<str>,
    range: Range<usize>,
}

/// The part of a document by which it is told what it is.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "apiVersion")]
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
    metadata: Option<HeaderMetadata>,
    groups: Option<IgnoredAny>,
    tests: Option<IgnoredAny>,
    route: Option<IgnoredAny>,
    receivers: Option<IgnoredAny>,
    slos: Option<IgnoredAny>,
    global: Option<IgnoredAny>,
    inhibit_rules: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeaderMetadata {
    name: Option<String>,
}

impl Document {
    /// The text of the document alone.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source[self.range.clone()]
    }

    /// The text of the whole file.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A piece of this document's file, to be read like a document of its own.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self {
            range,
            ..self.clone()
        }
    }

    /// Reads the document as a `T`. With `#[serde(deny_unknown_fields)]` a key that nothing reads is an error.
    ///
    /// # Errors
    /// A finding with the place of the first thing that does not fit, what was expected and how to mend it.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        decode::yaml(&self.text_in_place()).map_err(|error| decode::diagnostic(self, &error))
    }

    /// A finding about the part of this document at `at`, such as the `at` of a [`Spanned`].
    pub fn diagnostic(&self, lint: LintId, at: At, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(lint, self.file.clone(), &self.source, at, message)
    }

    /// A finding about a name that refers to nothing: `what` is not among `known`.
    pub fn unknown_reference<'a>(
        &self,
        what: &str,
        name: &Spanned<impl AsRef<str>>,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Diagnostic {
        let text = name.value.as_ref();
        self.diagnostic(
            lint::UNKNOWN_REFERENCE,
            name.at,
            format!("there is no {what} {text:?}"),
        )
        .help(suggest(text, what, known))
    }

    /// The document's text behind as many blanks as the file has bytes before it, so that a parser counts lines,
    /// columns and bytes from the start of the file.
    fn text_in_place(&self) -> Cow<'_, str> {
        if self.range.start == 0 {
            return Cow::Borrowed(self.text());
        }
        let mut text = String::with_capacity(self.range.end);
        text.extend(
            self.source.as_bytes()[..self.range.start]
                .iter()
                .map(|byte| match byte {
                    b'\n' => '\n',
                    _ => ' ',
                }),
        );
        text.push_str(self.text());
        Cow::Owned(text)
    }

    /// All documents in one file.
    pub(crate) fn read_file(file: &Arc<str>, source: &Arc<str>, diagnostics: &mut Diagnostics) -> Vec<Self> {
        if file.ends_with(".md") {
            return Self::read_markdown(file, source, diagnostics)
                .into_iter()
                .collect();
        }
        let ranges = split(source);
        if ranges.len() > FILE_MAX_DOCUMENTS {
            diagnostics.push_unread(
                Diagnostic::whole_file(
                    lint::TOO_LARGE,
                    file.clone(),
                    format!("{} documents in one file", ranges.len()),
                )
                .help(format!(
                    "a file has at most {FILE_MAX_DOCUMENTS} documents: split it"
                )),
            );
            return Vec::new();
        }
        let documents = ranges.into_iter().enumerate();
        documents
            .filter_map(|(index, range)| Self::read_yaml(file, source, index, range, diagnostics))
            .collect()
    }

    fn bare(file: &Arc<str>, source: &Arc<str>, index: usize, range: Range<usize>) -> Self {
        let line = source[..range.start]
            .bytes()
            .filter(|byte| *byte == b'\n')
            .count()
            + 1;
        Self {
            file: file.clone(),
            index,
            format: Format::Unknown,
            api_version: String::new(),
            kind: String::new(),
            name: stem(file).to_owned(),
            at: At {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: 1,
                offset_bytes: u32::try_from(range.start).unwrap_or(u32::MAX),
                len_bytes: 1,
            },
            source: source.clone(),
            range,
        }
    }

    fn read_markdown(file: &Arc<str>, source: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<Self> {
        // A README explains the catalog to its readers; it is not part of it.
        if stem(file).eq_ignore_ascii_case("readme") {
            return None;
        }
        let mut document = Self::bare(file, source, 0, 0..source.len());
        "Runbook".clone_into(&mut document.kind);
        if source.starts_with("---\n") || source.starts_with("---\r\n") {
            document.format = Format::Runbook;
        } else {
            let message = "a Markdown file without front matter";
            diagnostics.push_unread(document.diagnostic(lint::UNKNOWN_FORMAT, document.at, message).help(
                "a runbook begins with `---`, its title, severity and so on, and `---`; only a README has none",
            ));
        }
        Some(document)
    }

    fn read_yaml(
        file: &Arc<str>,
        source: &Arc<str>,
        index: usize,
        range: Range<usize>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut document = Self::bare(file, source, index, range);
        let header: Header = match document.decode::<Option<Header>>() {
            Ok(Some(header)) => header,
            Ok(None) => return None,
            Err(diagnostic) => {
                diagnostics.push_unread(diagnostic);
                return Some(document);
            }
        };
        let text =
            |field: &Option<Spanned<String>>| field.as_ref().map(|f| f.value.clone()).unwrap_or_default();
        document.api_version = text(&header.api_version);
        document.kind = text(&header.kind);
        if let Some(name) = header.metadata.and_then(|metadata| metadata.name) {
            document.name = name;
        }
        let api_version = document.api_version.as_str();
        document.format = match (api_version, document.kind.as_str()) {
            (API_VERSION, kind) => {
                if !KINDS.contains(&kind) {
                    let at = header.kind.map_or(document.at, |kind| kind.at);
                    let message = format!("unknown kind {kind:?}");
                    diagnostics.push_unread(
                        document.diagnostic(lint::UNKNOWN_KIND, at, message).help(suggest(
                            kind,
                            "kind",
                            KINDS.iter().copied(),
                        )),
                    );
                }
                Format::Mainstay
            }
            (other, _) if other.starts_with("mainstay/") => {
                let at = header.api_version.map_or(document.at, |version| version.at);
                diagnostics.push_unread(
                    document
                        .diagnostic(lint::UNKNOWN_FORMAT, at, format!("unknown version {other:?}"))
                        .help(format!("this release reads {API_VERSION}")),
                );
                Format::Unknown
            }
            (other, _) if other.starts_with("openslo") => Format::OpenSlo,
            ("monitoring.coreos.com/v1", "PrometheusRule") => Format::PrometheusRules,
            (other, "PrometheusServiceLevel") if other.starts_with("sloth.slok.dev/") => Format::Sloth,
            (other, "ServiceLevelObjective") if other.starts_with("pyrra.dev/") => Format::Pyrra,
            ("", "") if header.slos.is_some() => Format::Sloth,
            ("", "") if header.groups.is_some() => Format::PrometheusRules,
            ("", "") if header.tests.is_some() => Format::PrometheusRuleTests,
            ("", "")
                if header.route.is_some()
                    || header.receivers.is_some()
                        && (header.global.is_some() || header.inhibit_rules.is_some()) =>
            {
                Format::AlertmanagerConfig
            }
            (version, kind) if !version.is_empty() && !kind.is_empty() => Format::KubernetesObject,
            _ => {
                let message = "a document of unknown format";
                diagnostics.push_unread(document.diagnostic(lint::UNKNOWN_FORMAT, document.at, message).help(
                    "begin it with `apiVersion: mainstay/v1` and `kind:`, or with the keys of the format it is in",
                ));
                Format::Unknown
            }
        };
        Some(document)
    }
}

/// The file's name without directories and ending.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Splits a YAML stream at its `---` lines. In YAML such a line always starts a document: no block scalar and no quoted
/// scalar may hold one. Pieces of comments, directives and blanks alone go with the next one.
fn split(source: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut start, mut has_content, mut offset) = (0, false, 0);
    for line in source.split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker {
            if has_content {
                ranges.push(start..offset);
                start = offset;
            }
            has_content = !line[3..].trim().is_empty() && !line[3..].trim_start().starts_with('#');
        } else {
            let text = line.trim();
            has_content |=
                !(text.is_empty() || text.starts_with('#') || line.starts_with('%') || text == "...");
        }
        offset += line.len();
    }
    if has_content {
        ranges.push(start..source.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_yaml_does() {
        let source =
            "# head\n---\na: 1\ntext: |\n  --- not a marker\n---\n# nothing here\n---\nb: 2\n--- {c: 3}\n";
        let parts: Vec<&str> = split(source).into_iter().map(|range| &source[range]).collect();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].contains("a: 1") && parts[0].contains("not a marker"));
        assert!(parts[1].contains("b: 2"));
        assert_eq!(parts[2], "--- {c: 3}\n");
        assert!(split("# only a comment\n").is_empty());
    }
}
