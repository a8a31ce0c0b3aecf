//! How bad it is: P0 to P3, as the specification defines them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The severity of an alert or an incident (specification, "Incident Severity Levels"). `P0` is the worst and sorts
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Critical: outage, several tenants, breach, loss above $100K. Work starts at once, round the clock.
    P0,
    /// High: partial outage, one large tenant, latency above twice the objective. Work starts within an hour.
    P1,
    /// Medium: minor degradation, limits near. Work starts within four hours.
    P2,
    /// Low. Work starts within a day.
    P3,
}

impl Severity {
    /// Every severity, worst first.
    pub const ALL: [Self; 4] = [Self::P0, Self::P1, Self::P2, Self::P3];

    /// Whether a human is woken for it (ruling R15: P0 and P1 page).
    #[must_use]
    pub fn pages(self) -> bool {
        matches!(self, Self::P0 | Self::P1)
    }

    /// The word that goes with it: critical, high, medium, low.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::P0 => "critical",
            Self::P1 => "high",
            Self::P2 => "medium",
            Self::P3 => "low",
        }
    }

    /// The words of the Prometheus world that a label `severity` may say, and what each means.
    pub const WORDS: [(&str, Self); 9] = [
        ("critical", Self::P0),
        ("page", Self::P0),
        ("high", Self::P1),
        ("error", Self::P1),
        ("warning", Self::P2),
        ("medium", Self::P2),
        ("info", Self::P3),
        ("low", Self::P3),
        ("none", Self::P3),
    ];

    /// Reads the labels `priority` (P0 to P3) and `severity` (a word of the Prometheus world) of an alert, both in any
    /// case: a word in capitals must not wake fewer people.
    #[must_use]
    pub fn from_labels(labels: &crate::Labels) -> Option<Self> {
        labels
            .get("priority")
            .and_then(|text| text.parse().ok())
            .or_else(|| {
                let said = labels.get("severity")?;
                let mut words = Self::WORDS.into_iter();
                let found = words.find(|(word, _)| word.eq_ignore_ascii_case(said));
                found.map(|(_, severity)| severity)
            })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        })
    }
}

/// The text is not a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a severity is P0, P1, P2 or P3")]
pub struct SeverityError;

impl FromStr for Severity {
    type Err = SeverityError;

    fn from_str(text: &str) -> Result<Self, SeverityError> {
        Self::ALL
            .into_iter()
            .find(|s| s.to_string().eq_ignore_ascii_case(text))
            .ok_or(SeverityError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    #[test]
    fn labels_say_it_in_any_case() {
        let of = |name: &str, value: &str| Severity::from_labels(&Labels::from_iter([(name, value)]));
        for (word, severity) in Severity::WORDS {
            assert_eq!(of("severity", word), Some(severity));
            assert_eq!(of("severity", &word.to_uppercase()), Some(severity));
        }
        assert_eq!(of("priority", "p1"), Some(Severity::P1));
        assert_eq!(of("severity", "Page"), Some(Severity::P0));
        assert_eq!(of("severity", "urgent"), None);
    }
}
