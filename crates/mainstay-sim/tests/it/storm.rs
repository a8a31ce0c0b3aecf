//! Everything at once, at random: kills, power cuts that tear what is being written, clocks that are set, a full disk, tokens that are revoked, receivers that
//! refuse, answers that are lost, a database whose late replica takes over. No page is lost, none is repeated without
//! saying so, the chain is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, Observation};
use mainstay_catalog::Catalog;
use mainstay_journal::runner::decode;
use mainstay_kernel::effect::Channel;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, Labels, PageId};
use mainstay_oncall::OncallEvent;
use mainstay_plane::{Command, PlaneError};
use mainstay_sim::{Mishap, Storage, World, WorldError};

use crate::disk::{Disk, runtime};
use crate::kills::setting;

/// One seed of so many has its journal in files.
const ON_DISK: u64 = 10;
/// How often what fires is told again.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The payments platform without what judges it: nothing of that is at work here, and reading it takes longer than a seed.
fn catalog() -> Arc<Catalog> {
    let from = crate::root().join("catalogs/payments");
    let files = [
        "cells", "oncall", "people", "platform", "routing", "services", "tenants",
    ];
    let files: Vec<_> = files
        .iter()
        .map(|name| from.join(format!("{name}.yaml")))
        .collect();
    let to = std::env::temp_dir().join(format!("mainstay-storm-{}", std::process::id()));
    std::fs::create_dir_all(&to).expect("a directory");
    for file in &files {
        std::fs::copy(file, to.join(file.file_name().expect("a name"))).expect("a copy");
    }
    let (catalog, _) = Catalog::load(&to).expect("the catalog is good");
    std::fs::remove_dir_all(&to).expect("it was there");
    Arc::new(catalog)
}

/// One alert of the storm.
#[derive(Clone)]
struct Alert {
    name: String,
    labels: Labels,
    starts_at: jiff::Timestamp,
}

fn tell<S: Storage>(world: &mut World<S>, alerts: &[Alert]) -> Result<(), WorldError> {
    let observations = alerts.iter().map(|alert| Observation {
        labels: alert.labels.clone(),
        annotations: [("summary", "Payments fail")].into_iter().collect(),
        starts_at: alert.starts_at,
        ended_at: None,
        believed_for_ms: None,
    });
    let command = Command::Alert(AlertCommand::Observe(observations.collect()));
    match world.submit(&Actor::token("prometheus"), &command) {
        Ok(_) | Err(WorldError::Plane(PlaneError::Refused(_))) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What one seed saw.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    restarts: u64,
    pages: u64,
    repeated: u64,
    failovers: u64,
    power_cuts: u64,
    clock_steps: u64,
    full_disks: u64,
    revoked: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.restarts += other.restarts;
        self.pages += other.pages;
        self.repeated += other.repeated;
        self.failovers += other.failovers;
        self.power_cuts += other.power_cuts;
        self.clock_steps += other.clock_steps;
        self.full_disks += other.full_disks;
        self.revoked += other.revoked;
    }
}

/// Plays one seed: in memory, or one of [`ON_DISK`] in files. `Err` says what was broken.
fn play(seed: u64, catalog: &Arc<Catalog>) -> Result<Seen, String> {
    let start = "2026-03-02T08:00:00Z".parse().expect("an instant");
    if !seed.is_multiple_of(ON_DISK) {
        let world = World::new(seed, start, catalog.clone());
        return storm(seed, world.map_err(|error| error.to_string())?);
    }
    let world = World::kept_in(seed, start, catalog.clone(), |clock, entropy| {
        Disk::new(clock, entropy, seed)
    });
    storm(seed, world.map_err(|error| error.to_string())?)
}

fn storm<S: Storage>(seed: u64, mut world: World<S>) -> Result<Seen, String> {
    let failed = |error: WorldError| error.to_string();
    let chance = SeededEntropy::new(seed ^ 0x0005_7032);
    let percent = |bound: u64| u8::try_from(chance.below(bound)).unwrap_or(0);
    let seconds = |most: u64| SignedDuration::from_secs(i64::try_from(chance.below(most)).unwrap_or(0));
    // Of two channels at most one is without a token: somebody whom nothing reaches cannot be paged.
    let token = [Channel::Email, Channel::Chat][usize::try_from(chance.below(2)).unwrap_or(0)];
    let (mut alerts, mut seen): (Vec<Alert>, Seen) = Default::default();
    let mut latest = world.now();
    for step in 0..8 {
        latest = latest.max(world.now());
        match chance.below(10) {
            0 | 1 => {
                let passed = world.switch().passed();
                world.switch().arm(passed + 1 + chance.below(60));
            }
            2 => {
                seen.clock_steps += 1;
                let by = seconds(1_200);
                world.step_clock(if chance.below(2) == 0 { by } else { -by });
            }
            3 => {
                seen.full_disks += 1;
                world.switch().fill_disk(world.now() + seconds(90));
            }
            4 => world.replicate(),
            5 => seen.failovers += u64::from(world.fail_over().map_err(failed)?),
            6 => world.restart().map_err(failed)?,
            7 => match world.save() {
                // A full disk keeps no states; nothing depends on them.
                Ok(()) | Err(WorldError::Plane(_) | WorldError::Journal(_)) => {}
                Err(error) => return Err(error.to_string()),
            },
            8 => {
                let passed = world.switch().passed();
                world.switch().cut_power(passed + 1 + chance.below(60));
            }
            _ => {}
        }
        let revoked = (chance.below(4) == 0).then_some(token);
        seen.revoked += u64::from(revoked.is_some());
        world.set_mishap(Mishap {
            mail_refuses: percent(60),
            chat_refuses: percent(60),
            answer_lost: percent(30),
            token_revoked: revoked,
        });
        if step == 0 || chance.below(3) == 0 {
            let name = format!("Storm{}", alerts.len());
            let labels = [
                ("alertname", name.clone()),
                ("cell", format!("cell-{}", 1 + chance.below(10))),
                (
                    "priority",
                    ["P0", "P1"][usize::try_from(chance.below(2)).unwrap_or(0)].to_owned(),
                ),
            ];
            alerts.push(Alert {
                name,
                labels: labels
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect(),
                starts_at: world.now(),
            });
        }
        tell(&mut world, &alerts).map_err(failed)?;
        world.run_for(seconds(60)).map_err(failed)?;
    }
    // All is well again, and whoever told of what fires goes on to.
    world.set_mishap(Mishap::default());
    world.switch().arm(0);
    // What is due at an instant is due when the clock shows it, if it was set back meanwhile.
    let end = latest.max(world.now()) + SignedDuration::from_mins(20);
    while world.now() < end {
        tell(&mut world, &alerts).map_err(failed)?;
        world.run_for(TOLD_EVERY).map_err(failed)?;
    }
    seen.restarts = world.restarts().into();
    seen.power_cuts = world.switch().power_cuts();
    check(&world, &alerts, &mut seen)?;
    Ok(seen)
}

