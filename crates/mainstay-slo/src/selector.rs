//! Reading the selectors of an event count out of a PromQL text.
//!
//! Only shapes whose meaning is "how many events": a plain selector of a counter, `rate(..)` or `increase(..)` of one,
//! `sum(..)` of these with or without `by (..)`, and sums of such terms over different metrics joined by `+`. The range
//! in brackets says over which window the query's author counts; our windows come from the objective, so it is read
//! and let go (`[5m]`, or a template such as `[{{.window}}]`).

mod edge;
pub mod observations;

use mainstay_kernel::{Labels, MatchOp, Matcher, labels::METRIC_NAME};

/// The label of a classic histogram's buckets: the upper edge.
pub const EDGE_LABEL: &str = "le";

/// The longest query read, in bytes.
pub const QUERY_MAX_BYTES: usize = 16 * 1024;

/// Why a query is not an event count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not countable at character {at}: {reason}")]
pub struct SelectorError {
    /// Position in the query, in characters, from 1.
    pub at: usize,
    /// What was expected, and what to write instead.
    pub reason: String,
}

/// The series of one metric that satisfy every matcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// Conditions on its other labels.
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Whether it selects this series. The edge of a bucket is compared as the number that it is: exposition formats write
    /// `le="1"` and `le="1.0"` for the same bucket.
    #[must_use]
    pub fn matches(&self, series: &Labels) -> bool {
        series.metric_name() == self.metric
            && self.matchers.iter().all(|matcher| {
                matcher.matches(series)
                    || edge::asked(matcher).is_some_and(|edge| {
                        series.get(EDGE_LABEL).and_then(|le| le.parse().ok()) == Some(edge)
                    })
            })
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.metric)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", matchers.join(","))
    }
}

/// A query as an event count: which counters it adds up, and by which labels it keeps them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCount {
    /// The counters; a series that several of them select counts once.
    pub selectors: Vec<Selector>,
    /// The labels of `sum by (..)`, as written.
    pub by: Vec<String>,
}

/// Reads a query.
///
/// # Errors
/// If it is anything but an event count, with the position and what to write instead.
pub fn parse_event_count(query: &str) -> Result<EventCount, SelectorError> {
    let mut parser = Parser::new(query)?;
    let mut count = EventCount {
        selectors: Vec::new(),
        by: Vec::new(),
    };
    loop {
        let start = parser.at;
        let (selector, by) = parser.term()?;
        if count
            .selectors
            .iter()
            .any(|other| other.metric == selector.metric)
        {
            parser.at = start;
            return Err(parser.error(format!(
                "{} is added twice; a series that both terms select would count double: write one selector",
                selector.metric
            )));
        }
        if !count.selectors.is_empty() && by != count.by {
            parser.at = start;
            return Err(parser.error("every term of a sum must be grouped by the same labels".to_owned()));
        }
        count.by = by;
        count.selectors.push(selector);
        if !parser.eat('+') {
            break;
        }
    }
    parser.skip_space();
    if parser.at < parser.chars.len() {
        return Err(parser.error(
            "expected the end of the query: only counters and their sums are counted exactly, other \
             expressions are sampled indicators, which come later"
                .to_owned(),
        ));
    }
    Ok(count)
}

