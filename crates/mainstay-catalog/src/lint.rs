//! The registry of checks: what each one says, and which ruling on the specification it stands for.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::diagnostic::Level;

/// One check.
#[derive(Debug)]
pub struct Lint {
    /// Its name, as diagnostics print it.
    pub id: &'static str,
    /// How bad a finding of it is.
    pub level: Level,
    /// The ruling it stands for, such as `R11`.
    pub ruling: Option<&'static str>,
    /// Whether anything looks for it yet.
    pub status: Status,
    /// What it finds.
    pub finds: &'static str,
}

/// Whether a check is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    Implemented,
    /// The capability named here will carry it out.
    Planned(&'static str),
}

/// The name of a check in the registry.
#[derive(Clone, Copy)]
pub struct LintId(&'static Lint);

impl LintId {
    /// The check itself.
    #[must_use]
    pub fn lint(self) -> &'static Lint {
        self.0
    }

    /// Its name.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// The check of that name.
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        ALL.iter().copied().find(|lint| lint.id() == id)
    }
}

impl PartialEq for LintId {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for LintId {}

impl PartialOrd for LintId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LintId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id().cmp(other.id())
    }
}

impl fmt::Display for LintId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl fmt::Debug for LintId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for LintId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

macro_rules! lints {
    (@status implemented) => { Status::Implemented };
    (@status $capability:ident) => { Status::Planned(stringify!($capability)) };
    (@ruling -) => { None };
    (@ruling $ruling:ident) => { Some(stringify!($ruling)) };
    ($($name:ident = $id:literal $level:ident $ruling:tt $status:ident $finds:literal;)*) => {
        $(
            #[doc = $finds]
            pub const $name: LintId = LintId(&Lint {
                id: $id,
                level: Level::$level,
                ruling: lints!(@ruling $ruling),
                status: lints!(@status $status),
                finds: $finds,
            });
        )*

        /// Every check there is.
        pub const ALL: &[LintId] = &[$($name),*];
    };
}

