//! What is a good end, and until when.

use std::collections::{BTreeMap, BTreeSet};

use crate::window::Duration;

/// The state that is right where nothing else is said.
pub const GOOD_DEFAULT: &str = "COMPLETED";

/// How long a payment may take where nothing else is said: 5 s, in milliseconds.
pub const DEADLINE_DEFAULT_MS: i64 = 5_000;

/// Status reason codes of ISO 20022 (external code set `ExternalStatusReason1Code`) that speak of the customer's order and not
/// of the service: accounts (AC), agreements (AG), amounts and funds (AM), parties (BE), mandates (MD), the customer's own
/// will (CUST, MS02), duplicates, fraud and regulation. Timeouts and aborts (AB), systems (ED), formats that we made (FF) and
/// missed cut-offs (TM) are failures.
pub const REJECTED_DEFAULT: &[&str] = &[
    "AC01", "AC02", "AC03", "AC04", "AC05", "AC06", "AC07", "AC13", "AC14", "AG01", "AG02", "AM01", "AM02",
    "AM03", "AM04", "AM05", "AM06", "AM07", "AM09", "AM10", "AM12", "AM14", "AM21", "BE01", "BE04", "BE05",
    "BE06", "BE07", "CUST", "DUPL", "FR01", "FRAD", "MD01", "MD02", "MD06", "MD07", "MS02", "RR01", "RR02",
    "RR03", "RR04",
];

/// An indicator by completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The stream that its events come by.
    pub stream: String,
    /// The right ends.
    pub good: BTreeSet<String>,
    /// How long it may take, in milliseconds.
    pub deadline_ms: i64,
    /// How long it may take by its kind, in milliseconds.
    pub deadlines_ms: BTreeMap<String, i64>,
    /// The reasons that are no failures.
    pub rejected: BTreeSet<String>,
}

impl Completion {
    /// Reads the value of an annotation: a line `key: value` each of `stream`, `good`, `deadline`, `deadlines` and `rejected`;
    /// lists have commas between their items. Only `stream` is needed.
    ///
    /// # Errors
    /// What is wrong, in words: an unknown key, one that is there twice, a value that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line
                .split_once(':')
                .ok_or_else(|| format!("{line:?} is no `key: value`"))?;
            let (key, value) = (key.trim(), value.trim());
            const KEYS: [&str; 5] = ["stream", "good", "deadline", "deadlines", "rejected"];
            if !KEYS.contains(&key) {
                return Err(format!("unknown key {key:?}: expected {}", KEYS.join(", ")));
            }
            if value.is_empty() || lines.insert(key, value).is_some() {
                return Err(format!("{key:?} is there twice, or says nothing"));
            }
        }
        let list = |key: &str, default: &[&str]| -> BTreeSet<String> {
            let owned = |item: &str| item.trim().to_owned();
            match lines.get(key) {
                Some(text) => text.split(',').map(owned).collect(),
                None => default.iter().copied().map(owned).collect(),
            }
        };
        let stream = *lines.get("stream").ok_or("`stream` is missing")?;
        let deadlines = lines
            .get("deadlines")
            .into_iter()
            .flat_map(|text| text.split(','));
        let deadlines = deadlines.map(|pair| {
            let (kind, text) = pair
                .split_once('=')
                .ok_or_else(|| format!("{pair:?} is no `kind=5s`"))?;
            Ok((kind.trim().to_owned(), deadline(text.trim())?))
        });
        Ok(Self {
            stream: stream.to_owned(),
            good: list("good", &[GOOD_DEFAULT]),
            deadline_ms: lines
                .get("deadline")
                .map_or(Ok(DEADLINE_DEFAULT_MS), |text| deadline(text))?,
            deadlines_ms: deadlines.collect::<Result<_, String>>()?,
            rejected: list("rejected", REJECTED_DEFAULT),
        })
    }

    /// The deadline of one that began at `initiated_ms`; one of its own holds before that of its kind.
    pub(crate) fn deadline_of(&self, initiated_ms: i64, own_ms: Option<i64>, kind: Option<&str>) -> i64 {
        own_ms.unwrap_or_else(|| {
            let allowed_ms = kind
                .and_then(|kind| self.deadlines_ms.get(kind))
                .unwrap_or(&self.deadline_ms);
            initiated_ms.saturating_add(*allowed_ms)
        })
    }
}

/// `500ms`, or a duration as OpenSLO writes it, such as `5s` and `24h`.
fn deadline(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time such as 500ms, 5s or 24h");
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => match text.strip_suffix('s') {
            Some(number) => (number, 1_000),
            None => {
                return Duration::parse(text)
                    .map(|duration| duration.nominal_ms())
                    .map_err(|_| wrong());
            }
        },
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_says_what_is_good_and_what_is_no_failure() {
        let text = "stream: payments\n  good: COMPLETED, SETTLED\ndeadline: 5s\ndeadlines: batch=24h, instant=500ms\n";
        let read = Completion::parse(text).expect("sound");
        assert_eq!(read.stream, "payments");
        assert_eq!(read.good, ["COMPLETED", "SETTLED"].map(str::to_owned).into());
        assert_eq!(read.deadline_of(7, None, None), 5_007);
        assert_eq!(read.deadline_of(7, None, Some("batch")), 86_400_007);
        assert_eq!(read.deadline_of(7, None, Some("instant")), 507);
        assert_eq!(read.deadline_of(7, Some(9), Some("batch")), 9);
        assert!(read.rejected.contains("AM04") && !read.rejected.contains("TM01"));
        assert!(!read.rejected.contains("AB03"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, named) in [
            ("good: COMPLETED", "stream"),
            ("stream: p\ngodo: COMPLETED", "godo"),
            ("stream: p\ndeadline: soon", "soon"),
            ("stream: p\nstream: q", "twice"),
            ("stream: p\ndeadlines: batch", "batch"),
            ("payments", "payments"),
        ] {
            let error = Completion::parse(text).expect_err(text);
            assert!(error.contains(named), "{error}");
        }
    }
}
