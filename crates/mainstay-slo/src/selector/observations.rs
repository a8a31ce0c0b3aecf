//! Reading observations of native histograms out of a PromQL text.
//!
//! `histogram_count(S)` is all of them, and `histogram_fraction(0, T, S) * histogram_count(S)` those that were at most T,
//! where S is anything that [`super::parse_event_count`] reads as one term: `x`, `rate(x[5m])`, `sum by (cell) (rate(x[5m]))`.

use super::{Parser, Selector, SelectorError};

/// Which observations a query counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The histograms.
    pub selector: Selector,
    /// The labels of `sum by (..)`, as written.
    pub by: Vec<String>,
    /// Only those that were at most this.
    pub at_most: Option<f64>,
}

/// Whether a query asks for observations of native histograms, well or not.
#[must_use]
pub fn asks_for_observations(query: &str) -> bool {
    let query = query.trim_start();
    query.starts_with("histogram_count") || query.starts_with("histogram_fraction")
}

/// Reads a query.
///
/// # Errors
/// If it is anything else, with the position and what to write instead.
pub fn parse_observations(query: &str) -> Result<Observed, SelectorError> {
    let mut parser = Parser::new(query)?;
    let fraction = match parser.name().as_deref() {
        Some("histogram_count") => None,
        Some("histogram_fraction") => {
            let fraction = parser.fraction()?;
            parser.expect('*')?;
            if parser.name().as_deref() != Some("histogram_count") {
                return Err(parser.error("expected histogram_count(..) of the same histograms".to_owned()));
            }
            Some(fraction)
        }
        _ => return Err(parser.error("expected histogram_count(..) or histogram_fraction(..)".to_owned())),
    };
    parser.expect('(')?;
    let start = parser.at;
    let (selector, by) = parser.term()?;
    parser.expect(')')?;
    if parser.peek().is_some() {
        return Err(parser.error("expected the end of the query".to_owned()));
    }
    if let Some((_, other, other_by)) = &fraction
        && (*other != selector || *other_by != by)
    {
        parser.at = start;
        return Err(parser.error("a part of other histograms is no part of these".to_owned()));
    }
    Ok(Observed {
        selector,
        by,
        at_most: fraction.map(|(at_most, ..)| at_most),
    })
}

impl Parser {
    /// What follows `histogram_fraction`: the upper bound and the histograms.
    fn fraction(&mut self) -> Result<(f64, Selector, Vec<String>), SelectorError> {
        self.expect('(')?;
        let start = self.at;
        let lower = self.number()?;
        if !(lower == 0.0 || lower == f64::NEG_INFINITY) {
            self.at = start;
            return Err(self.error("observations are counted from the least on: write 0 or -Inf".to_owned()));
        }
        self.expect(',')?;
        let upper = self.number()?;
        self.expect(',')?;
        let (selector, by) = self.term()?;
        self.expect(')')?;
        Ok((upper, selector, by))
    }

    fn number(&mut self) -> Result<f64, SelectorError> {
        self.skip_space();
        let start = self.at;
        while self
            .chars
            .get(self.at)
            .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
        {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        text.parse().map_err(|_| {
            self.at = start;
            self.error("expected a number such as 0.2".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_are_read() {
        let all = parse_observations(r#"histogram_count(x{job="a"})"#).expect("all of them");
        assert_eq!(
            (all.selector.to_string().as_str(), all.at_most),
            (r#"x{job="a"}"#, None)
        );
        let query = "histogram_fraction(0, 0.2, sum by (cell) (rate(x[5m]))) * histogram_count(sum by (cell) (rate(x[5m])))";
        let some = parse_observations(query).expect("those that were fast");
        assert_eq!(
            (some.at_most, some.by.as_slice()),
            (Some(0.2), ["cell".to_owned()].as_slice())
        );
        assert!(asks_for_observations(query) && !asks_for_observations("x_count"));
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        for (query, at, word) in [
            ("histogram_sum(x)", 14, "expected histogram_count"),
            ("histogram_count(x) / 2", 20, "end of the query"),
            (
                "histogram_fraction(0.1, 0.2, x) * histogram_count(x)",
                20,
                "from the least",
            ),
            (
                "histogram_fraction(0, fast, x) * histogram_count(x)",
                23,
                "number",
            ),
            (
                "histogram_fraction(0, 0.2, x) * histogram_count(y)",
                51,
                "other histograms",
            ),
            ("histogram_fraction(0, 0.2, x)", 30, "'*'"),
        ] {
            let error = parse_observations(query).expect_err(query);
            assert!(error.reason.contains(word), "{query}: {error}");
            assert_eq!(error.at, at, "{query}: {error}");
        }
    }
}
