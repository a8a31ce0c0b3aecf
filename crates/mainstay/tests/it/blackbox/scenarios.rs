//! What happens, and where we differ from Alertmanager on purpose.

/// Why something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// That all is over is told at once.
    Relief,
    /// A P0 waits for nobody.
    Urgent,
    /// News of a group whose interval has passed do not wait for a tick of it.
    News,
    /// A group that was over is a new one when it comes again.
    NewGroup,
    /// It is repeated when the interval has passed, and not at the next tick of the group.
    Repeat,
    /// What another alert inhibited waits one interval after the other's end.
    Inhibited,
    /// What was told and is silenced since is still named, and so is its end.
    StillNamed,
    /// What a silence held back is told when it ends.
    SilenceEnds,
    /// The end of what was never told is not told.
    Untold,
    /// An alert that began long ago waits as others.
    OldStart,
    /// What is said of an alert stays what was said when it began.
    FirstAnnotations,
    /// The first repetition of what a receiver refused comes after a second.
    Retry,
    /// What was said to fire fires until it is said to be over.
    NoTimeout,
}

impl Why {
    pub(super) const ALL: [Self; 13] = [
        Self::Relief,
        Self::Urgent,
        Self::News,
        Self::NewGroup,
        Self::Repeat,
        Self::Inhibited,
        Self::StillNamed,
        Self::SilenceEnds,
        Self::Untold,
        Self::OldStart,
        Self::FirstAnnotations,
        Self::NoTimeout,
        Self::Retry,
    ];

    /// Its name in the guide.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Relief => "relief at once",
            Self::Urgent => "P0 at once",
            Self::News => "news without a tick",
            Self::NewGroup => "a new group",
            Self::Repeat => "repeats on time",
            Self::Inhibited => "inhibition ends late",
            Self::StillNamed => "still named",
            Self::SilenceEnds => "silences end at once",
            Self::Untold => "untold ends",
            Self::OldStart => "old starts",
            Self::FirstAnnotations => "first annotations",
            Self::NoTimeout => "no resolve_timeout",
            Self::Retry => "first retry",
        }
    }
}

/// A notification that one of the two sends otherwise, or not at all: `SECONDS: ALERTS`.
pub(super) struct Difference {
    pub(super) why: Why,
    pub(super) receiver: &'static str,
    pub(super) theirs: Option<&'static str>,
    pub(super) ours: Option<&'static str>,
}

const fn differs(
    why: Why,
    receiver: &'static str,
    theirs: Option<&'static str>,
    ours: Option<&'static str>,
) -> Difference {
    Difference {
        why,
        receiver,
        theirs,
        ours,
    }
}

