//! The machine with its timers, and nothing else: time moves only when told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{
    AlertCommand, AlertEvent, AlertRefusal, AlertState, Alerts, HeldAlert, HeldBy, Observation, SilenceDraft,
    SilenceId,
};
use mainstay_catalog::response::Routing;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::Effect;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, EventId, Labels, Matcher};

/// The routing of a catalog whose route is written as `route` (YAML, flow style); every receiver named in `receivers`
/// posts to a chat channel of its name.
pub(crate) fn routing(receivers: &[&str], route: &str) -> Routing {
    routing_with(receivers, route, "")
}

/// The same with further keys of the document, as lines.
pub(crate) fn routing_with(receivers: &[&str], route: &str, rest: &str) -> Routing {
    let receivers: Vec<String> = receivers
        .iter()
        .map(|name| format!("{{name: {name}, chat: ['#{name}']}}"))
        .collect();
    let text = format!(
        "apiVersion: mainstay/v1\nkind: Routing\nmetadata: {{name: routing}}\nspec:\n  receivers: [{}]\n  route: {route}\n{rest}",
        receivers.join(", ")
    );
    let (documents, diagnostics) = Documents::from_texts([("routing.yaml", text.as_str())]);
    assert!(!diagnostics.has_errors(), "{text}");
    // The rest of the catalog is missing, and nobody is paged: that is of no concern here.
    Catalog::build(documents, &mut Diagnostics::new())
        .response
        .routing
}

pub(crate) fn labels(text: &str) -> Labels {
    let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
    Labels::from_iter(pairs).with("alertname", text.split(' ').next().unwrap_or_default())
}

pub(crate) struct Bench {
    pub(crate) state: AlertState,
    pub(crate) routing: Routing,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<(AlertEvent, Meta)>,
    pub(crate) effects: Vec<Effect>,
    /// The most events, and the most effects, of one command.
    pub(crate) largest: (usize, usize),
    timers: BTreeMap<String, (Timestamp, String)>,
    entropy: SeededEntropy,
    start: Timestamp,
}

impl Bench {
    pub(crate) fn new(routing: Routing) -> Self {
        let start = "2026-03-02T10:00:00Z".parse().expect("a timestamp");
        Self {
            state: AlertState::default(),
            routing,
            now: start,
            events: Vec::new(),
            effects: Vec::new(),
            largest: (0, 0),
            timers: BTreeMap::new(),
            entropy: SeededEntropy::new(1),
            start,
        }
    }

    /// An alert that fires since now; the first word is its name, the others are labels: `Down cell=c1`.
    pub(crate) fn fires(&self, text: &str) -> Observation {
        Observation {
            labels: labels(text),
            annotations: Labels::new(),
            starts_at: self.now,
            ended_at: None,
            believed_for_ms: None,
        }
    }

    pub(crate) fn over(&self, text: &str) -> Observation {
        Observation {
            ended_at: Some(self.now),
            believed_for_ms: None,
            ..self.fires(text)
        }
    }

    pub(crate) fn fire(&mut self, text: &str) {
        let seen = self.fires(text);
        self.observe(vec![seen]);
    }

    pub(crate) fn end(&mut self, text: &str) {
        let seen = self.over(text);
        self.observe(vec![seen]);
    }

    pub(crate) fn observe(&mut self, observations: Vec<Observation>) {
        self.ask(AlertCommand::Observe(observations))
            .expect("there is room");
    }

    /// A silence of this name, from now on, of alerts with these labels: `cell=c1 alertname=A`.
    pub(crate) fn silence(&mut self, name: &str, labels: &str, minutes: i64) {
        let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
        let draft = SilenceDraft {
            changes: None,
            matchers: pairs.map(|(name, value)| Matcher::equal(name, value)).collect(),
            starts_at: self.now,
            ends_at: self.now + SignedDuration::from_mins(minutes),
            created_by: "thandi".to_owned(),
            comment: "planned".to_owned(),
        };
        self.ask(AlertCommand::Silence(SilenceId::new(name), draft))
            .expect("a silence");
    }

    pub(crate) fn end_silence(&mut self, name: &str) {
        self.ask(AlertCommand::EndSilence(SilenceId::new(name)))
            .expect("it is there");
    }

    /// What was held back since the beginning: `30s held A1`.
    pub(crate) fn held(&self) -> Vec<String> {
        let line = |(event, meta): &(AlertEvent, Meta)| {
            let AlertEvent::Held { held, .. } = event else {
                return None;
            };
            let by = |held: &HeldAlert| match &held.by {
                HeldBy::Inhibited { .. } => "inhibited".to_owned(),
                HeldBy::Muted { interval } => format!("muted by {interval}"),
                HeldBy::Flapping { starts, .. } => format!("flapping {starts}"),
                HeldBy::Inactive => "inactive".to_owned(),
                HeldBy::Silenced { by } => format!("silenced by {by}"),
            };
            let held: Vec<String> = held.iter().map(by).collect();
            let at = meta.at.duration_since(self.start).as_secs();
            Some(format!("{at}s {}", held.join(", ")))
        };
        self.events.iter().filter_map(line).collect()
    }

