//! Under which labels series leave for a receiver: `external_labels`, then `write_relabel_configs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_ingest::relabel::{RelabelRule, relabel};
use mainstay_kernel::Labels;
use mainstay_promql::SampleValue;
use mainstay_remote::write::with_external;

/// For how many series it is remembered what their labels become; then it is made anew.
const REMEMBERED_MAX: usize = 200_000;

/// What becomes of a series' labels when it leaves. Relabelling costs much more than sending, so it is done once for a
/// series and remembered.
pub struct Departure {
    external: Labels,
    rules: Arc<[RelabelRule]>,
    native_histograms: bool,
    remembered: Mutex<BTreeMap<usize, Remembered>>,
}

/// Labels, held so that their place in memory stays theirs, and what becomes of them.
type Remembered = (Arc<Labels>, Option<Arc<Labels>>);

impl Departure {
    /// Adds `external` where a series does not have such a label, then applies `rules`. Native histograms leave only if
    /// they are wanted.
    #[must_use]
    pub fn new(external: Labels, rules: Arc<[RelabelRule]>, native_histograms: bool) -> Self {
        Self {
            external,
            rules,
            native_histograms,
            remembered: Mutex::default(),
        }
    }

    /// The labels under which a sample leaves; `None` if it does not. O(log series), O(rules) the first time.
    pub(super) fn labels(&self, labels: Arc<Labels>, value: &SampleValue) -> Option<Arc<Labels>> {
        if !self.native_histograms && value.histogram().is_some() {
            return None;
        }
        if self.external.is_empty() && self.rules.is_empty() {
            return Some(labels);
        }
        let place = Arc::as_ptr(&labels).addr();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, becomes)) = remembered.get(&place) {
            return becomes.clone();
        }
        let becomes = relabel(
            Arc::unwrap_or_clone(with_external(&labels, &self.external)),
            &self.rules,
        )
        .filter(|labels| !labels.is_empty())
        .map(Arc::new);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(place, (labels, becomes.clone()));
        becomes
    }
}

#[cfg(test)]
mod tests {
    use mainstay_ingest::relabel::{RelabelAction, RelabelRegex};

    use super::*;

    #[test]
    fn external_labels_come_before_the_rules_and_a_series_is_relabelled_once() {
        let rule = |source: &str, regex: &str, action| RelabelRule {
            source_labels: vec![source.to_owned()],
            regex: RelabelRegex::new(regex).expect("an expression"),
            action,
            ..RelabelRule::default()
        };
        let rules = [
            rule("site", "east", RelabelAction::Keep),
            rule("__name__", "noise", RelabelAction::Drop),
        ];
        let departure = Departure::new(Labels::from_iter([("site", "east")]), rules.into(), false);
        let leaves = |labels: &Arc<Labels>| departure.labels(Arc::clone(labels), &SampleValue::Float(1.0));
        let of = |labels: &[(&str, &str)]| Arc::new(Labels::from_iter(labels.iter().copied()));
        let up = of(&[("__name__", "up")]);
        let left = leaves(&up).expect("it leaves");
        assert_eq!(left.to_string(), r#"up{site="east"}"#);
        assert!(Arc::ptr_eq(&left, &leaves(&up).expect("it leaves")));
        assert_eq!(leaves(&of(&[("__name__", "noise")])), None);
        let own = of(&[("__name__", "up"), ("site", "west")]);
        assert_eq!(leaves(&own), None, "what a series has stays");
        let histogram = SampleValue::Histogram(Arc::default());
        assert_eq!(departure.labels(up, &histogram), None);
    }
}
