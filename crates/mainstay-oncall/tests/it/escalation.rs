//! Whom a page reaches and when: the specification's chain, and what happens when people are missing.

use std::collections::BTreeMap;

use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::EscalationPolicy;
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::{Channel, Effect, EffectBody};
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, EventId, IncidentId, PageId, Scope};
use mainstay_oncall::{Oncall, OncallCommand, OncallEvent, OncallRefusal, OncallSpec, OncallState};

use crate::rota::{person, rota};

pub(crate) const START: &str = "2026-03-02T10:00:00Z";

/// The specification's chain, with its rulings: R15, R16, R35.
pub(crate) const CHAIN: &str = r#"{"title": "Chain",
    "channels": {"P0": ["chat", "email"], "P1": ["chat", "email"]},
    "levels": [
        {"after": "0s", "targets": [{"rota": "primary"}]},
        {"after": "0s", "targets": [{"person": "director"}], "only": ["P0"], "inform": true},
        {"after": "5m", "targets": [{"rota": "secondary"}]},
        {"after": "15m", "targets": [{"person": "manager"}]},
        {"after": "30m", "targets": [{"person": "director"}], "only": ["P0"]},
        {"after": "1h", "targets": [{"person": "cto"}], "only": ["P0"]},
        {"after": "2h", "targets": [{"person": "manager"}], "only": ["P1"], "inform": true}]}"#;

