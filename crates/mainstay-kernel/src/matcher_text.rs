//! Label matchers as Alertmanager writes them: `severity="critical"`, `priority=~"P[01]"`, `team!=payments`.

use crate::matcher::{MatchOp, Matcher, MatcherError};

/// Why a text is not a matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherTextError {
    /// There is no operator in it.
    #[error("a matcher is a label, one of = != =~ !~, and a value")]
    NoOperator,
    /// What stands before the operator is not a label's name.
    #[error("{0:?} is not the name of a label")]
    BadName(String),
    /// A quotation mark or a backslash stands where none may.
    #[error("the value is not properly quoted")]
    BadQuotes,
    /// The regular expression does not compile.
    #[error(transparent)]
    BadRegex(#[from] MatcherError),
}

/// Reads one matcher. The value may stand in double quotes, with `\"`, `\\` and `\n` inside.
///
/// # Errors
/// If the text is not a matcher.
pub fn parse_matcher(text: &str) -> Result<Matcher, MatcherTextError> {
    let text = text.trim();
    let position = text.find(['=', '!']).ok_or(MatcherTextError::NoOperator)?;
    let (name, rest) = text.split_at(position);
    let operators = [
        ("=~", MatchOp::Matches),
        ("!~", MatchOp::NotMatches),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ];
    let (op, value) = operators
        .into_iter()
        .find_map(|(symbol, op)| Some((op, rest.strip_prefix(symbol)?)))
        .ok_or(MatcherTextError::NoOperator)?;
    let name = name.trim();
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return Err(MatcherTextError::BadName(name.to_owned()));
    }
    Ok(Matcher::new(name, op, unquote(value.trim())?)?)
}

fn unquote(text: &str) -> Result<String, MatcherTextError> {
    let Some(inner) = text.strip_prefix('"') else {
        return if text.contains('"') {
            Err(MatcherTextError::BadQuotes)
        } else {
            Ok(text.to_owned())
        };
    };
    let mut value = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next() {
            Some('"') if chars.as_str().is_empty() => return Ok(value),
            Some('\\') => match chars.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                _ => return Err(MatcherTextError::BadQuotes),
            },
            Some('"') | None => return Err(MatcherTextError::BadQuotes),
            Some(other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_alertmanager_reads() {
        let shown = |text: &str| parse_matcher(text).map(|matcher| matcher.to_string());
        assert_eq!(
            shown(r#"severity="critical""#).as_deref(),
            Ok(r#"severity="critical""#)
        );
        assert_eq!(
            shown("severity = critical").as_deref(),
            Ok(r#"severity="critical""#)
        );
        assert_eq!(
            shown(r#"priority=~"P[01]""#).as_deref(),
            Ok(r#"priority=~"P[01]""#)
        );
        assert_eq!(shown("team!=payments").as_deref(), Ok(r#"team!="payments""#));
        assert_eq!(shown(r#"a!~"x\"y""#).as_deref(), Ok(r#"a!~"x\"y""#));
        assert_eq!(shown("a=").as_deref(), Ok(r#"a="""#));
        assert_eq!(parse_matcher("severity"), Err(MatcherTextError::NoOperator));
        assert_eq!(parse_matcher("a!b"), Err(MatcherTextError::NoOperator));
        assert_eq!(
            parse_matcher("1a=b"),
            Err(MatcherTextError::BadName("1a".to_owned()))
        );
        assert_eq!(parse_matcher(r#"a="b"#), Err(MatcherTextError::BadQuotes));
        assert_eq!(parse_matcher(r#"a="b"c"#), Err(MatcherTextError::BadQuotes));
        assert!(matches!(
            parse_matcher("a=~("),
            Err(MatcherTextError::BadRegex(_))
        ));
    }
}
