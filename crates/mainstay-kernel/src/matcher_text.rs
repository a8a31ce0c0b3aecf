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
    /// There is more than one where one is expected.
    #[error("these are several matchers")]
    Several,
    /// A quotation mark stands where none may, or is missing.
    #[error("the value is not properly quoted")]
    BadQuotes,
    /// The regular expression does not compile.
    #[error(transparent)]
    BadRegex(#[from] MatcherError),
}

/// Reads one matcher. The value may stand in double quotes, with `\"`, `\\` and `\n` inside; so may the name.
///
/// # Errors
/// If the text is not a matcher, or more than one.
pub fn parse_matcher(text: &str) -> Result<Matcher, MatcherTextError> {
    let mut matchers = parse_matchers(text)?;
    match (matchers.pop(), matchers.is_empty()) {
        (Some(matcher), true) => Ok(matcher),
        (Some(_), false) => Err(MatcherTextError::Several),
        (None, _) => Err(MatcherTextError::NoOperator),
    }
}

/// Reads matchers, with commas between and braces around them if there are any: `{severity="critical", team!=payments}`.
///
/// Alertmanager has two notations: one in which names may be any text, and the one before it. They are read as it reads
/// them: by the newer, if it takes the text, unless the older takes it too and finds something else in it.
///
/// # Errors
/// If neither notation takes the text, or a regular expression does not compile.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, MatcherTextError> {
    let parts = match (utf8::parse(text), classic(text)) {
        (Some(newer), Ok(older)) if newer != older => older,
        (Some(newer), _) => newer,
        (None, older) => older?,
    };
    let matchers = parts
        .into_iter()
        .map(|(name, op, value)| Ok(Matcher::new(name, op, value)?));
    matchers.collect()
}

/// Name, operator and value.
type Parts = (String, MatchOp, String);

const OPERATORS: [(&str, MatchOp); 4] = [
    ("=~", MatchOp::Matches),
    ("!~", MatchOp::NotMatches),
    ("!=", MatchOp::NotEqual),
    ("=", MatchOp::Equal),
];

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    OPERATORS
        .into_iter()
        .find_map(|(symbol, op)| Some((op, text.strip_prefix(symbol)?)))
}

/// The older notation: names are words of ASCII, values are anything up to a comma.
fn classic(text: &str) -> Result<Vec<Parts>, MatcherTextError> {
    let text = text.trim();
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            '"' => {
                quoted ^= !escaped;
                escaped = false;
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    // A comma may stand at the end.
    parts.extend(Some(&text[start..]).filter(|rest| !rest.trim().is_empty()));
    parts.into_iter().map(classic_matcher).collect()
}

fn classic_matcher(text: &str) -> Result<Parts, MatcherTextError> {
    let text = text.trim();
    let position = text.find(['=', '!']).ok_or(MatcherTextError::NoOperator)?;
    let (name, rest) = text.split_at(position);
    let (op, value) = operator(rest).ok_or(MatcherTextError::NoOperator)?;
    let name = name.trim();
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if !fits {
        return Err(MatcherTextError::BadName(name.to_owned()));
    }
    Ok((name.to_owned(), op, classic_value(value.trim())?))
}

fn classic_value(text: &str) -> Result<String, MatcherTextError> {
    let (inner, quoted) = match text.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut closed = !quoted;
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                // What is no escape stands for itself: regular expressions are full of them.
                other => {
                    value.push('\\');
                    value.extend(other);
                }
            },
            '"' if quoted && chars.as_str().is_empty() => closed = true,
            '"' => return Err(MatcherTextError::BadQuotes),
            other => value.push(other),
        }
    }
    if closed {
        Ok(value)
    } else {
        Err(MatcherTextError::BadQuotes)
    }
}

/// The newer notation: names and values are any text, in quotes if they hold a sign of the notation.
mod utf8 {
    use super::{Parts, operator};

    /// What must stand in quotes.
    const SIGNS: &str = "{}!=~,\\\"'`";

