//! What is more than one commit takes: it is told in portions, and what is refused keeps nothing else from being taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::executor::block_on;
use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, Observation, SilenceDraft, SilenceId};
use mainstay_catalog::Catalog;
use mainstay_journal::Journal;
use mainstay_journal::store::COMMIT_MAX_EVENTS;
use mainstay_kernel::{Actor, Clock, Labels, Matcher};
use mainstay_plane::{Command, PlaneError, Refused};

use crate::bench::{Bench, changed};

/// Groups whose messages, three each, are more than one commit takes.
const MANY: usize = COMMIT_MAX_EVENTS / 3 + 100;

/// A route that groups by `n` and posts to three channels, and one alert of which is put into so many groups that those
/// of a few alerts are more than a commit takes.
fn catalog() -> Arc<Catalog> {
    let wide: String = (0..60)
        .map(|number| {
            format!(
                "      - {{receiver: many, matchers: ['team=wide'], group_by: [n, w{number}], continue: true}}\n"
            )
        })
        .collect();
    changed("routing.yaml", |text| {
        text.replace(
            "  receivers:\n",
            "  receivers:\n    - {name: many, chat: ['#a', '#b', '#c']}\n",
        )
        .replace(
            "    routes:\n",
            &format!(
                "    routes:\n      - {{receiver: many, matchers: ['team=many'], group_by: [n], group_wait: 0s}}\n{wide}"
            ),
        )
    })
}

fn seen(bench: &Bench, labels: &str, n: usize) -> Observation {
    let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
    Observation {
        labels: Labels::from_iter(pairs)
            .with("alertname", "Many")
            .with("n", n.to_string()),
        annotations: Labels::new(),
        starts_at: bench.clock.now(),
        ended_at: None,
        believed_for_ms: None,
    }
}

fn observe(bench: &Bench, observations: Vec<Observation>) -> Result<usize, PlaneError> {
    let actor = Actor::token("test");
    let observed = block_on(bench.plane.observe(&actor, observations));
    observed.map(|(_, shed)| shed)
}

/// A silence of an hour, behind which many alerts fire, each in a group of its own.
fn silenced() -> Bench {
    let bench = Bench::over(catalog());
    let draft = SilenceDraft {
        changes: None,
        matchers: vec![Matcher::equal("team", "many")],
        starts_at: bench.clock.now(),
        ends_at: bench.clock.now() + SignedDuration::from_hours(1),
        created_by: "thandi".to_owned(),
        comment: "planned".to_owned(),
    };
    bench.submit(Command::Alert(AlertCommand::Silence(SilenceId::new("s"), draft)));
    let many = (0..MANY).map(|n| seen(&bench, "team=many priority=P3", n));
    assert_eq!(observe(&bench, many.collect()).expect("all are taken"), 0);
    block_on(bench.plane.tick()).expect("the journal works");
    assert_eq!(fired(&bench), 0);
    bench
}

fn fired(bench: &Bench) -> usize {
    let kinds = bench.kinds();
    kinds.iter().filter(|kind| *kind == "alert.fired").count()
}

/// Every group was told once, by three messages.
fn all_are_told(bench: &Bench) {
    assert_eq!(fired(bench), MANY);
    let streams: BTreeSet<_> = bench
        .records()
        .into_iter()
        .filter(|record| record.envelope.kind == "alert.fired")
        .map(|record| record.envelope.stream)
        .collect();
    assert_eq!(streams.len(), MANY);
    block_on(bench.plane.look(|states| {
        assert!(states.alerts.groups().all(|(_, group)| group.held.is_empty()));
    }));
}

#[test]
fn what_a_long_silence_held_back_is_all_told_when_it_is_over() {
    let bench = silenced();
    bench.clock.advance(SignedDuration::from_hours(2));
    block_on(bench.plane.tick()).expect("the journal works");
    all_are_told(&bench);
    let due = block_on(bench.journal.due_timers(bench.clock.now(), 10)).expect("the journal works");
    assert!(due.is_empty(), "{due:?}");
}

#[test]
fn what_a_silence_ended_by_hand_leaves_is_told_by_whoever_comes_next() {
    for restarts in [false, true] {
        let mut bench = silenced();
        bench.submit(Command::Alert(AlertCommand::EndSilence(SilenceId::new("s"))));
        let at_once = fired(&bench);
        assert!((100..MANY / 2).contains(&at_once), "{at_once}");
        // A start looks at all that is held back.
        if restarts {
            bench.reopen();
        } else {
            block_on(bench.plane.tick()).expect("the journal works");
        }
        all_are_told(&bench);
    }
}

#[test]
fn what_is_refused_keeps_nothing_else_from_being_taken() {
    let bench = Bench::over(catalog());
    // The first portion is urgent, and sets more clocks than a commit takes.
    let wide = (0..200).map(|n| seen(&bench, "team=wide priority=P1", n));
    let rest = (0..300).map(|n| seen(&bench, "team=many priority=P3", n));
    let refused = observe(&bench, wide.chain(rest).collect());
    assert!(
        matches!(refused, Err(PlaneError::Refused(Refused::TooLarge(_)))),
        "{refused:?}"
    );
    let firing = block_on(bench.plane.look(|states| states.alerts.firing().count()));
    assert_eq!(firing, 300);
}