pub(crate) fn policy(json: &str) -> EscalationPolicy {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

pub(crate) struct Bench {
    pub(crate) state: OncallState,
    pub(crate) spec: OncallSpec,
    pub(crate) now: Timestamp,
    pub(crate) effects: Vec<Effect>,
    sent: Vec<(Timestamp, Effect)>,
    events: Vec<(OncallEvent, Meta)>,
    timers: BTreeMap<String, (Timestamp, String)>,
    entropy: SeededEntropy,
}

impl Bench {
    /// In both rotas ana has the first turn, and it is hers now; the secondary is dan's alone.
    pub(crate) fn new() -> Self {
        let mut secondary = rota("UTC", date(2026, 3, 2), time(9, 0, 0, 0), 7);
        secondary.layers[0].participants = vec![mainstay_catalog::Spanned::nowhere(person("dan"))];
        let all = ["ana", "ben", "chi", "dan", "director", "manager", "cto"];
        let reach = all.map(|name| (person(name), [Channel::Email, Channel::Chat].into()));
        let spec = OncallSpec {
            rotas: [
                (
                    "primary".to_owned(),
                    rota("UTC", date(2026, 3, 2), time(9, 0, 0, 0), 7),
                ),
                ("secondary".to_owned(), secondary),
            ]
            .into(),
            policies: [("chain".to_owned(), policy(CHAIN))].into(),
            default_policy: Some("chain".to_owned()),
            reach: reach.into(),
            notify: BTreeMap::new(),
        };
        Self {
            state: OncallState::default(),
            spec,
            now: START.parse().expect("a timestamp"),
            effects: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            timers: BTreeMap::new(),
            entropy: SeededEntropy::new(1),
        }
    }

    pub(crate) fn with(change: impl Fn(&mut OncallSpec)) -> Self {
        let mut bench = Self::new();
        change(&mut bench.spec);
        bench
    }

    pub(crate) fn ask(&mut self, command: OncallCommand) -> Result<usize, OncallRefusal> {
        let decided = Oncall::decide(&self.state, &self.spec, command, self.now)?;
        let count = decided.len();
        for event in decided {
            let meta = Meta {
                id: EventId::generate(self.now, &self.entropy),
                at: self.now,
                actor: Actor::machine("test"),
                cause: None,
            };
            Oncall::apply(&mut self.state, &event, &meta);
            let reaction = Oncall::react(&self.state, &self.spec, &event, &meta);
            let sent = reaction.effects.iter().map(|effect| (self.now, effect.clone()));
            self.sent.extend(sent);
            self.effects.extend(reaction.effects);
            for key in reaction.cancel {
                self.timers.remove(&key);
            }
            for (key, due, payload) in reaction.timers {
                self.timers.insert(key, (due, payload));
            }
            self.events.push((event, meta));
        }
        Ok(count)
    }

    /// Every effect, with the instant it became due.
    pub(crate) fn sent(&self) -> &[(Timestamp, Effect)] {
        &self.sent
    }

    pub(crate) fn page(&mut self, page: &str, severity: &str) -> usize {
        let request = PageRequested {
            page: PageId::new(page).expect("a name"),
            incident: incident(),
            severity: severity.parse().expect("a severity"),
            title: "Payments fail".to_owned(),
            scope: Scope::platform(),
            policy: None,
        };
        let command = OncallCommand::Page {
            request,
            policy: None,
        };
        self.ask(command).expect("a page is taken")
    }

    pub(crate) fn pass(&mut self, minutes: i64) {
        let end = self.now + SignedDuration::from_mins(minutes);
        loop {
            let next = self
                .timers
                .iter()
                .filter(|(_, (due, _))| *due <= end)
                .min_by_key(|(key, (due, _))| (*due, (*key).clone()))
                .map(|(key, (due, payload))| (key.clone(), *due, payload.clone()));
            let Some((key, due, payload)) = next else { break };
            self.timers.remove(&key);
            self.now = self.now.max(due);
            let command = Oncall::on_timer(&key, &payload).expect("a timer of its own");
            self.ask(command).expect("timers are not refused");
        }
        self.now = end;
    }

    /// Only what is written down is left: the state is the one of its snapshot, and the one that its events give.
    pub(crate) fn restart(&mut self) {
        let kept = serde_json::to_string(&self.state).expect("it is JSON");
        let kept: OncallState = serde_json::from_str(&kept).expect("it is a state");
        let mut folded = OncallState::default();
        for (event, meta) in &self.events {
            let written = serde_json::to_string(event).expect("it is JSON");
            let read = serde_json::from_str(&written).expect("it is an event");
            Oncall::apply(&mut folded, &read, meta);
        }
        assert_eq!(kept, folded);
        self.state = folded;
    }

    pub(crate) fn acknowledge(&mut self, by: &str) -> Result<usize, OncallRefusal> {
        self.ask(OncallCommand::AcknowledgeIncident {
            incident: incident(),
            by: Some(person(by)),
        })
    }

    /// Who was told when: `5m dan`, `0m (director)` if only informed, `5m -` if a level reached nobody.
    pub(crate) fn said(&self) -> Vec<String> {
        let start: Timestamp = START.parse().expect("a timestamp");
        let line = |(event, meta): &(OncallEvent, Meta)| {
            let who = match event {
                OncallEvent::Notified { people, inform, .. } => {
                    let names: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
                    let names = names.join("+");
                    if *inform { format!("({names})") } else { names }
                }
                OncallEvent::NobodyReached { .. } => "-".to_owned(),
                _ => return None,
            };
            Some(format!("{}m {who}", meta.at.duration_since(start).as_mins()))
        };
        self.events.iter().filter_map(line).collect()
    }
}

pub(crate) fn incident() -> IncidentId {
    IncidentId::new("2026-03-02-001").expect("a name")
}

#[test]
fn a_p0_that_nobody_answers_climbs_the_specification_s_chain() {
    let mut bench = Bench::new();
    bench.page("p1", "P0");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        [
            "0m ana",
            "0m (director)",
            "5m dan",
            "15m manager",
            "30m director",
            "60m cto"
        ]
    );
}

#[test]
fn a_p1_spares_the_director_and_the_manager_hears_of_it_after_two_hours() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        ["0m ana", "5m dan", "15m manager", "120m (manager)"]
    );
}

