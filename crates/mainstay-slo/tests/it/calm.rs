//! An engine that judges only what can have changed says what one says that judges everything at every tick: the twin
//! takes its catalog anew before each evaluation, which leaves nothing to wait for.

use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::adjust::Of;
use mainstay_slo::burn::{BurnPair, BurnPolicy};
use mainstay_slo::window::{Duration, Window};
use mainstay_slo::{Counters, Events, Marked, SloCatalog, SloEngine};

use crate::adjust::exclusions;
use crate::fixture::{T0, at, indicator, objective};
use crate::recount::feed;
use crate::streams::{Stream, seeds, stream};

/// Objectives that are kept and such that are not, over windows short and long, of bad and of good events.
fn the_catalog(seed: u64) -> SloCatalog {
    let entropy = SeededEntropy::new(seed ^ 0xca1f);
    let mut indicator = indicator(&["cell", "tenant"]);
    if entropy.below(3) == 0 {
        let selectors = |query| {
            mainstay_slo::selector::parse_event_count(query)
                .expect("a count")
                .selectors
        };
        indicator.events = Events::Counters(Counters {
            marked: Marked::Good,
            marked_by: selectors(r#"requests_total{code="200"}"#),
            total: selectors("requests_total"),
        });
    }
    let groups: [&[&str]; 3] = [&[], &["cell"], &["cell", "tenant"]];
    let objectives = (0..4).map(|number: u64| {
        let mut one = objective(groups[entropy.below(3) as usize]);
        one.id = mainstay_kernel::SloId::new(format!("slo-{number}")).expect("a name");
        one.target = ["99.95%", "99%", "95%", "98%"][number as usize]
            .parse()
            .expect("a target");
        let length = ["30m", "3h", "1d", "30d"][entropy.below(4) as usize];
        one.window = match entropy.below(3) {
            0 => Window::month("Asia/Kathmandu").expect("a zone"),
            _ => Window::Rolling(Duration::parse(length).expect("a duration")),
        };
        for pair in &mut one.burn.pairs {
            *pair = BurnPair {
                inclusive: entropy.below(2) == 0,
                min_bad: entropy.below(12),
                ..*pair
            };
        }
        if entropy.below(5) == 0 {
            one.burn = BurnPolicy::off();
        }
        one
    });
    let objectives = objectives.collect();
    SloCatalog::new(vec![indicator], objectives).expect("a sound catalog")
}

/// Ticks after each batch, up to the newest sample and a little before or after it.
fn check(seed: u64) -> usize {
    let stream: Stream = stream(seed);
    let catalog = the_catalog(seed);
    let entropy = SeededEntropy::new(seed ^ 0x71c);
    let new = || SloEngine::new(catalog.clone(), stream.settings, at(T0));
    let (mut engine, mut twin) = (new(), new());
    let mut now_ms = T0;
    let mut changes = 0;
    for position in 0..stream.batches.len() {
        feed(&mut engine, &stream, position);
        feed(&mut twin, &stream, position);
        let newest = stream.batches[position].iter().map(|sample| sample.t_ms).max();
        let ahead_ms = [0, 0, -20_000, 7_000, 400_000][entropy.below(5) as usize];
        let until_ms = newest.unwrap_or(T0) + ahead_ms;
        let step_ms = (until_ms - now_ms).div_euclid(6).max(10_000);
        while now_ms < until_ms {
            now_ms += step_ms;
            let said = engine.evaluate(at(now_ms));
            let gone = twin.reconfigure(catalog.clone(), at(now_ms));
            assert!(gone.alerts.is_empty(), "seed {seed}: the catalog is the same");
            assert_eq!(said, twin.evaluate(at(now_ms)), "seed {seed}, at {now_ms}");
            changes += said.alerts.len() + said.budgets.len();
        }
        match entropy.below(60) {
            0 => {
                let again = |engine: &SloEngine| {
                    SloEngine::from_bytes(&engine.to_bytes(), catalog.clone(), stream.settings, at(now_ms))
                };
                (engine, twin) = (again(&engine).expect("a state"), again(&twin).expect("a state"));
            }
            1 => {
                engine.reconfigure(catalog.clone(), at(now_ms));
            }
            2 => {
                let groups: Vec<_> = engine.groups("api").cloned().collect();
                if let Some(group) = groups.get(entropy.below(1 + groups.len() as u64) as usize) {
                    assert!(engine.retire("api", group) && twin.retire("api", group));
                }
            }
            3..6 => {
                // Some of it lies ahead.
                let mut excluded = exclusions(&entropy, now_ms - T0 + 3_600_000);
                for one in &mut excluded {
                    let objective = format!("slo-{}", entropy.below(4));
                    one.of = Of::Objective(mainstay_kernel::SloId::new(objective).expect("a name"));
                    one.silences_burn = entropy.below(2) == 0;
                }
                engine.set_exclusions(excluded.clone());
                twin.set_exclusions(excluded);
            }
            _ => {}
        }
    }
    changes
}

#[test]
fn what_can_wait_changes_no_decision() {
    // Of stream 170 a group fires, is retired and comes back.
    let changes: usize = seeds(20).chain([170]).map(check).sum();
    assert!(changes > 500, "only {changes} changes were compared");
}
