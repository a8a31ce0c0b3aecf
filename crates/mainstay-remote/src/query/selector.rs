//! Selectors as text that every engine reads.

use std::fmt::Write as _;

use mainstay_kernel::Matcher;
use mainstay_promql::dialect::Dialect;

use crate::error::RemoteError;

/// Which names of labels an engine reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Letters, digits and underscores.
    Legacy,
    /// All, in quotes: since Prometheus 3.
    Any,
}

impl Names {
    pub(crate) fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Prometheus3 => Self::Any,
            Dialect::Prometheus2 | Dialect::VictoriaMetrics => Self::Legacy,
        }
    }
}

/// `{name="value", ...}`: the metric's name stands among the matchers, so that it may be any text.
///
/// # Errors
/// If a label's name is not one that the engine can read.
pub(crate) fn selector(matchers: &[Matcher], names: Names) -> Result<String, RemoteError> {
    let mut text = String::from("{");
    for (index, matcher) in matchers.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match names {
            _ if is_legacy_name(matcher.name()) => text.push_str(matcher.name()),
            Names::Any => quote(&mut text, matcher.name()),
            Names::Legacy => {
                return Err(RemoteError::Unaskable(format!(
                    "the label name {:?} is not of letters, digits and underscores",
                    matcher.name()
                )));
            }
        }
        text.push_str(matcher.op().symbol());
        quote(&mut text, matcher.value());
    }
    text.push('}');
    Ok(text)
}

/// Whether a label's name is one that engines before UTF-8 names read.
pub(crate) fn is_legacy_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A text in double quotes, with the escapes of Go.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {
                // Writing into a text cannot fail.
                let _infallible = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::MatchOp;

    use super::*;

    #[test]
    fn a_selector_reads_back_as_it_was() {
        let matchers = [
            Matcher::equal("__name__", "http:requests"),
            Matcher::new("path", MatchOp::NotEqual, "a\"b\\c\nd\té\u{1}").expect("a matcher"),
            Matcher::new("code", MatchOp::Matches, r"5\d+|").expect("a matcher"),
        ];
        let text = selector(&matchers, Names::Legacy).expect("a selector");
        assert_eq!(mainstay_promql::parse_selector(&text).expect("PromQL"), matchers);
        let utf8 = [Matcher::equal("http.path", "/")];
        assert!(matches!(
            selector(&utf8, Names::Legacy),
            Err(RemoteError::Unaskable(_))
        ));
        assert_eq!(
            selector(&utf8, Names::Any).as_deref(),
            Ok("{\"http.path\"=\"/\"}")
        );
    }
}
