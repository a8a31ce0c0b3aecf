//! A cursor over one line, and the pieces that both formats share.

use std::borrow::Cow;

use super::{Label, ParseError};

/// How strictly a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Exactly one space where there is one (OpenMetrics).
    Strict,
    /// Any blanks, also inside braces, and a comma after the last label (Prometheus text format).
    Loose,
}

pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) number: usize,
    spacing: Spacing,
    at: usize,
}

impl<'a> Line<'a> {
    pub(crate) fn new(text: &'a str, number: usize, spacing: Spacing) -> Self {
        Self {
            text,
            number,
            spacing,
            at: 0,
        }
    }

    /// An error at the place reached.
    pub(crate) fn error(&self, reason: impl Into<String>) -> ParseError {
        self.error_at(self.at, reason)
    }

    pub(crate) fn error_at(&self, at: usize, reason: impl Into<String>) -> ParseError {
        ParseError {
            line: self.number,
            column: 1 + self.text[..at].chars().count(),
            reason: reason.into(),
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    pub(crate) fn skip_blanks(&mut self) -> bool {
        let rest = self.rest();
        let len = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        self.at += len;
        len > 0
    }

    /// What must stand between two words.
    pub(crate) fn separator(&mut self, before: &str) -> Result<(), ParseError> {
        let found = match self.spacing {
            Spacing::Strict => self.take(" "),
            Spacing::Loose => self.skip_blanks(),
        };
        if found {
            Ok(())
        } else {
            Err(self.error(format!("expected a space before {before}")))
        }
    }

    /// Everything up to the next blank.
    pub(crate) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest.find([' ', '\t']).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(crate) fn metric_name(&mut self) -> Result<&'a str, ParseError> {
        self.name(|byte| byte == b':', "a metric name ([a-zA-Z_:][a-zA-Z0-9_:]*)")
    }

    fn name(&mut self, also: impl Fn(u8) -> bool, what: &str) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte);
        let len = rest.bytes().position(|byte| !is_name(byte)).unwrap_or(rest.len());
        if len == 0 || rest.as_bytes()[0].is_ascii_digit() {
            return Err(self.error(format!("expected {what}")));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// `{name="value",...}` after the brace, into `labels`, which is emptied first.
    pub(crate) fn labels(&mut self, labels: &mut Vec<Label<'a>>) -> Result<(), ParseError> {
        labels.clear();
        loop {
            self.inner_blanks();
            // An empty set; a comma after the last label only in the older format.
            if (labels.is_empty() || self.spacing == Spacing::Loose) && self.take("}") {
                return Ok(());
            }
            let start = self.at;
            let name = self.name(|_| false, "a label name ([a-zA-Z_][a-zA-Z0-9_]*)")?;
            if name == "__name__" {
                return Err(self.error_at(
                    start,
                    "the label __name__ is the metric's name and stands before the brace",
                ));
            }
            if labels.iter().any(|(held, _)| *held == name) {
                return Err(self.error_at(start, format!("the label {name} stands twice")));
            }
            self.inner_blanks();
            if !self.take("=") {
                return Err(self.error(format!("expected = after the label name {name}")));
            }
            self.inner_blanks();
            if !self.take("\"") {
                return Err(self.error("expected a label value in double quotes"));
            }
            labels.push((name, self.quoted()?));
            self.inner_blanks();
            if self.take("}") {
                return Ok(());
            }
            if !self.take(",") {
                return Err(self.error("expected , or } after a label"));
            }
        }
    }

    fn inner_blanks(&mut self) {
        if self.spacing == Spacing::Loose {
            self.skip_blanks();
        }
    }

    /// A label value after the opening quote.
    fn quoted(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let rest = self.rest();
        let mut escaped = false;
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at += at + 1;
                    return Ok(unescape(&rest[..at]));
                }
                _ => {}
            }
        }
        Err(self.error("expected a closing quote on the same line"))
    }

    pub(crate) fn number(&mut self, what: &str) -> Result<f64, ParseError> {
        let start = self.at;
        let word = self.word();
        number(word).ok_or_else(|| self.error_at(start, format!("expected {what}, a number, not {word:?}")))
    }

    /// A time in seconds, as OpenMetrics writes it.
    pub(crate) fn seconds_as_ms(&mut self, what: &str) -> Result<i64, ParseError> {
        let start = self.at;
        let seconds = self.number(what)?;
        as_ms(seconds)
            .ok_or_else(|| self.error_at(start, format!("expected {what}, a finite number of seconds")))
    }
}

/// Seconds as whole milliseconds; nothing that is not finite.
pub(crate) fn as_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "finite, and a cast saturates")]
    ms.is_finite().then_some(ms as i64)
}

/// A decimal number, an infinity or NaN. Other notations (hexadecimal, digit separators) are refused.
pub(crate) fn number(word: &str) -> Option<f64> {
    let unsigned = word.strip_prefix(['+', '-']);
    if unsigned.is_some_and(|rest| rest.eq_ignore_ascii_case("nan")) {
        return None;
    }
    word.parse().ok()
}

/// `\\`, `\"` and `\n`; any other backslash stands for itself.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(escaped @ ('\\' | '"')) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}
