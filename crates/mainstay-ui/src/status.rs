//! How a thing stands, in one place: word, shape and colour always come together.

use mainstay_kernel::Severity;
use mainstay_kernel::fact::BudgetState;
use maud::{Markup, Render, html};
use schemars::JsonSchema;
use serde::Serialize;

/// How a thing stands, sorted by how much it wants to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is judged: an incident that is over, a change that was made.
    Neutral,
    /// As promised.
    Ok,
    /// Still as promised, but close to not being so.
    Warning,
    /// There is no data to say. Never green: quiet is not healthy.
    Unknown,
    /// A promise is broken. The only status that is red.
    Breached,
}

impl Status {
    /// The word that is always shown with it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Neutral => "noted",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Breached => "breached",
        }
    }

    /// The shape that is always shown with it; each differs in outline, not only in colour.
    #[must_use]
    pub fn shape(self) -> &'static str {
        match self {
            Self::Neutral => "•",
            Self::Ok => "✓",
            Self::Warning => "▲",
            Self::Unknown => "?",
            Self::Breached => "✖",
        }
    }

    /// The class that the style sheet colours.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Neutral => "s-neutral",
            Self::Ok => "s-ok",
            Self::Warning => "s-warning",
            Self::Unknown => "s-unknown",
            Self::Breached => "s-breached",
        }
    }

    /// The one that wants to be looked at most; unknown if there is none, since no data is not good data.
    #[must_use]
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::Unknown)
    }
}

impl From<BudgetState> for Status {
    fn from(state: BudgetState) -> Self {
        match state {
            BudgetState::Unknown => Self::Unknown,
            BudgetState::Healthy => Self::Ok,
            BudgetState::Warning | BudgetState::Critical => Self::Warning,
            BudgetState::Exhausted => Self::Breached,
        }
    }
}

/// A status with its own word.
#[must_use]
pub fn status(status: Status) -> Markup {
    status_word(status, status.word())
}

/// A status with a more exact word: `exhausted` instead of `breached`.
#[must_use]
pub fn status_word(status: Status, word: impl Render) -> Markup {
    html! {
        span class={ "status " (status.class()) } {
            span.shape aria-hidden="true" { (status.shape()) } " " (word)
        }
    }
}

/// A budget's state, in its own words.
#[must_use]
pub fn budget(state: BudgetState) -> Markup {
    let word = match state {
        BudgetState::Unknown => "unknown",
        BudgetState::Healthy => "healthy",
        BudgetState::Warning => "warning",
        BudgetState::Critical => "critical",
        BudgetState::Exhausted => "exhausted",
    };
    status_word(state.into(), word)
}

/// A severity: `P0 critical`. Severe ones are told apart by weight, not by colour: while the incident is over, its
/// severity is history.
#[must_use]
pub fn severity(severity: Severity) -> Markup {
    html! {
        span class={ "severity sev-" (severity) } { b { (severity) } " " (severity.word()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_outranks_all_but_breached_and_nothing_is_unknown() {
        use Status::{Breached, Neutral, Ok, Unknown, Warning};
        assert_eq!(Status::worst([Ok, Unknown, Warning, Neutral]), Unknown);
        assert_eq!(Status::worst([Ok, Unknown, Breached]), Breached);
        assert_eq!(Status::worst([]), Unknown);
    }

    #[test]
    fn each_status_differs_in_word_shape_and_class() {
        use std::collections::BTreeSet;
        let all = [
            Status::Neutral,
            Status::Ok,
            Status::Warning,
            Status::Unknown,
            Status::Breached,
        ];
        let distinct =
            |part: fn(Status) -> &'static str| all.map(part).into_iter().collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(Status::word), 5);
        assert_eq!(distinct(Status::shape), 5);
        assert_eq!(distinct(Status::class), 5);
    }
}