/// Reads the plain selector of a metric, such as that of a gauge.
///
/// # Errors
/// If it is anything else, with the position.
pub fn parse_selector(query: &str) -> Result<Selector, SelectorError> {
    let mut parser = Parser::new(query)?;
    let name = parser.name();
    let reason = "each series of a gauge or a ratio is taken as it is: write the selector of one metric";
    if parser.peek() == Some('(') {
        parser.at = 0;
        return Err(parser.error(reason.to_owned()));
    }
    let selector = parser.selector(name)?;
    match parser.peek() {
        None => Ok(selector),
        Some(_) => Err(parser.error(reason.to_owned())),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn new(query: &str) -> Result<Self, SelectorError> {
        let chars = query.chars().take(QUERY_MAX_BYTES).collect();
        let parser = Self { chars, at: 0 };
        if query.len() > QUERY_MAX_BYTES {
            return Err(parser.error(format!("a query has at most {QUERY_MAX_BYTES} bytes")));
        }
        Ok(parser)
    }

    fn error(&self, reason: String) -> SelectorError {
        SelectorError {
            at: self.at + 1,
            reason,
        }
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.chars.get(self.at) {
            if *c == '#' {
                while self.chars.get(self.at).is_some_and(|c| *c != '\n') {
                    self.at += 1;
                }
            } else if c.is_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), SelectorError> {
        if self.eat(wanted) {
            Ok(())
        } else {
            Err(self.error(format!("expected {wanted:?}")))
        }
    }

    fn name(&mut self) -> Option<String> {
        self.skip_space();
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| {
            c.is_ascii_alphabetic() || *c == '_' || *c == ':' || (self.at > start && c.is_ascii_digit())
        }) {
            self.at += 1;
        }
        (self.at > start).then(|| self.chars[start..self.at].iter().collect())
    }

    /// One term: a sum, a rate or increase, or a selector.
    fn term(&mut self) -> Result<(Selector, Vec<String>), SelectorError> {
        let start = self.at;
        if self.eat('(') {
            let inner = self.term()?;
            self.expect(')')?;
            return Ok(inner);
        }
        let name = self.name();
        match name.as_deref() {
            Some("sum") => self.sum(),
            Some("rate" | "increase") if self.peek() == Some('(') => {
                self.expect('(')?;
                let name = self.name();
                let selector = self.selector(name)?;
                if self.peek() != Some('[') {
                    return Err(self.error("expected a range such as [5m]".to_owned()));
                }
                self.range()?;
                self.expect(')')?;
                Ok((selector, Vec::new()))
            }
            Some(function) if self.peek() == Some('(') => {
                let reason = format!(
                    "{function}() is not an event count: write a counter, rate(..), increase(..) or sum(..) of \
                     one; other expressions are sampled indicators, which come later"
                );
                self.at = start;
                self.skip_space();
                Err(self.error(reason))
            }
            _ => {
                let selector = self.selector(name)?;
                if self.peek() == Some('[') {
                    return Err(self.error("a range needs rate(..) or increase(..) around it".to_owned()));
                }
                Ok((selector, Vec::new()))
            }
        }
    }

    /// What follows the word `sum`.
    fn sum(&mut self) -> Result<(Selector, Vec<String>), SelectorError> {
        let before = self.grouping()?;
        self.expect('(')?;
        let (selector, inner) = self.term()?;
        self.expect(')')?;
        let after = if before.is_none() { self.grouping()? } else { None };
        // An outer sum without `by` adds its inner groups up again.
        drop(inner);
        Ok((selector, before.or(after).unwrap_or_default()))
    }

    fn grouping(&mut self) -> Result<Option<Vec<String>>, SelectorError> {
        let start = self.at;
        match self.name().as_deref() {
            Some("by") => {}
            Some("without") => {
                self.at = start;
                return Err(self.error("name the labels to keep: by (..) instead of without (..)".to_owned()));
            }
            _ => {
                self.at = start;
                return Ok(None);
            }
        }
        self.expect('(')?;
        let mut labels = Vec::new();
        while !self.eat(')') {
            let label = self
                .name()
                .ok_or_else(|| self.error("expected a label".to_owned()))?;
            labels.push(label);
            if !self.eat(',') && self.peek() != Some(')') {
                return Err(self.error("expected ',' or ')'".to_owned()));
            }
        }
        Ok(Some(labels))
    }

    fn range(&mut self) -> Result<(), SelectorError> {
        self.expect('[')?;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                ']' => return Ok(()),
                ':' => return Err(self.error("a subquery is no event count".to_owned())),
                _ => {}
            }
        }
        Err(self.error("expected ']'".to_owned()))
    }

    fn selector(&mut self, name: Option<String>) -> Result<Selector, SelectorError> {
        let start = self.at;
        let mut metric = name;
        let mut matchers = Vec::new();
        if self.eat('{') {
            while !self.eat('}') {
                let matcher = self.matcher()?;
                if matcher.name() != METRIC_NAME {
                    matchers.push(matcher);
                } else if matcher.op() == MatchOp::Equal && metric.is_none() {
                    metric = Some(matcher.value().to_owned());
                } else {
                    return Err(self.error("a metric is named once, by = and not by a pattern".to_owned()));
                }
                if !self.eat(',') && self.peek() != Some('}') {
                    return Err(self.error("expected ',' or '}'".to_owned()));
                }
            }
        }
        match metric.filter(|metric| !metric.is_empty()) {
            Some(metric) => Ok(Selector { metric, matchers }),
            None => {
                self.at = start;
                self.skip_space();
                Err(self.error("expected the name of a counter".to_owned()))
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let name = self
            .name()
            .ok_or_else(|| self.error("expected a label".to_owned()))?;
        let op = if self.eat('!') {
            if self.eat('~') {
                MatchOp::NotMatches
            } else {
                self.expect('=')?;
                MatchOp::NotEqual
            }
        } else {
            self.expect('=')?;
            if self.chars.get(self.at) == Some(&'~') {
                self.at += 1;
                MatchOp::Matches
            } else {
                MatchOp::Equal
            }
        };
        let value = self.string()?;
        Matcher::new(name, op, value).map_err(|error| self.error(error.to_string()))
    }

    fn string(&mut self) -> Result<String, SelectorError> {
        let quote = self
            .peek()
            .filter(|c| matches!(c, '"' | '\'' | '`'))
            .ok_or_else(|| self.error("expected a quoted value".to_owned()))?;
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            match c {
                c if c == quote => return Ok(value),
                '\\' if quote != '`' => {
                    let escaped = self.chars.get(self.at).copied();
                    self.at += 1;
                    value.push(match escaped {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some(c @ ('\\' | '"' | '\'')) => c,
                        _ => return Err(self.error("unknown escape; use \\\\, \\\", \\n or \\t".to_owned())),
                    });
                }
                c => value.push(c),
            }
        }
        Err(self.error("the quoted value does not end".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_counts_are_read() {
        for (query, selectors, by) in [
            ("http_requests_total", vec!["http_requests_total"], vec![]),
            (
                r#"sum(rate(http_requests_total{code=~"5..",job="gateway"}[5m])) by (cell, tenant)"#,
                vec![r#"http_requests_total{code=~"5..",job="gateway"}"#],
                vec!["cell", "tenant"],
            ),
            (
                "sum by(cell) (increase(a_total[{{.window}}])) + sum by (cell) (b_total{x!='1',})",
                vec!["a_total", r#"b_total{x!="1"}"#],
                vec!["cell"],
            ),
            (
                r#"sum({__name__="a_total", code!~`4..`})"#,
                vec![r#"a_total{code!~"4.."}"#],
                vec![],
            ),
        ] {
            let count = parse_event_count(query).expect(query);
            let texts: Vec<String> = count.selectors.iter().map(ToString::to_string).collect();
            assert_eq!(
                (texts, count.by),
                (
                    selectors.into_iter().map(str::to_owned).collect(),
                    by.into_iter().map(str::to_owned).collect()
                )
            );
        }
    }

    #[test]
    fn the_edge_of_a_bucket_is_a_number() {
        let selector = &parse_event_count(r#"x_bucket{job="a",le="1"}"#)
            .expect("a count")
            .selectors[0];
        let bucket = |le: &str| {
            [("__name__", "x_bucket"), ("job", "a"), ("le", le)]
                .into_iter()
                .collect()
        };
        for same in ["1", "1.0", "1e0"] {
            assert!(selector.matches(&bucket(same)), "{same}");
        }
        for other in ["10", "1.5", "+Inf", ""] {
            assert!(!selector.matches(&bucket(other)), "{other}");
            assert!(selector.matches_beside_edge(&bucket(other)), "{other}");
        }
        let texts: Vec<String> = selector.to_matchers().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [r#"__name__="x_bucket""#, r#"job="a""#, r#"le=~"1|1\\.0""#]
        );
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        for (query, at, word) in [
            ("", 1, "name of a counter"),
            ("histogram_quantile(0.9, x)", 1, "sampled"),
            ("sum(rate(a[5m])) / sum(rate(b[5m]))", 18, "sampled"),
            ("1 - a", 1, "name of a counter"),
            ("rate(a)", 7, "range"),
            ("a[5m]", 2, "rate"),
            ("sum(a) without (x)", 7, "without"),
            ("a + a", 4, "twice"),
            ("a{b=~\"(\"}", 9, "regular expression"),
            ("a{b=\"x}", 8, "does not end"),
            ("a{__name__=~\"x\"}", 16, "named once"),
        ] {
            let error = parse_event_count(query).expect_err(query);
            assert!(error.reason.contains(word), "{query}: {error}");
            assert_eq!(error.at, at, "{query}: {error}");
        }
    }
}
