//! Counts of events as PromQL.

use mainstay_kernel::Matcher;

use crate::selector::Selector;
use crate::sli::{Counters, Marked};

/// Tells series of different metrics apart whose other labels are the same.
const TERM_LABEL: &str = "mainstay_term";

/// The share of bad events, by labels.
pub(super) struct Share<'a> {
    pub(super) counters: &'a Counters,
    pub(super) by: &'a [String],
}

impl Share<'_> {
    /// The share of bad events in a window; nothing where there were none at all.
    pub(super) fn of_bad(&self, window: &str) -> String {
        let total = self.sum(&self.counters.total, "rate", window);
        format!("{}\n/\n({total} > 0)", self.marked_bad("rate", window))
    }

    /// How many bad events there were in a window.
    pub(super) fn bad(&self, window: &str) -> String {
        self.marked_bad("increase", window)
    }

    fn marked_bad(&self, function: &str, window: &str) -> String {
        let total = self.sum(&self.counters.total, function, window);
        let marked = self.sum(&self.counters.marked_by, function, window);
        // A counter of failures that there never were does not exist.
        let or_none = format!("({marked} or 0 * {total})");
        match self.counters.marked {
            Marked::Bad => or_none,
            Marked::Good => format!("({total} - {or_none})"),
        }
    }

    fn sum(&self, selectors: &[Selector], function: &str, window: &str) -> String {
        let by = if self.by.is_empty() {
            String::new()
        } else {
            format!(" by ({}) ", self.by.join(", "))
        };
        let terms: Vec<String> = selectors
            .iter()
            .map(|one| format!("{function}({}[{window}])", selector(one)))
            .collect();
        let [term] = terms.as_slice() else {
            // `or` takes a series for the same that differs in the metric's name alone, which rate() takes away.
            let named = terms.iter().enumerate();
            let named: Vec<String> = named
                .map(|(place, term)| {
                    format!("label_replace({term}, \"{TERM_LABEL}\", \"{place}\", \"\", \"\")")
                })
                .collect();
            return format!("sum{by}({})", named.join(" or "));
        };
        format!("sum{by}({term})")
    }
}

fn selector(selector: &Selector) -> String {
    if selector.matchers.is_empty() {
        return selector.metric.clone();
    }
    // `le="1"` is written `le="1.0"` by some: an engine that compares texts must be asked for both.
    let spelt = selector.edge().is_some_and(|edge| edge.fract() == 0.0);
    let matchers: Vec<String> = if spelt {
        selector.to_matchers().iter().skip(1).map(matcher).collect()
    } else {
        selector.matchers.iter().map(matcher).collect()
    };
    format!("{}{{{}}}", selector.metric, matchers.join(","))
}

fn matcher(matcher: &Matcher) -> String {
    format!(
        "{}{}{}",
        matcher.name(),
        matcher.op().symbol(),
        quoted(matcher.value())
    )
}

/// A text in PromQL's double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