    pub(super) fn parse(text: &str) -> Option<Vec<Parts>> {
        let text = text.trim();
        let (mut rest, braced) = match text.strip_prefix('{') {
            Some(inner) => (inner.strip_suffix('}')?.trim(), true),
            None => (text, false),
        };
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (name, after) = word(rest)?;
            let (op, after) = operator(after.trim_start())?;
            let (value, after) = word(after.trim_start())?;
            if name.is_empty() {
                return None;
            }
            parts.push((name, op, value));
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(',')?.trim_start();
        }
        // Without braces, something must be there; with them, nothing matches everything.
        (braced || !parts.is_empty() || text.is_empty()).then_some(parts)
    }

    fn word(text: &str) -> Option<(String, &str)> {
        if let Some(inner) = text.strip_prefix('"') {
            return quoted(inner);
        }
        let end = text
            .find(|c: char| c.is_whitespace() || SIGNS.contains(c))
            .unwrap_or(text.len());
        (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
    }

    /// A text in double quotes with Go's escapes, from behind the first quote; and what follows.
    fn quoted(text: &str) -> Option<(String, &str)> {
        let mut value = Vec::new();
        let mut chars = text.chars();
        loop {
            match chars.next()? {
                '"' => return Some((String::from_utf8(value).ok()?, chars.as_str())),
                '\n' => return None,
                '\\' => {
                    let escape = chars.next()?;
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        '0'..='7' => {
                            let octal: String = [escape, chars.next()?, chars.next()?].into_iter().collect();
                            value.push(u8::from_str_radix(&octal, 8).ok()?);
                            continue;
                        }
                        other => {
                            value.push(match other {
                                'a' => 7,
                                'b' => 8,
                                'f' => 12,
                                'n' => b'\n',
                                'r' => b'\r',
                                't' => b'\t',
                                'v' => 11,
                                '\\' => b'\\',
                                '"' => b'"',
                                _ => return None,
                            });
                            continue;
                        }
                    };
                    let number: String = chars.by_ref().take(digits).collect();
                    let number = u32::from_str_radix(&number, 16)
                        .ok()
                        .filter(|_| number.len() == digits)?;
                    match escape {
                        'x' => value.push(u8::try_from(number).ok()?),
                        _ => push(&mut value, char::from_u32(number)?),
                    }
                }
                other => push(&mut value, other),
            }
        }
    }

    fn push(value: &mut Vec<u8>, c: char) {
        value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
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
        assert_eq!(shown("1a=b").as_deref(), Ok(r#""1a"="b""#));
        assert_eq!(shown(r#""büro.nr"=~"a|b""#).as_deref(), Ok(r#""büro.nr"=~"a|b""#));
        assert_eq!(shown(r#"{foo=bar}"#).as_deref(), Ok(r#"foo="bar""#));
        assert_eq!(shown(r"a=~\d+").as_deref(), Ok(r#"a=~"\\d+""#));
        assert_eq!(
            parse_matcher("1a=b c"),
            Err(MatcherTextError::BadName("1a".to_owned()))
        );
        assert_eq!(parse_matcher("a=b,c=d"), Err(MatcherTextError::Several));
        assert_eq!(parse_matcher(r#"a="b"#), Err(MatcherTextError::BadQuotes));
        assert_eq!(parse_matcher(r#"a="b"c"#), Err(MatcherTextError::BadQuotes));
        assert!(matches!(
            parse_matcher("a=~("),
            Err(MatcherTextError::BadRegex(_))
        ));
    }

    #[test]
    fn several_are_read_as_alertmanager_reads_them() {
        let shown = |text: &str| {
            let matchers = parse_matchers(text).map_err(|error| error.to_string())?;
            let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            Ok::<_, String>(texts.join(" "))
        };
        for (text, expected) in [
            (r#"{a="b",c=~"d,e"}"#, r#"a="b" c=~"d,e""#),
            ("a=b, c!=d,", r#"a="b" c!="d""#),
            (r#"{"a b"="c", d!~"e"}"#, r#""a b"="c" d!~"e""#),
            ("{}", ""),
            ("", ""),
            // The two notations find different things in it: the older one holds.
            (r#"a="\t""#, r#"a="\\t""#),
            (r#"a=~"b{2}""#, r#"a=~"b{2}""#),
            ("a=~b{2}", r#"a=~"b{2""#),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(shown("a=b,,c=d").is_err() && shown("a").is_err());
    }
}
