//! A silence as it is typed, and what it would hold back.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{Labels, Matcher, Severity, parse_matchers};
use serde::Deserialize;

use crate::request::typed_instant;
use crate::view::GettableAlert;

/// The most bytes of matchers that are read.
const MATCHERS_MAX_BYTES: usize = 4 << 10;

/// How long a silence may be made for, with the seconds.
pub(super) const LENGTHS: [(&str, i64); 8] = [
    ("30m", 1_800),
    ("1h", 3_600),
    ("2h", 7_200),
    ("4h", 14_400),
    ("8h", 28_800),
    ("24h", 86_400),
    ("3d", 259_200),
    ("7d", 604_800),
];
/// The one that is chosen if nothing is said.
pub(super) const USUAL: &str = LENGTHS[1].0;

/// What was typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) matchers: String,
    #[serde(default, rename = "for")]
    pub(super) length: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) comment: String,
}

/// What it means.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) matchers: Vec<Matcher>,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

impl Draft {
    /// Reads what was typed; the error is for whoever typed it.
    pub(super) fn of(asked: &Asked, now: Timestamp) -> Result<Self, String> {
        if asked.matchers.len() > MATCHERS_MAX_BYTES {
            return Err(format!("matchers: more than {MATCHERS_MAX_BYTES} bytes"));
        }
        let matchers = parse_matchers(&asked.matchers).map_err(|error| format!("matchers: {error}"))?;
        if matchers.is_empty() {
            return Err("matchers: name at least one, such as cell=\"cell-5\"".to_owned());
        }
        let length = match asked.length.as_str() {
            "" => USUAL,
            text => text,
        };
        let seconds = LENGTHS.iter().find(|(name, _)| *name == length);
        let (_, seconds) = seconds.ok_or_else(|| format!("for: {length:?} is none of the choices"))?;
        let starts_at = match asked.from.trim() {
            "" => now,
            text => typed_instant(text, &TimeZone::UTC)
                .ok_or_else(|| format!("from: {text:?} is no instant such as 2025-01-15T22:00 (UTC)"))?,
        };
        let starts_at = starts_at.max(now);
        let ends_at = starts_at
            .checked_add(SignedDuration::from_secs(*seconds))
            .map_err(|_| "from: too far ahead".to_owned())?;
        Ok(Self {
            matchers,
            starts_at,
            ends_at,
        })
    }

    /// Whether it would match whatever fires: it is refused then.
    pub(super) fn takes_everything(&self) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_value(""))
    }

    /// Whether it matches alerts with these labels.
    pub(super) fn takes(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether nothing in it keeps a P0 out that begins later.
    pub(super) fn may_take_p0(&self) -> bool {
        let worst = Labels::new().with("priority", "P0").with("severity", "critical");
        let about = |matcher: &&Matcher| matches!(matcher.name(), "priority" | "severity");
        let mut about = self.matchers.iter().filter(about);
        about.all(|matcher| matcher.matches(&worst))
    }
}

/// How bad an alert is.
pub(super) fn severity_of(alert: &GettableAlert) -> Severity {
    Severity::from_labels(&alert.labels).unwrap_or(Severity::P2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(matchers: &str, length: &str, from: &str) -> Result<Draft, String> {
        let asked = Asked {
            matchers: matchers.to_owned(),
            length: length.to_owned(),
            from: from.to_owned(),
            comment: String::new(),
        };
        Draft::of(&asked, "2025-01-15T10:00:00Z".parse().expect("an instant"))
    }

    #[test]
    fn what_is_typed_is_read_or_explained() {
        let typed = "cell=cell-5, alertname=~\"Slow.*\"";
        let read = draft(typed, "2h", "2025-01-15T22:00").expect("it is well formed");
        assert_eq!(read.matchers.len(), 2);
        assert_eq!(read.starts_at.to_string(), "2025-01-15T22:00:00Z");
        assert_eq!(read.ends_at.to_string(), "2025-01-16T00:00:00Z");
        let now = draft("cell=cell-5", "", "2024-01-01T00:00").expect("it is well formed");
        assert_eq!(
            now.ends_at.to_string(),
            "2025-01-15T11:00:00Z",
            "an hour from now"
        );
        for (matchers, length, from) in [
            ("", "1h", ""),
            ("cell", "1h", ""),
            ("cell=~\"(\"", "1h", ""),
            ("cell=cell-5", "5y", ""),
            ("cell=cell-5", "1h", "tonight"),
        ] {
            let read = draft(matchers, length, from);
            assert!(read.is_err(), "{matchers} {length} {from}");
        }
    }

    #[test]
    fn what_would_silence_a_p0_or_everything_is_known() {
        let of = |matchers| draft(matchers, "1h", "").expect("it is well formed");
        assert!(of("cell=~\".*\"").takes_everything());
        assert!(!of("cell=~\".+\"").takes_everything());
        assert!(of("cell=cell-5").may_take_p0());
        assert!(of("priority=~\"P[01]\"").may_take_p0());
        assert!(!of("priority=~\"P[123]\"").may_take_p0());
        assert!(!of("cell=cell-5, severity!=critical").may_take_p0());
    }
}
