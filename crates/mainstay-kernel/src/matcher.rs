//! Label matchers, as PromQL selectors and alert routes use them.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::labels::Labels;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Matches,
    /// `!~`, anchored at both ends
    NotMatches,
}

impl MatchOp {
    /// As it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// One condition on one label. A label that is absent has the value "". Written in JSON as in Alertmanager's API: `name`,
/// `value`, `isRegex` and `isEqual`.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// The regular expression of a matcher does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad regular expression in {name}{}{value:?}: {reason}", .op.symbol())]
pub struct MatcherError {
    name: String,
    op: MatchOp,
    value: String,
    reason: String,
}

impl Matcher {
    /// A matcher; a regular expression is anchored at both ends and its dot matches a newline, as in Prometheus 3.
    ///
    /// # Errors
    /// If the regular expression does not compile (the compiled form is limited to 1 MiB).
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches => {
                let compile = |pattern: &str| {
                    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
                        .dot_matches_new_line(true)
                        .size_limit(1 << 20)
                        .build()
                };
                let compiled = compile(&value);
                match compiled.or_else(|error| compile(&of_go(&value)).map_err(|_| error)) {
                    Ok(regex) => Some(regex),
                    Err(error) => {
                        return Err(MatcherError {
                            name,
                            op,
                            value,
                            reason: error.to_string(),
                        });
                    }
                }
            }
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// `name = value`.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    /// The label it looks at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value passes; an absent label has the value "".
    #[must_use]
    pub fn matches_value(&self, value: &str) -> bool {
        let by_regex = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Matches => by_regex(),
            MatchOp::NotMatches => !by_regex(),
        }
    }

    /// Whether these labels pass.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).unwrap_or_default())
    }
}

/// A matcher as Alertmanager's API writes it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written {
            name: self.name.clone(),
            value: self.value.clone(),
            is_regex: self.regex.is_some(),
            is_equal: matches!(self.op, MatchOp::Equal | MatchOp::Matches),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let op = match (written.is_equal, written.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Matches,
            (false, true) => MatchOp::NotMatches,
        };
        Self::new(written.name, op, written.value).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.name.is_empty()
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            && !self.name.starts_with(|c: char| c.is_ascii_digit());
        if plain {
            f.write_str(&self.name)?;
        } else {
            quoted(f, &self.name)?;
        }
        f.write_str(self.op.symbol())?;
        quoted(f, &self.value)
    }
}

/// In double quotes, with the escapes that every reader of matchers knows.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// A regular expression of Go's as this crate's engine takes it: a brace that repeats nothing is a character, and what
/// stands between `\Q` and `\E` is a text.
fn of_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if let Some(literal) = rest.strip_prefix("\\Q") {
            let (literal, after) = literal.split_once("\\E").unwrap_or((literal, ""));
            out.push_str(&regex::escape(literal));
            rest = after;
            continue;
        }
        if c == '\\' {
            let taken = c.len_utf8() + after.chars().next().map_or(0, char::len_utf8);
            // `\p{Greek}` and `\x{10}` have braces of their own.
            let braced = after.starts_with(['p', 'P', 'x']) && after[1..].starts_with('{');
            let end = match braced.then(|| rest.find('}')).flatten() {
                Some(end) => end + 1,
                None => taken,
            };
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match c {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        let repeats = || {
            let inner = after.split_once('}').map_or("", |(inner, _)| inner);
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            match inner.split_once(',') {
                Some((least, most)) => digits(least) && (most.is_empty() || digits(most)),
                None => digits(inner),
            }
        };
        if c == '{' && !in_class && !repeats() {
            out.push('\\');
        }
        out.push(c);
        rest = after;
    }
    out
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