#[test]
fn an_acknowledgement_stops_the_paging_but_not_the_informing() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.pass(6);
    bench.acknowledge("dan").expect("it waits");
    bench.pass(24 * 60);
    assert_eq!(bench.said(), ["0m ana", "5m dan", "120m (manager)"]);
    let page = bench
        .state
        .page(&PageId::new("p1").expect("a name"))
        .expect("a page");
    let (at, by) = page.acknowledged.clone().expect("acknowledged");
    assert_eq!(
        (at.to_string().as_str(), by.to_string()),
        ("2026-03-02T10:06:00Z", Actor::person("dan").to_string())
    );
}

#[test]
fn the_end_of_the_incident_stops_everything() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.acknowledge("ana").expect("it waits");
    bench.pass(60);
    assert_eq!(bench.ask(OncallCommand::Close { incident: incident() }), Ok(1));
    assert_eq!(bench.ask(OncallCommand::Close { incident: incident() }), Ok(0));
    assert!(bench.timers.is_empty(), "{:?}", bench.timers);
    bench.pass(24 * 60);
    assert_eq!(bench.said(), ["0m ana"]);
    assert_eq!(bench.state.climbing().count(), 0);
}

#[test]
fn where_a_level_reaches_nobody_the_next_is_told_at_once() {
    // The primary has no address at all.
    let mut bench = Bench::with(|spec| drop(spec.reach.remove(&person("ana"))));
    bench.page("p1", "P0");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        [
            "0m -",
            "0m (director)",
            "0m dan",
            "15m manager",
            "30m director",
            "60m cto"
        ],
        "and who was told early is not told again in the same round"
    );

    // The secondary's rota is empty when its time comes.
    let mut bench = Bench::with(|spec| {
        let secondary = spec.rotas.get_mut("secondary").expect("it is there");
        secondary.layers[0].participants.clear();
    });
    bench.page("p1", "P0");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        [
            "0m ana",
            "0m (director)",
            "5m -",
            "5m manager",
            "30m director",
            "60m cto"
        ]
    );

    // Nobody at all: every level is tried, at once and at its own time, and nothing hangs.
    let mut bench = Bench::with(|spec| spec.reach.clear());
    bench.page("p1", "P1");
    assert_eq!(bench.said(), ["0m -", "0m -", "0m -"]);
    bench.pass(24 * 60);
    assert!(bench.effects.is_empty());
    assert!(bench.said().iter().all(|line| line.ends_with('-')));
}

#[test]
fn the_reason_why_nobody_was_reached_is_written_down() {
    let mut bench = Bench::with(|spec| {
        drop(spec.reach.remove(&person("ana")));
        spec.rotas.remove("secondary");
    });
    bench.page("p1", "P1");
    let reasons: Vec<&str> = bench
        .events
        .iter()
        .filter_map(|(event, _)| match event {
            OncallEvent::NobodyReached { why, .. } => Some(why.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "ana has no address for any channel of the policy",
            "nobody is on call in rota secondary"
        ]
    );
}

fn repeating(times: u32, every: &str) -> Bench {
    Bench::with(|spec| {
        let tail = format!(r#", "repeat": {{"times": {times}, "every": "{every}"}}}}"#);
        let text = format!("{}{tail}", CHAIN.strip_suffix('}').expect("an object"));
        spec.policies.insert("chain".to_owned(), policy(&text));
    })
}

#[test]
fn a_policy_begins_again_as_often_as_it_says() {
    let mut bench = repeating(2, "20m");
    bench.page("p1", "P1");
    bench.pass(119);
    assert_eq!(
        bench.said(),
        [
            "0m ana",
            "5m dan",
            "15m manager",
            "20m ana",
            "25m dan",
            "35m manager",
            "40m ana",
            "45m dan",
            "55m manager"
        ]
    );
    // Who is to hear of it two hours after it began hears of it then, whatever the round.
    bench.pass(1);
    assert_eq!(bench.said()[9..], ["120m (manager)"]);
}

#[test]
fn an_acknowledged_page_does_not_begin_again() {
    let mut bench = repeating(3, "20m");
    bench.page("p1", "P0");
    bench.pass(26);
    bench.acknowledge("ana").expect("it waits");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        [
            "0m ana",
            "0m (director)",
            "5m dan",
            "15m manager",
            "20m ana",
            "20m (director)",
            "25m dan"
        ]
    );
}

#[test]
fn one_acknowledgement_takes_all_pages_of_the_incident_and_only_once() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.pass(2);
    bench.page("p2", "P0");
    bench.page("p3", "P0");
    assert_eq!(bench.state.climbing().count(), 2, "the milder one gave way");
    assert_eq!(bench.acknowledge("ana"), Ok(2));
    assert_eq!(bench.state.climbing().count(), 0);
    assert_eq!(
        bench.acknowledge("dan"),
        Err(OncallRefusal::NothingToAcknowledge(incident()))
    );
    let page = PageId::new("p2").expect("a name");
    let again = bench.ask(OncallCommand::AcknowledgePage {
        page: page.clone(),
        by: Some(person("dan")),
    });
    assert_eq!(
        again,
        Err(OncallRefusal::AlreadyAcknowledged {
            page,
            by: "ana".to_owned()
        })
    );
    let unknown = PageId::new("p9").expect("a name");
    assert_eq!(
        bench.ask(OncallCommand::AcknowledgePage {
            page: unknown.clone(),
            by: None
        }),
        Err(OncallRefusal::UnknownPage(unknown))
    );
}