// The last word before the text is `implemented`, or the capability that will implement it.
lints! {
    // What any document can get wrong.
    SYNTAX = "syntax" Error - implemented "the text is not YAML, or not the Markdown of a runbook";
    TOO_LARGE = "too-large" Error - implemented "a file, a directory or a document is above its limit";
    UNREADABLE = "unreadable" Error - implemented "a file cannot be read";
    NOT_READ = "not-read" Warning - implemented "something in a catalog's directory that looks like a part of it is not read";
    UNKNOWN_FORMAT = "unknown-format" Error - implemented "a document is of no format that is known";
    UNKNOWN_KIND = "unknown-kind" Error - implemented "a document has a kind that is not known";
    UNKNOWN_KEY = "unknown-key" Error - implemented "a key that nothing reads";
    DUPLICATE_KEY = "duplicate-key" Error - implemented "a key is given twice in one mapping";
    MISSING_KEY = "missing-key" Error - implemented "a key that must be there is not";
    WRONG_TYPE = "wrong-type" Error - implemented "a value is of another type than expected";
    BAD_VALUE = "bad-value" Error - implemented "a value is of the right type and yet cannot be used";
    UNKNOWN_REFERENCE = "unknown-reference" Error - implemented "a name refers to nothing";
    DUPLICATE_NAME = "duplicate-name" Error - implemented "two things of a kind have one name";
    MISSING_DOCUMENT = "missing-document" Error - implemented "a catalog lacks a document it cannot do without";

    // What the platform model can get wrong.
    DEPENDENCY_CYCLE = "dependency-cycle" Error - implemented "services need each other in a circle, so none can start";
    PLATFORM_COUNT = "platform-count" Error R18 implemented "the platform does not have as many parts as it says";
    CELL_COUNTRY = "cell-country" Error R38 implemented "a cell is said to be in a country that its region is not in";
    STANDBY_ZONE = "standby-in-same-place" Error - implemented "a cell's standby shares its zones, and would be lost with it";
    AVAILABILITY_COMPOSITION = "availability-composition" Error R17 implemented "a promise that the parts in series cannot keep";

    // What the response documents can get wrong.
    UNREACHABLE_PERSON = "unreachable-person" Error - implemented "a person who can be paged has no address on any of the channels";
    NOBODY_REACHED = "nobody-reached" Error - implemented "at some instant of the next 90 days a page would reach nobody: a gap in every rota of its policy, or people without an address";
    ACKNOWLEDGE_IN_TIME = "acknowledge-in-time" Error R15 implemented "a page waits longer than 5 minutes before somebody else is paged";
    DIRECTOR_INFORMED = "director-informed" Error R16 implemented "one person both hears of every P0 at once and only after a while, and which is a page is not said";
    SAME_TEAM_BACKUP = "same-team-backup" Warning - implemented "the backup is of the same team as the one they back up";
    HANDOFF_WEEKDAY = "handoff-weekday" Error - implemented "a rota starts on another weekday than it hands over";
    SECRET_IN_CATALOG = "secret-in-catalog" Error - implemented "a secret is written into the catalog instead of a ${VARIABLE}";
    SEVERITY_UNROUTED = "severity-unrouted" Error - implemented "alerts that page somebody are routed to a receiver that pages nobody";
    NOT_CARRIED_OVER = "not-carried-over" Warning - implemented "something in an Alertmanager's configuration has no effect here";
    UNACKNOWLEDGED_P1 = "unacknowledged-p1" Warning R35 oncall "an unacknowledged P1 does not become a call after 2 minutes";

    // What rules and objectives can get wrong.
    GOOD_CONTRADICTS = "good-contradicts" Error R1 implemented "two places count different answers as good";
    SHOWN_GREEN = "shown-green" Error R2 implemented "a value that breaks its objective is shown as good";
    BUDGET_MINUTES = "budget-minutes" Error R3 implemented "a budget in minutes is that of a mean month, not of the calendar month";
    WINDOW_KINDS = "window-kinds" Warning R4 implemented "a rolling window decides about a calendar month";
    LOOKBACK_BEYOND_RETENTION = "lookback-beyond-retention" Error R5 implemented "a rule looks back further than raw data is kept";
    BUDGET_DISAGREES = "budget-disagrees" Error R6 implemented "availability and budget used do not follow from each other";
    BUDGET_STATES = "budget-states" Error R7 implemented "a budget state does not fit the part that is left";
    PAYMENT_COHORT = "payment-cohort" Warning R27 implemented "a success rate mixes payments of different beginnings";
    ACKNOWLEDGED_LOSS = "acknowledged-loss" Warning R28 implemented "a loss is measured by acknowledgements, which cannot see it";
    PRIORITY_CONTRADICTS = "priority-contradicts" Warning R29 implemented "an alert's priority is not the one that the severity table gives";
    SINGLE_POD_PAGE = "single-pod-page" Error R30 implemented "one pod that is down pages as if all were";
    THROUGHPUT_OBJECTIVE = "throughput-objective" Error R33 implemented "a floor of throughput as an objective is missed every night";
    BUDGET_RESET = "budget-reset" Warning R36 implemented "a new month forgives an exhausted budget";
    CLIENT_ERRORS = "client-errors" Warning R39 implemented "an answer that is our fault (408, 429, 499) is counted as the client's";
    NEVER_FIRES = "never-fires" Error - implemented "a threshold that no ratio can reach, so that the alert never fires";
    NO_BUDGET = "no-budget" Warning - implemented "an objective of 100%: it leaves no budget, and the first failure breaks it";
    GOOD_OUTSIDE_TOTAL = "good-outside-total" Error - implemented "the good or the bad events are not among all events, so that their ratio is none";
    LATENCY_EDGE = "latency-edge" Error - implemented "a latency threshold is not an edge of the histogram that it is counted from";
    AGREEMENT_TIGHTER = "agreement-tighter" Error - implemented "a contract promises more than the objective that is to protect it";
    SAYS_OTHERWISE = "says-otherwise" Warning - implemented "a description gives another target or threshold than what is counted";
    EXPIRED_EXCEPTION = "expired-exception" Warning - implemented "an exception of an error budget policy has expired";
    DIALECT = "dialect" Warning - implemented "a rule means something else on the engine that is to evaluate it";
    INTERVAL_FINER_THAN_DATA = "interval-finer-than-data" Error R38 implemented "a rule is evaluated more often than its data arrives";

    // What the later capabilities' documents can get wrong.
    HEAD_AND_TAIL_SAMPLING = "head-and-tail-sampling" Error R8 traces "traces dropped at the head are expected at the tail";
    RETRY_ARITHMETIC = "retry-arithmetic" Error R9 change "the waits between attempts do not add up to what is said";
    AUTOSCALER_ARITHMETIC = "autoscaler-arithmetic" Error R10 capacity "a scaling step that the algorithm would not take";
    HPA_VPA_CONFLICT = "hpa-vpa-conflict" Error R11 capacity "two autoscalers act on one metric of one workload";
    VPA_ARITHMETIC = "vpa-arithmetic" Error R12 capacity "a recommendation that the recommender would not make";
    CAPACITY_ARITHMETIC = "capacity-arithmetic" Error R13 capacity "capacity, breaking point, headroom or cost contradict each other";
    RESPONSE_TARGETS = "response-targets" Error R14 incident "two targets for one time";
    PLATFORM_TARGETS = "platform-targets" Warning R19 capacity "a target of the platform is stated as a figure of one machine";
    RECOVERY_OBJECTIVES = "recovery-objectives" Error R22 rehearsal "a recovery scenario cannot keep its tier's objectives";
    EXPERIMENT_SUCCESS = "experiment-success" Warning R23 rehearsal "an experiment that found something counts as failed";
    SCALING_TIME = "scaling-time" Warning R24 capacity "pods are promised sooner than the policy can add them";
    RETENTION_LEVELS = "retention-levels" Warning R25 logs "a log level has no retention, or an id is not one";
    INCIDENT_SEVERITY = "incident-severity" Error R26 incident "an incident's severity is not the one the rules give";
    RECOVERY_POINT_DURABILITY = "recovery-point-durability" Error R31 rehearsal "a recovery point loses more than durability allows";
    RETRIES_BEYOND_DEADLINE = "retries-beyond-deadline" Error R32 change "retries outlast the caller's deadline";
    INCIDENT_MEANS = "incident-means" Warning R34 incident "a mean time cannot follow from the incidents counted";
    HEADROOM_BASE = "headroom-base" Error R37 capacity "headroom is stated against the average load";
    WINDOW_COLLISION = "window-collision" Error R38 rehearsal "two planned windows fall on each other";
    CRITERIA_CONTRADICT = "criteria-contradict" Error R38 rehearsal "two criteria of one experiment cannot both be meant";
}

/// The checks that judge a catalog as a whole: they say nothing while a part of it cannot be read.
pub(crate) const NEED_EVERYTHING: [LintId; 8] = [
    UNKNOWN_REFERENCE,
    MISSING_DOCUMENT,
    PLATFORM_COUNT,
    AVAILABILITY_COMPOSITION,
    SEVERITY_UNROUTED,
    UNREACHABLE_PERSON,
    NOBODY_REACHED,
    SAME_TEAM_BACKUP,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_visible_ruling_has_one() {
        let ids: BTreeSet<&str> = ALL.iter().map(|lint| lint.id()).collect();
        assert_eq!(ids.len(), ALL.len());
        let covered: BTreeSet<&str> = ALL.iter().filter_map(|lint| lint.lint().ruling).collect();
        // R20 and R21 are about how the product is built: no document can break them.
        for number in (1..=39).filter(|n| ![20, 21].contains(n)) {
            let ruling = format!("R{number}");
            assert!(covered.contains(ruling.as_str()), "{ruling} has no check");
        }
        assert_eq!(LintId::find("unknown-key"), Some(UNKNOWN_KEY));
        assert_eq!(LintId::find("no-such"), None);
    }
}
