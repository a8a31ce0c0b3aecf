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
use mainstay_sim::{Mishap, World, WorldError};

fn alert(world: &World, tenant: &str, over: bool) -> Command {
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
    }]))
}

/// What a client does: it repeats until it is answered. An answer that it has been done before is an answer.
fn submit(world: &mut World, actor: &Actor, command: &Command) {
    match world.submit(actor, command) {
        Ok(_) | Err(WorldError::Plane(PlaneError::Refused(_))) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Alert, page, two minutes of silence, acknowledgement, rollback, all clear, resolved.
fn story(world: &mut World) {
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

fn new_world(seed: u64, catalog: &Arc<Catalog>) -> World {
    World::new(
        seed,
        "2026-03-02T08:00:00Z".parse().expect("an instant"),
        catalog.clone(),
    )
    .expect("it opens")
}

/// What must hold however often the process died.
fn check(world: &World, what: &str) {
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
    assert_eq!(
        noted,
        paged.len(),
        "{what}: each delivered page stands on the timeline once"
    );
}

#[test]
fn killed_at_every_boundary() {
    let catalog = crate::catalog();
    let mut unharmed = new_world(1, &catalog);
    story(&mut unharmed);
    check(&unharmed, "unharmed");
    let boundaries = unharmed.switch().passed();
    assert!(boundaries > 50, "the story has boundaries: {boundaries}");
    for boundary in 1..=boundaries {
        let mut world = new_world(1, &catalog);
        world.switch().arm(boundary);
        story(&mut world);
        assert!(
            world.restarts() > 0,
            "boundary {boundary} of {boundaries} was reached"
        );
        check(&world, &format!("killed at boundary {boundary} of {boundaries}"));
    }
    println!("killed at each of {boundaries} boundaries");
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