/// What happens at one time.
pub(super) enum Step {
    /// These fire since now.
    Fire(&'static str),
    /// The same, and nobody says how long to believe it.
    FireForEver(&'static str),
    /// These fire, and are to be believed for so many seconds.
    FireFor(&'static str, f64),
    /// These fire since so many seconds.
    FireSince(&'static str, f64),
    /// These are over.
    End(&'static str),
    /// A silence of a name, by one label, for so many seconds.
    Silence(&'static str, &'static str, f64),
    /// It ends.
    EndSilence(&'static str),
    /// A receiver refuses the next message.
    Refuse(&'static str),
}

/// See [`SCENARIOS`].
pub(super) struct Scenario {
    /// The value of the label `scenario` of its alerts.
    pub(super) name: &'static str,
    /// `$quiet` does not want to hear what is over.
    pub(super) receivers: &'static [&'static str],
    pub(super) route: &'static str,
    pub(super) inhibit_rules: &'static [&'static str],
    pub(super) time_intervals: &'static [&'static str],
    /// By seconds.
    pub(super) steps: &'static [(f64, Step)],
    /// What is told later is no part of it.
    pub(super) until_s: f64,
    pub(super) differences: &'static [Difference],
}

const PLAIN: Scenario = Scenario {
    name: "",
    receivers: &["$team"],
    route: "receiver: $team, group_by: [cell], group_wait: 1s, group_interval: 2s, repeat_interval: 1h",
    inhibit_rules: &[],
    time_intervals: &[],
    steps: &[],
    until_s: 8.0,
    differences: &[],
};

use Step::{End, EndSilence, Fire, FireFor, FireForEver, FireSince, Refuse, Silence};

/// All of them run at the same time.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "grouping",
        steps: &[
            (0.0, Fire("A cell=c1")),
            (0.4, Fire("B cell=c1")),
            (0.6, Fire("A cell=c2")),
            (1.6, Fire("C cell=c1")),
            (7.6, Fire("D cell=c1")),
        ],
        until_s: 9.9,
        differences: &[differs(
            Why::News,
            "$team",
            Some("9: A/c1 B/c1 C/c1 D/c1"),
            Some("7.6: A/c1 B/c1 C/c1 D/c1"),
        )],
        ..PLAIN
    },
    Scenario {
        name: "resolve",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1")),
            (1.5, End("B cell=c1")),
            (3.6, End("A cell=c1")),
        ],
        differences: &[differs(Why::Relief, "$team", Some("5: -A/c1"), Some("3.6: -A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "resolve-together",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1, C cell=c1")),
            (1.5, End("B cell=c1")),
            (1.8, End("A cell=c1")),
            (2.2, Fire("D cell=c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "back-in-time",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1")),
            (1.4, End("A cell=c1")),
            (2.0, Fire("A cell=c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "never-told",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c2")),
            (0.4, End("B cell=c2")),
            (1.4, Fire("C cell=c1")),
            (2.0, End("C cell=c1")),
        ],
        differences: &[differs(Why::Untold, "$team", Some("3: A/c1 -C/c1"), None)],
        ..PLAIN
    },
    Scenario {
        name: "refire",
        steps: &[
            (0.0, Fire("A cell=c1")),
            (1.6, End("A cell=c1")),
            (3.4, Fire("A cell=c1")),
        ],
        differences: &[
            differs(Why::Relief, "$team", Some("3: -A/c1"), Some("1.6: -A/c1")),
            differs(Why::NewGroup, "$team", Some("5: A/c1"), Some("4.4: A/c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "repeat",
        route: "receiver: $team, group_by: [cell], group_wait: 1s, group_interval: 2s, repeat_interval: 3s",
        steps: &[(0.0, Fire("A cell=c1"))],
        until_s: 6.2,
        differences: &[differs(Why::Repeat, "$team", Some("5: A/c1"), Some("4: A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "inhibit",
        route: "receiver: $team, group_by: [alertname, cell], group_wait: 1s, group_interval: 2s, repeat_interval: 1h",
        inhibit_rules: &[
            "{source_matchers: ['scenario=\"inhibit\"', 'alertname=Down'], target_matchers: ['scenario=\"inhibit\"', 'alertname=~\"Slow|Down\"'], equal: [cell]}",
        ],
        steps: &[
            (0.0, Fire("Down cell=c1, Down cell=c3")),
            (0.3, Fire("Slow cell=c1, Slow cell=c2, Slow cell=c3")),
            (2.6, End("Down cell=c1")),
        ],
        differences: &[
            differs(Why::Relief, "$team", Some("3: -Down/c1"), Some("2.6: -Down/c1")),
            differs(Why::Inhibited, "$team", Some("3.3: Slow/c1"), Some("4.6: Slow/c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "silence",
        steps: &[
            (0.0, Silence("s", "alertname=Slow", 5.0)),
            (0.2, Fire("Slow cell=c1, Fast cell=c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "silence-by-hand",
        steps: &[
            (0.0, Silence("s", "alertname=A", 3_600.0)),
            (0.2, Fire("A cell=c1")),
            (2.0, EndSilence("s")),
        ],
        differences: &[differs(Why::SilenceEnds, "$team", Some("3.2: A/c1"), Some("2: A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "silence-told",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1")),
            (1.4, Silence("s", "alertname=A", 3_600.0)),
            (1.7, Fire("C cell=c1")),
            (3.5, End("A cell=c1")),
        ],
        differences: &[
            differs(
                Why::StillNamed,
                "$team",
                Some("3: B/c1 C/c1"),
                Some("3: A/c1 B/c1 C/c1"),
            ),
            differs(Why::StillNamed, "$team", None, Some("5: -A/c1 B/c1 C/c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "mute",
        receivers: &["$muted", "$inactive", "$open", "$rest"],
        route: "receiver: $rest, group_wait: 1s, routes: [
            {receiver: $muted, matchers: ['kind=muted'], mute_time_intervals: [always]},
            {receiver: $inactive, matchers: ['kind=inactive'], active_time_intervals: [long-ago]},
            {receiver: $open, matchers: ['kind=~\"o.*\"'], mute_time_intervals: [long-ago], active_time_intervals: [always]}]",
        time_intervals: &[
            "{name: always, time_intervals: [{weekdays: ['sunday:saturday']}]}",
            "{name: long-ago, time_intervals: [{years: ['1999']}]}",
        ],
        steps: &[(
            0.0,
            Fire("A kind=muted, B kind=inactive, C kind=open, D kind=none, E kind=o"),
        )],
        ..PLAIN
    },
    Scenario {
        name: "continue",
        receivers: &["$root", "$first", "$second", "$deep"],
        route: "receiver: $root, group_by: [cell], group_wait: 1s, group_interval: 2s, routes: [
            {receiver: $first, matchers: ['cell=c1'], group_by: [], continue: true},
            {receiver: $second, matchers: ['cell=~\"c.*\"'], routes: [
                {receiver: $deep, matchers: ['team=\"x\"', 'alertname!=Z'], group_wait: 2s}]}]",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1 team=x, C cell=c9, D other=1")),
            (1.5, End("A cell=c1")),
        ],
        differences: &[differs(Why::Relief, "$second", Some("3: -A/c1"), Some("1.5: -A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "all-labels",
        route: "receiver: $team, group_by: ['...'], group_wait: 1s, group_interval: 2s, repeat_interval: 1h",
        steps: &[(0.0, Fire("A cell=c1, A cell=c1 pod=p1, A cell=c1 pod=p2, B cell=c2"))],
        ..PLAIN
    },
    Scenario {
        name: "no-labels",
        route: "receiver: $team, group_wait: 1s, group_interval: 2s, repeat_interval: 1h",
        steps: &[(
            0.0,
            Fire("B cell=c2 job=z, A cell=c1 instance=i2 job=a, A cell=c2 instance=i1 job=a, C cell=c1 summary:same"),
        )],
        ..PLAIN
    },
    Scenario {
        name: "timeouts",
        steps: &[
            (0.0, FireFor("A cell=c1", 2.4)),
            (0.0, FireFor("B cell=c1, C cell=c1", 2.2)),
            (1.4, FireFor("B cell=c1", 60.0)),
            (1.4, FireForEver("C cell=c1")),
        ],
        until_s: 4.8,
        ..PLAIN
    },
    Scenario {
        name: "for-ever",
        steps: &[(0.0, FireForEver("A cell=c1"))],
        differences: &[differs(Why::NoTimeout, "$team", Some("5: -A/c1"), None)],
        ..PLAIN
    },
    // Prometheus tells its alerts (`prometheus.rs`).
    Scenario {
        name: "prometheus",
        until_s: f64::INFINITY,
        ..PLAIN
    },
    Scenario {
        name: "without-ends",
        receivers: &["$quiet"],
        route: "receiver: $quiet, group_by: [cell], group_wait: 1s, group_interval: 2s, repeat_interval: 1h",
        steps: &[
            (0.0, Fire("A cell=c1, B cell=c1")),
            (1.5, End("B cell=c1")),
            (2.2, Fire("C cell=c1")),
            (3.5, End("A cell=c1, C cell=c1")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "urgent",
        route: "receiver: $team, group_by: [cell], group_wait: 3s, group_interval: 2s, repeat_interval: 1h",
        steps: &[
            (0.0, Fire("A cell=c1 priority=P0, B cell=c2")),
            (0.5, Fire("C cell=c2 severity=critical")),
        ],
        differences: &[
            differs(Why::Urgent, "$team", Some("3: A/c1"), Some("0: A/c1")),
            differs(Why::Urgent, "$team", Some("3: B/c2 C/c2"), Some("0.5: B/c2 C/c2")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "refused-once",
        steps: &[(0.0, Refuse("$team")), (0.0, Fire("A cell=c1"))],
        differences: &[differs(Why::Retry, "$team", Some("1.5: A/c1"), Some("2.3: A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "old-start",
        route: "receiver: $team, group_by: [cell], group_wait: 2s, group_interval: 2s, repeat_interval: 1h",
        steps: &[(0.0, FireSince("A cell=c1", 3_600.0))],
        differences: &[differs(Why::OldStart, "$team", Some("0: A/c1"), Some("2: A/c1"))],
        ..PLAIN
    },
    Scenario {
        name: "annotations",
        steps: &[
            (0.0, Fire("A cell=c1 summary:one")),
            (1.5, Fire("A cell=c1 summary:two, B cell=c1")),
        ],
        differences: &[differs(
            Why::FirstAnnotations,
            "$team",
            Some("3: A/c1 B/c1"),
            Some("3: A/c1 B/c1"),
        )],
        ..PLAIN
    },
];
