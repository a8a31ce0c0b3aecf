//! kill -9 at every boundary and at random ones: no page is lost, none arrives twice without saying so, the timeline is
//! complete, the chain is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, Observation};
use mainstay_catalog::Catalog;
use mainstay_incident::{IncidentCommand, TimelineKind};
use mainstay_kernel::effect::Recipient;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, Labels, PersonId, RunbookId, Severity};
use mainstay_oncall::OncallCommand;
use mainstay_plane::{Command, PlaneError};
use mainstay_runbook::RunbookCommand;
use mainstay_sim::{Mishap, Storage, World, WorldError};

use crate::disk::{Disk, runtime};

fn alert<S: Storage>(world: &World<S>, tenant: &str, over: bool) -> Command {
    let labels: Labels = [
        ("alertname", "SloBurnRate"),
        ("cell", "cell-5"),
        ("tenant", tenant),
        ("priority", "P0"),
    ]
    .into_iter()
    .collect();
    let annotations: Labels = [("summary", "Payments fail")].into_iter().collect();
    let now = world.now();
    Command::Alert(AlertCommand::Observe(vec![Observation {
        labels,
        annotations,
        starts_at: now,
        ended_at: over.then_some(now),
        believed_for_ms: None,
    }]))
}

/// What a client does: it repeats until it is answered. An answer that it has been done before is an answer.
fn submit<S: Storage>(world: &mut World<S>, actor: &Actor, command: &Command) {
    match world.submit(actor, command) {
        Ok(_) | Err(WorldError::Plane(PlaneError::Refused(_))) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Alert, page, two minutes of silence, acknowledgement, rollback, all clear, resolved.
fn story<S: Storage>(world: &mut World<S>) {
    let minutes = SignedDuration::from_mins;
    let thandi = Actor::person("thandi");
    let prometheus = Actor::token("prometheus");
    for tenant in ["STD-021", "STD-022"] {
        let command = alert(world, tenant, false);
        submit(world, &prometheus, &command);
    }
    world.run_for(minutes(7)).expect("time passes");
    let incident = world.incidents().first().expect("an incident").id.clone();
    let by = PersonId::new("thandi").ok();
    submit(
        world,
        &thandi,
        &Command::Oncall(OncallCommand::AcknowledgeIncident {
            incident: incident.clone(),
            by,
        }),
    );
    world.run_for(minutes(1)).expect("time passes");
    let cell = "cell-5".parse().ok();
    let runbook = RunbookId::new("high-error-rate").expect("a name");
    let step = RunbookCommand::Run {
        incident: incident.clone(),
        runbook,
        step: "rollback".to_owned(),
        cell,
        answer: None,
    };
    submit(world, &thandi, &Command::Runbook(step));
    world.run_for(minutes(3)).expect("time passes");
    for tenant in ["STD-021", "STD-022"] {
        let command = alert(world, tenant, true);
        submit(world, &prometheus, &command);
    }
    submit(
        world,
        &thandi,
        &Command::Incident(IncidentCommand::Resolve {
            incident,
            force: None,
        }),
    );
    world.set_mishap(Mishap::default());
    world.run_for(minutes(10)).expect("time passes");
}

fn start() -> jiff::Timestamp {
    "2026-03-02T08:00:00Z".parse().expect("an instant")
}

fn new_world(seed: u64, catalog: &Arc<Catalog>) -> World {
    World::new(seed, start(), catalog.clone()).expect("it opens")
}

/// What must hold however often the process died.
fn check<S: Storage>(world: &World<S>, what: &str) {
    world.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
    let incidents = world.incidents();
    assert_eq!(incidents.len(), 1, "{what}: one incident");
    let incident = &incidents[0];
    assert_eq!(incident.severity, Severity::P0, "{what}");
    assert!(
        incident.acknowledged.is_some() && incident.all_clear_at.is_some() && incident.resolved_at.is_some(),
        "{what}"
    );

    // No page lost: the primary, the secondary after five minutes, and the director who is only informed.
    let received = world.received();
    for person in ["thandi", "lerato", "james"] {
        let to = Recipient::Person(PersonId::new(person).expect("a name"));
        assert!(
            received.iter().any(|message| message.to == to),
            "{what}: {person} was told"
        );
    }
    // None twice without saying so.
    let mut by_key: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for message in &received {
        by_key
            .entry(&message.key)
            .or_default()
            .push(message.labelled_duplicate);
    }
    for (key, labels) in &by_key {
        assert!(
            labels.iter().skip(1).all(|labelled| *labelled),
            "{what}: {key} arrived again without a label: {labels:?}"
        );
    }
    // The platform was changed once.
    assert_eq!(world.acts().len(), 1, "{what}: one rollback");
    // The timeline is complete: every kind of entry, and every delivered page on it.
    let kinds: BTreeSet<TimelineKind> = incident.timeline.iter().map(|entry| entry.kind).collect();
    for kind in [
        TimelineKind::Incident,
        TimelineKind::Alert,
        TimelineKind::Page,
        TimelineKind::Runbook,
    ] {
        assert!(kinds.contains(&kind), "{what}: the timeline has {kind:?}");
    }
    let paged: BTreeSet<&str> = received
        .iter()
        .filter(|message| message.page.is_some())
        .map(|message| message.key.as_str())
        .collect();
    let noted = incident
        .timeline
        .iter()
        .filter(|entry| entry.text.starts_with("page delivered"))
        .count();
    // Of a call nothing can be asked, and none is made again once somebody has taken the page on: it may have been heard.
    let calls = paged.iter().filter(|key| key.ends_with("/voice")).count();
    assert!(
        noted <= paged.len() && paged.len() - noted <= calls,
        "{what}: each delivered page stands on the timeline once: {noted} of {paged:?}"
    );
}

/// Each of the boundaries from 1 on in the full tier, else one of so many, from where the seed says.
fn some_of(boundaries: u64, one_of: u64) -> impl Iterator<Item = u64> {
    let one_of = if setting("MAINSTAY_FULL") == Some(1) {
        1
    } else {
        one_of
    };
    let first = 1 + setting("MAINSTAY_SEED").unwrap_or(0) % one_of;
    (first..=boundaries).step_by(usize::try_from(one_of).expect("small"))
}

#[test]
fn killed_at_every_boundary() {
    let catalog = crate::catalog();
    let mut unharmed = new_world(1, &catalog);
    let begun = unharmed.switch().passed();
    story(&mut unharmed);
    check(&unharmed, "unharmed");
    let boundaries = unharmed.switch().passed() - begun;
    assert!(boundaries > 50, "the story has boundaries: {boundaries}");
    let mut kills = 0;
    for boundary in some_of(boundaries, 3) {
        kills += 1;
        let mut world = new_world(1, &catalog);
        world.switch().arm(begun + boundary);
        story(&mut world);
        assert!(
            world.restarts() > 0,
            "boundary {boundary} of {boundaries} was reached"
        );
        check(&world, &format!("killed at boundary {boundary} of {boundaries}"));
    }
    println!("killed at {kills} of {boundaries} boundaries");
}

/// The power goes at a write to real files, and what was under way is torn: at each write in the full tier, else at a few.
#[test]
fn the_power_goes_amid_a_write() {
    let catalog = crate::catalog();
    let runtime = runtime();
    let _at_hand = runtime.enter();
    let seed = setting("MAINSTAY_SEED").unwrap_or(1);
    let play = |cut_at: Option<u64>| {
        let disk = |clock, entropy| Disk::new(clock, entropy, seed);
        let mut world = World::kept_in(seed, start(), catalog.clone(), disk).expect("it opens");
        let begun = world.switch().passed();
        cut_at.inspect(|at| world.switch().cut_power(begun + at));
        story(&mut world);
        check(&world, &format!("seed {seed}, power cut at {cut_at:?}"));
        (world.switch().passed() - begun, world.switch().power_cuts())
    };
    let (boundaries, _) = play(None);
    let cuts: u64 = some_of(boundaries, 31).map(|at| play(Some(at)).1).sum();
    println!("MAINSTAY_SEED={seed}: {cuts} power cuts amid a write, of {boundaries} boundaries");
    assert!(cuts > 2, "{cuts}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "which tier runs, and from which seed, is said in the environment"
)]
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Several kills at random, receivers that refuse, answers that are lost.
#[test]
fn killed_at_random_with_bad_receivers() {
    let catalog = crate::catalog();
    let seeds = if setting("MAINSTAY_FULL") == Some(1) {
        1_000
    } else {
        100
    };
    let first = setting("MAINSTAY_SEED").unwrap_or(1);
    println!("seeds {first} to {}", first.wrapping_add(seeds - 1));
    for seed in (0..seeds).map(|step| first.wrapping_add(step)) {
        let chance = SeededEntropy::new(seed);
        let mut world = new_world(seed, &catalog);
        let percent = |bound: u64| u8::try_from(chance.below(bound)).expect("small");
        world.set_mishap(Mishap {
            mail_refuses: percent(60),
            chat_refuses: percent(60),
            answer_lost: percent(30),
            ..Mishap::default()
        });
        world.switch().arm(1 + chance.below(120));
        story(&mut world);
        check(&world, &format!("seed {seed}"));
    }
}