fn check<S: Storage>(world: &World<S>, alerts: &[Alert], seen: &mut Seen) -> Result<(), String> {
    world.verify().map_err(|error| error.to_string())?;
    // Every alert is in an incident that somebody was paged for.
    let incidents = world.incidents();
    let received = world.received();
    for alert in alerts {
        let of = incidents.iter().find(|incident| {
            incident
                .alerts
                .values()
                .any(|known| known.alert.name() == alert.name)
        });
        let incident = of.ok_or_else(|| format!("{} is in no incident", alert.name))?;
        let paged = received.iter().any(|message| {
            message
                .page
                .as_ref()
                .is_some_and(|page| page.as_str().starts_with(incident.id.as_str()))
        });
        if !paged {
            return Err(format!("nobody was paged for {}", alert.name));
        }
    }
    // Whoever was to be told of a page was told of it, unless a worse one took its place that somebody was told of.
    let told: BTreeSet<&str> = received
        .iter()
        .filter_map(|message| Some(message.key.rsplit_once('/')?.0))
        .collect();
    let (mut due, mut replaced) = (Vec::new(), BTreeMap::new());
    for record in world.events().map_err(|error| error.to_string())? {
        if !record.envelope.kind.starts_with("oncall.") {
            continue;
        }
        match decode(&record) {
            Ok(Some(OncallEvent::Notified {
                page,
                round,
                level,
                people,
                ..
            })) => due.extend(people.into_iter().map(|person| {
                // By whichever channel: the last part of a key is its name.
                (format!("page/{page}/{round}/{level}/{person}"), page.clone())
            })),
            Ok(Some(OncallEvent::Superseded { page, by })) => {
                replaced.insert(page, by);
            }
            Ok(_) => {}
            Err(_) => return Err("an event cannot be read".to_owned()),
        }
    }
    for (key, page) in due {
        seen.pages += 1;
        let is_told = |page: &PageId| told.iter().any(|key| key.starts_with(&format!("page/{page}/0/")));
        if !told.contains(key.as_str()) && !replaced.get(&page).is_some_and(is_told) {
            return Err(format!("{key} was never told"));
        }
    }
    let mut by_key: BTreeMap<&str, u64> = BTreeMap::new();
    for message in &received {
        let count = by_key.entry(message.key.as_str()).or_insert(0);
        *count += 1;
        if *count == 1 {
            continue;
        }
        seen.repeated += 1;
        // A replica that has lost what was acknowledged knows nothing of what was sent because of it.
        if !message.labelled_duplicate && seen.failovers == 0 {
            return Err(format!("{} arrived again without a word", message.key));
        }
    }
    Ok(())
}

#[test]
fn everything_at_once_loses_no_page() {
    let catalog = catalog();
    let full = setting("MAINSTAY_FULL") == Some(1);
    let seeds = setting("MAINSTAY_SEEDS").unwrap_or(if full { 100_000 } else { 200 });
    let first = setting("MAINSTAY_SEED").unwrap_or(1);
    println!("MAINSTAY_SEED={first}, {seeds} seeds");
    let next = AtomicU64::new(0);
    let runtime = runtime();
    let run = || {
        let _at_hand = runtime.enter();
        let (mut total, mut broken) = (Seen::default(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds {
                return (total, broken);
            }
            let seed = first.wrapping_add(number);
            match play(seed, &catalog) {
                Ok(seen) => total.add(seen),
                Err(reason) => {
                    println!("MAINSTAY_SEED={seed} MAINSTAY_SEEDS=1: {reason}");
                    broken.push(seed);
                }
            }
            if number % 10_000 == 9_999 {
                println!("{} seeds", number + 1);
            }
        }
    };
    let (total, broken) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        let (mut total, mut broken) = run();
        let (theirs, also) = other.join().expect("the other half");
        total.add(theirs);
        broken.extend(also);
        (total, broken)
    });
    println!("{seeds} seeds from {first}: {total:?}, {} broken", broken.len());
    assert!(broken.is_empty(), "seeds {broken:?}");
    let of_each = total.restarts.min(total.repeated).min(total.power_cuts);
    assert!(seeds < 100 || of_each > 0, "something never happened");
}