    pub(crate) fn ask(&mut self, command: AlertCommand) -> Result<(), AlertRefusal> {
        let decided = Alerts::decide(&self.state, &self.routing, command, self.now)?;
        let (decided_many, effects_before) = (decided.len(), self.effects.len());
        for event in decided {
            let meta = Meta {
                id: EventId::generate(self.now, &self.entropy),
                at: self.now,
                actor: Actor::machine("test"),
                cause: None,
            };
            Alerts::apply(&mut self.state, &event, &meta);
            let reaction = Alerts::react(&self.state, &self.routing, &event, &meta);
            self.effects.extend(reaction.effects);
            for key in reaction.cancel {
                self.timers.remove(&key);
            }
            for (key, due, payload) in reaction.timers {
                self.timers.insert(key, (due, payload));
            }
            self.events.push((event, meta));
        }
        let effects = self.effects.len() - effects_before;
        self.largest = (self.largest.0.max(decided_many), self.largest.1.max(effects));
        Ok(())
    }

    /// Lets time pass; timers ring at their instant.
    pub(crate) fn pass(&mut self, span: SignedDuration) {
        let end = self.now.checked_add(span).expect("in range");
        self.ring_until(end);
        self.now = end;
    }

    /// Lets time pass without anybody listening: what was due rings late, in order, when it is over.
    pub(crate) fn sleep(&mut self, span: SignedDuration) {
        self.now = self.now.checked_add(span).expect("in range");
    }

    pub(crate) fn ring_until(&mut self, end: Timestamp) {
        let mut at_once = 0;
        loop {
            let next = self
                .timers
                .iter()
                .filter(|(_, (due, _))| *due <= end)
                .min_by_key(|(key, (due, _))| (*due, (*key).clone()))
                .map(|(key, (due, payload))| (key.clone(), *due, payload.clone()));
            let Some((key, due, payload)) = next else { return };
            self.timers.remove(&key);
            at_once = if due > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 10_000, "{key} rings for ever: {:?}", self.events.last());
            self.now = self.now.max(due);
            let command = Alerts::on_timer(&key, &payload).expect("a timer of its own");
            // As the plane does: what is told in portions is asked for until nothing is left.
            let in_portions = command == AlertCommand::Review(None);
            loop {
                let before = self.events.len();
                self.ask(command.clone()).expect("timers are not refused");
                if !in_portions || self.events.len() == before {
                    break;
                }
            }
        }
    }

    /// What groups were told since the beginning: `30s fired receiver: A B`.
    pub(crate) fn told(&self) -> Vec<String> {
        let line = |(event, meta): &(AlertEvent, Meta)| {
            let (word, receiver, alerts) = match event {
                AlertEvent::Fired { fact } => ("fired", &fact.receiver, &fact.firing),
                AlertEvent::Reminded { fact } => ("again", &fact.receiver, &fact.firing),
                AlertEvent::Flapping { fact, .. } => ("flapping", &fact.receiver, &fact.firing),
                AlertEvent::Eased { fact } => ("eased", &fact.receiver, &fact.firing),
                AlertEvent::Resolved { fact } => ("over", &fact.receiver, &fact.resolved),
                AlertEvent::Started { .. }
                | AlertEvent::Ended { .. }
                | AlertEvent::Held { .. }
                | AlertEvent::Settled { .. }
                | AlertEvent::Silenced { .. }
                | AlertEvent::CutOver { .. }
                | AlertEvent::ToldElsewhere { .. }
                | AlertEvent::Unsilenced { .. } => return None,
            };
            let mut names: Vec<&str> = alerts.iter().map(|alert| alert.name()).collect();
            names.sort_unstable();
            let at = meta.at.duration_since(self.start).as_secs();
            Some(format!("{at}s {word} {receiver}: {}", names.join(" ")))
        };
        self.events.iter().filter_map(line).collect()
    }

    /// The state that the journal would give back: every event written as JSON and read again.
    pub(crate) fn replayed(&self) -> AlertState {
        let mut state = AlertState::default();
        for (event, meta) in &self.events {
            let text = serde_json::to_string(event).expect("events are JSON");
            let read: AlertEvent = serde_json::from_str(&text).expect("they can be read");
            assert_eq!(read, *event);
            Alerts::apply(&mut state, &read, meta);
        }
        state
    }
}
