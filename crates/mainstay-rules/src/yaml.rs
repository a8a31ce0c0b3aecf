//! Reading YAML with positions.

use serde::{Deserialize, Deserializer};

use crate::error::{Diagnostic, FORMAT_HELP};

/// A key without a value counts as not given, as it does in Go.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The text of a file, for positions.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    pub(crate) fn at(self, place: serde_saphyr::Location, message: impl Into<String>) -> Diagnostic {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
        self.diagnostic(number(place.line()), number(place.column()), message)
    }

    pub(crate) fn diagnostic(self, line: usize, column: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            help: FORMAT_HELP,
        }
    }

    /// A finding inside of a scalar: `line` and `column` count within `value`, which stands at or below `place`.
    pub(crate) fn within(
        self,
        place: serde_saphyr::Location,
        value: &str,
        line: usize,
        column: usize,
        message: impl Into<String>,
    ) -> Diagnostic {
        let start = self.at(place, message);
        let wanted = value.lines().nth(line - 1).unwrap_or_default();
        let needle = wanted.trim();
        let indent = wanted.chars().count() - wanted.trim_start().chars().count();
        let inside = column.saturating_sub(1).saturating_sub(indent);
        let lines = self.text.lines().enumerate().skip(start.line + line - 2).take(3);
        for (index, text) in lines {
            if let Some(offset) = text.find(needle).filter(|_| !needle.is_empty()) {
                let column = text[..offset].chars().count() + inside + 1;
                return Diagnostic {
                    line: index + 1,
                    column,
                    ..start
                };
            }
        }
        start
    }

    pub(crate) fn yaml<T: serde::de::DeserializeOwned>(self) -> Result<T, Diagnostic> {
        let mut options = serde_saphyr::Options::default();
        options.with_snippet = false;
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| self.yaml_error(&error))
    }

    fn yaml_error(self, error: &serde_saphyr::Error) -> Diagnostic {
        use serde_saphyr::Error;
        let error = error.without_snippet();
        let message = match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                format!("unknown key {field:?}: expected one of {}", expected.join(", "))
            }
            Error::SerdeMissingField { field, .. } => format!("the key {field:?} is missing"),
            Error::DuplicateMappingKey { key, .. } => {
                format!("the key {:?} is given twice", key.as_deref().unwrap_or_default())
            }
            other => {
                let text = other.to_string();
                let text = text.lines().next().unwrap_or_default();
                text.split(" at line ")
                    .next()
                    .unwrap_or(text)
                    .trim_start_matches("error: ")
                    .trim()
                    .to_owned()
            }
        };
        match error.location() {
            Some(place) => self.at(place, message),
            None => self.diagnostic(1, 1, message),
        }
    }
}
