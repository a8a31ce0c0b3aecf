//! Which values of a label matchers take, and so what one selector has that another has not.
//!
//! A label has endless values; those that matter here are few: each value that a matcher names, the HTTP status codes,
//! no value at all, and one that nobody names. A value that one side takes and the other refuses is a proof; that no
//! such value is among these is none.

use std::collections::BTreeSet;

use mainstay_kernel::{MatchOp, Matcher};

use crate::selector::Selector;

/// The HTTP status codes that end a request.
pub(super) const CODES: std::ops::RangeInclusive<u16> = 200..=599;

/// A value that no matcher names.
const OTHER: &str = "a-value-that-nobody-names";

/// The values of a label that these matchers may tell apart.
pub(super) fn values<'m>(label: &str, matchers: impl IntoIterator<Item = &'m Matcher>) -> BTreeSet<String> {
    let mut values: BTreeSet<String> = CODES.map(|code| code.to_string()).collect();
    values.extend([String::new(), OTHER.to_owned()]);
    for matcher in matchers.into_iter().filter(|matcher| matcher.name() == label) {
        match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => {
                values.insert(matcher.value().to_owned());
            }
            // The alternatives of a pattern that are words, or words with anything around them.
            MatchOp::Matches | MatchOp::NotMatches => {
                let inner = matcher.value().trim_start_matches('(').trim_end_matches(')');
                let words = inner
                    .split('|')
                    .map(|part| part.replace(".*", "x").replace(".+", "x"))
                    .filter(|word| {
                        word.chars()
                            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/'))
                    });
                values.extend(words);
            }
        }
    }
    values
}

/// Whether every matcher on this label takes the value.
pub(super) fn takes(selector: &Selector, label: &str, value: &str) -> bool {
    selector
        .matchers
        .iter()
        .filter(|matcher| matcher.name() == label)
        .all(|matcher| matcher.matches_value(value))
}

/// The labels of both.
fn labels<'s>(a: &'s Selector, b: &'s Selector) -> BTreeSet<&'s str> {
    a.matchers.iter().chain(&b.matchers).map(Matcher::name).collect()
}

/// A label and a value of it that `inner` takes and `outer` refuses: `inner` is then no part of `outer`.
pub(super) fn outside<'s>(
    inner: &'s Selector,
    outer: &'s Selector,
    except: &[&str],
) -> Option<(&'s str, String)> {
    labels(inner, outer)
        .into_iter()
        .filter(|label| !except.contains(label))
        .find_map(|label| {
            let all = values(label, inner.matchers.iter().chain(&outer.matchers));
            let witness = all
                .into_iter()
                .find(|value| takes(inner, label, value) && !takes(outer, label, value));
            witness.map(|value| (label, value))
        })
}

/// Whether some series could be selected by both, as far as the values that matter say.
pub(super) fn overlap(a: &Selector, b: &Selector, except: &[&str]) -> bool {
    a.metric == b.metric
        && labels(a, b)
            .into_iter()
            .filter(|label| !except.contains(label))
            .all(|label| {
                values(label, a.matchers.iter().chain(&b.matchers))
                    .iter()
                    .any(|value| takes(a, label, value) && takes(b, label, value))
            })
}

/// The metric that a histogram's bucket or count is of.
pub(super) fn family(metric: &str) -> &str {
    metric
        .strip_suffix("_bucket")
        .or_else(|| metric.strip_suffix("_count"))
        .unwrap_or(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::parse_event_count;

    fn selector(text: &str) -> Selector {
        parse_event_count(text).expect(text).selectors.remove(0)
    }

    #[test]
    fn what_lies_outside_has_a_witness() {
        let witness = |inner: &str, outer: &str| {
            outside(&selector(inner), &selector(outer), &[]).map(|(label, value)| format!("{label}={value}"))
        };
        assert_eq!(witness(r#"a{code=~"5.."}"#, "a"), None);
        assert_eq!(
            witness(r#"a{code=~"5.."}"#, r#"a{code!~"5.."}"#),
            Some("code=500".to_owned())
        );
        assert_eq!(
            witness("a", r#"a{job="x"}"#).map(|found| found.starts_with("job=")),
            Some(true)
        );
        assert_eq!(witness(r#"a{job="x",code="200"}"#, r#"a{job=~"x|y"}"#), None);
        assert_eq!(
            witness(r#"a{state="done"}"#, r#"a{state="begun"}"#),
            Some("state=done".to_owned())
        );
    }

    #[test]
    fn selectors_of_different_jobs_do_not_overlap() {
        let meet = |a: &str, b: &str| overlap(&selector(a), &selector(b), &["code"]);
        assert!(meet(r#"a{job="x",code="200"}"#, r#"a{code="500"}"#));
        assert!(!meet(r#"a{job="x"}"#, r#"a{job="y"}"#));
        assert!(meet(r#"a{job=~"x|y"}"#, r#"a{job="y"}"#));
        assert!(!meet("a", "b"));
    }
}
