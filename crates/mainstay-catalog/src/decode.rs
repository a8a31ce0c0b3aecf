//! From YAML to typed values, and from the parser's errors to findings a human can act on.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Options};

use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::lint;
use crate::nearest::suggest;
use crate::spanned::At;

pub(crate) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    // The parser's own limits (depth, nodes, aliases) stay in force; snippets are ours to draw.
    let mut options = Options::default();
    options.with_snippet = false;
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(text, options)
}

/// The finding for an error of the parser or of a type.
pub(crate) fn diagnostic(document: &Document, error: &Error) -> Diagnostic {
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error.without_snippet(),
        other => other,
    };
    let at = match error.location() {
        // Errors of syntax have no bytes.
        Some(place) if place.span().byte_offset().is_none() => {
            let at = At::from_yaml(place);
            At::of_line_column(document.source(), at.line, at.column)
        }
        Some(place) if place.line() > 0 => At::from_yaml(place),
        _ => document.at,
    };
    let keys = |known: &[&'static str]| known.to_vec();
    match error {
        Error::SerdeUnknownField { field, expected, .. } => document
            .diagnostic(lint::UNKNOWN_KEY, at, format!("unknown key {field:?}"))
            .help(suggest(field, "key", keys(expected))),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => document
            .diagnostic(
                lint::BAD_VALUE,
                at,
                format!("{variant:?} is none of the words expected here"),
            )
            .help(suggest(variant, "word", keys(expected))),
        Error::SerdeMissingField { field, .. } => document
            .diagnostic(lint::MISSING_KEY, at, format!("the key {field:?} is missing"))
            .help(format!("add `{field}:` to the mapping that this is part of")),
        Error::SerdeInvalidType {
            unexpected, expected, ..
        } => document
            .diagnostic(lint::WRONG_TYPE, at, format!("found {unexpected}"))
            .help(format!("expected {expected}")),
        Error::SerdeInvalidValue {
            unexpected, expected, ..
        } => document
            .diagnostic(lint::BAD_VALUE, at, format!("found {unexpected}"))
            .help(format!("expected {expected}")),
        Error::InvalidScalar { ty, .. } => document
            .diagnostic(lint::WRONG_TYPE, at, format!("this is not of type {ty}"))
            .help(format!("expected a value of type {ty}")),
        Error::Unexpected { expected, .. } => document
            .diagnostic(lint::WRONG_TYPE, at, "a value of another shape than expected")
            .help(format!("expected {}", shape(expected))),
        Error::DuplicateMappingKey { key, .. } => document
            .diagnostic(
                lint::DUPLICATE_KEY,
                at,
                format!("the key {} is given twice", key.as_deref().unwrap_or("here")),
            )
            .help("keep one of the two"),
        // What a type of ours says about a value that it does not take.
        Error::Message { msg, .. } => {
            let found = document
                .source()
                .get(at.bytes())
                .filter(|text| !text.is_empty() && !text.contains('\n'));
            let message = match found {
                Some(text) => format!("`{text}` cannot be used here"),
                None => "a value that cannot be used here".to_owned(),
            };
            document
                .diagnostic(lint::BAD_VALUE, at, message)
                .help(msg.clone())
        }
        Error::Budget { breach, .. } => document
            .diagnostic(
                lint::TOO_LARGE,
                at,
                format!("the document is above a limit: {breach:?}"),
            )
            .help("split it"),
        other => {
            let options = serde_saphyr::RenderOptions::default();
            let text = other.render_with_options(options);
            document
                .diagnostic(lint::SYNTAX, at, one_line(&text))
                .help("this is not valid YAML from here on")
        }
    }
}

/// The parser's names of shapes in a reader's words.
fn shape(expected: &str) -> &str {
    match expected {
        "sequence start" | "sequence" => "a list: `[a, b]`, or lines that begin with `- `",
        "mapping start" | "mapping" => "a mapping: `key: value`",
        "string scalar" | "scalar" => "one value, not a list or a mapping",
        other => other,
    }
}

/// The parser's text without its own "at line …" and on one line.
fn one_line(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    text.strip_prefix("error: ").unwrap_or(text).trim().to_owned()
}