#[test]
fn a_page_that_is_asked_for_twice_is_one_page() {
    let mut bench = Bench::new();
    assert!(bench.page("p1", "P0") > 0);
    bench.pass(7);
    assert_eq!(bench.page("p1", "P0"), 0, "nothing new");
    bench.pass(24 * 60);
    assert_eq!(bench.said().len(), 6);
}

#[test]
fn every_message_has_a_key_of_its_own_and_asks_only_those_who_should_answer() {
    let mut bench = repeating(2, "2h");
    bench.page("p1", "P0");
    bench.pass(24 * 60);
    let keys: std::collections::BTreeSet<&str> =
        bench.effects.iter().map(|effect| effect.key.as_str()).collect();
    assert_eq!(keys.len(), bench.effects.len());
    assert_eq!(
        bench.effects.len(),
        3 * 6 * 2,
        "three rounds, six tellings, two channels"
    );
    for effect in &bench.effects {
        let EffectBody::Deliver(deliver) = &effect.body else {
            panic!("a page is a message");
        };
        let fyi = deliver.message.subject.starts_with("FYI");
        assert_eq!(
            deliver.message.page.is_none(),
            fyi,
            "who is informed has nothing to acknowledge"
        );
    }
}

#[test]
fn without_a_policy_there_is_no_page_and_the_name_is_said() {
    let mut bench = Bench::with(|spec| spec.policies.clear());
    let request = PageRequested {
        page: PageId::new("p1").expect("a name"),
        incident: incident(),
        severity: mainstay_kernel::Severity::P1,
        title: String::new(),
        scope: Scope::platform(),
        policy: None,
    };
    let refused = bench.ask(OncallCommand::Page {
        request,
        policy: Some("gone".to_owned()),
    });
    assert_eq!(
        refused.expect_err("no policy").to_string(),
        "the catalog has no escalation policy \"gone\""
    );
}

/// State from the journal is state as it was: every event written as JSON and read again.
#[test]
fn the_journal_gives_the_same_state_back() {
    let mut bench = repeating(1, "20m");
    bench.page("p1", "P0");
    bench.pass(30);
    bench.page("p2", "P1");
    bench.acknowledge("ana").expect("they wait");
    bench.pass(200);
    bench
        .ask(OncallCommand::Close { incident: incident() })
        .expect("open");
    let mut replayed = OncallState::default();
    for (event, meta) in &bench.events {
        let text = serde_json::to_string(event).expect("events are JSON");
        let read: OncallEvent = serde_json::from_str(&text).expect("they can be read");
        Oncall::apply(&mut replayed, &read, meta);
    }
    assert_eq!(replayed, bench.state);
}
