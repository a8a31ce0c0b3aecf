//! Why a definition, a query or a stored state is refused.

use crate::selector::SelectorError;

/// What can be wrong with what this crate is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// An indicator without a selector for one of its two sides.
    #[error("the indicator {sli:?} selects nothing as {side}: give at least one selector")]
    EmptySide {
        /// The indicator.
        sli: String,
        /// `total`, `good` or `bad`.
        side: &'static str,
    },
    /// More labels to group by than [`crate::sli::GROUP_LABELS_MAX`].
    #[error("the indicator {sli:?} groups by {labels} labels; at most {max} are possible")]
    TooManyGroupLabels {
        /// The indicator.
        sli: String,
        /// How many it has.
        labels: usize,
        /// How many it may have.
        max: usize,
    },
    /// A composite without members, or whose weights cannot be used.
    #[error("the composite {0:?} needs members whose weights are above 0 and add up to at most a billion")]
    BadWeights(String),
    /// A composite of composites.
    #[error("the composite {0:?} is made of another composite")]
    NestedComposite(String),
    /// Time slices that cannot be kept.
    #[error(
        "the time slices of {name:?} are {width_ms} ms wide: they are whole tens of seconds up to an hour, or whole minutes up to a day"
    )]
    BadSlice {
        /// The objective or the composite.
        name: String,
        /// How wide its slices are.
        width_ms: i64,
    },
    /// A time slice that is good with nothing good in it, or never.
    #[error("the time slices of {name:?} have the target {target}; it is above 0 and at most 1")]
    BadSliceTarget {
        /// The objective or the composite.
        name: String,
        /// The target of its slices.
        target: String,
    },
    /// A burn-rate window that need not hold a whole slice.
    #[error(
        "the objective {slo:?} alerts on a window of {window}, which is shorter than its time slices of {slice}"
    )]
    WindowBelowSlice {
        /// The objective.
        slo: String,
        /// The window.
        window: String,
        /// The width of its slices.
        slice: String,
    },
    /// Two objectives or indicators of one name.
    #[error("{0:?} is defined twice")]
    Duplicate(String),
    /// An objective names an indicator that does not exist.
    #[error("the objective {slo:?} uses the indicator {sli:?}, which is not defined")]
    UnknownSli {
        /// The objective.
        slo: String,
        /// The indicator it names.
        sli: String,
    },
    /// An objective names probes that are no indicator.
    #[error("the objective {slo:?} has the probes {sli:?}, an indicator that is not defined")]
    UnknownProbes {
        /// The objective.
        slo: String,
        /// The indicator it names.
        sli: String,
    },
    /// An objective is evaluated by a label that its indicator does not count by.
    #[error("the objective {slo:?} is evaluated by {label:?}, but its indicator does not group by it")]
    UnknownGroupLabel {
        /// The objective.
        slo: String,
        /// The label.
        label: String,
    },
    /// A target of 100 % or more: there is no budget to spend.
    #[error("the objective {slo:?} has the target {target}; a target is at least 0 and below 1")]
    BadTarget {
        /// The objective.
        slo: String,
        /// Its target.
        target: String,
    },
    /// A burn-rate threshold that can never be reached: `factor × (1 − target) ≥ 1`.
    #[error(
        "the objective {slo:?} can never burn {factor} times its budget: at the target {target} even a total outage burns less"
    )]
    UnreachableBurn {
        /// The objective.
        slo: String,
        /// The factor.
        factor: String,
        /// The target.
        target: String,
    },
    /// An objective that does not exist.
    #[error("there is no objective {0:?}")]
    UnknownSlo(String),
    /// A window that cannot be counted.
    #[error("bad window {text:?}: {reason}")]
    BadWindow {
        /// As it was written.
        text: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// A query that is not a plain event count.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A stored state that a later program wrote.
    #[error(
        "the stored counts are of version {0}, which this program does not know: start the program that wrote them"
    )]
    LaterState(u8),
    /// A stored state that cannot be read.
    #[error("the stored counts cannot be read: {0}")]
    Snapshot(String),
}
