//! The edges of the buckets of classic histograms: numbers that formats write as texts.

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, MatchOp, Matcher};

use super::{EDGE_LABEL, Selector};

impl Selector {
    /// The edge of the one bucket that it selects, if it selects one.
    #[must_use]
    pub fn edge(&self) -> Option<f64> {
        self.matchers.iter().find_map(asked)
    }

    /// Whether it would select this series but for the bucket's edge.
    pub(crate) fn matches_beside_edge(&self, series: &Labels) -> bool {
        series.metric_name() == self.metric
            && self
                .matchers
                .iter()
                .all(|matcher| matcher.name() == EDGE_LABEL || matcher.matches(series))
    }

    /// Its conditions for an engine that compares texts: the name first, an edge in every way that formats write it.
    #[must_use]
    pub fn to_matchers(&self) -> Vec<Matcher> {
        let name = Matcher::equal(METRIC_NAME, &self.metric);
        let spelt = |matcher: &Matcher| {
            let pattern = asked(matcher).map(|edge| {
                let mut ways = vec![matcher.value().to_owned(), edge.to_string()];
                if edge.fract() == 0.0 {
                    ways.push(format!("{edge:.1}"));
                }
                ways.sort_unstable();
                ways.dedup();
                ways.join("|").replace('.', r"\.").replace('+', r"\+")
            });
            pattern
                .and_then(|pattern| Matcher::new(EDGE_LABEL, MatchOp::Matches, pattern).ok())
                .unwrap_or_else(|| matcher.clone())
        };
        std::iter::once(name)
            .chain(self.matchers.iter().map(spelt))
            .collect()
    }
}

/// The edge that a matcher asks for.
pub(super) fn asked(matcher: &Matcher) -> Option<f64> {
    let asks = matcher.name() == EDGE_LABEL && matcher.op() == MatchOp::Equal;
    asks.then(|| matcher.value().parse().ok()).flatten()
}
