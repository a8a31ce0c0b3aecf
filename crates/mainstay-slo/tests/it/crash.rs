//! kill -9 at any moment: the stored state and the rest of the log give back the very same state.

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::{Settings, SloCatalog, SloEngine, SloError};

use crate::fixture::{Cell, T0, all_kinds, at, catalog, engine, indicator, objective};
use crate::recount::feed;
use crate::streams::{Stream, seeds, stream};

fn the_catalog() -> SloCatalog {
    catalog(indicator(&["cell", "tenant"]), objective(&["cell"]))
}

#[test]
fn a_crash_neither_loses_nor_doubles_a_count() {
    for seed in seeds(5) {
        let stream = stream(seed);
        let new = || engine(&["cell", "tenant"], &["cell"], stream.settings);
        survives(seed, &stream, new, the_catalog);
    }
}

#[test]
fn a_crash_neither_loses_nor_doubles_a_slice_or_a_sample() {
    for seed in seeds(10) {
        let stream = stream(seed);
        let new = || SloEngine::new(all_kinds(), stream.settings, at(T0));
        let whole = survives(seed, &stream, new, all_kinds);
        let slices = mainstay_kernel::SloId::new("one-0").expect("a name");
        let all = Labels::new();
        let window = whole.objective_window(&slices, &all, T0, T0 + 86_400_000 * 3);
        assert!(
            window.is_some_and(|window| window.counts.total > 0),
            "seed {seed}"
        );
    }
}

/// Kills an engine at random and brings it back, and compares it with one that lived: which is given back.
fn survives(
    seed: u64,
    stream: &Stream,
    new: impl Fn() -> SloEngine,
    catalog: impl Fn() -> SloCatalog,
) -> SloEngine {
    let mut whole = new();
    for position in 0..stream.batches.len() {
        feed(&mut whole, stream, position);
    }
    let entropy = SeededEntropy::new(seed ^ 0xc0de);
    let mut survivor = new();
    let mut stored: Vec<u8> = survivor.to_bytes();
    let mut next = 0;
    while next < stream.batches.len() {
        assert!(feed(&mut survivor, stream, next), "seed {seed}");
        next += 1;
        if entropy.below(7) == 0 {
            stored = survivor.to_bytes();
        }
        if entropy.below(20) == 0 {
            // Dead. What is stored comes back, and the log is read again from some way before its position.
            survivor =
                SloEngine::from_bytes(&stored, catalog(), stream.settings, at(T0 + 1)).expect("a state");
            let counted = survivor.position().map_or(0, |position| position as usize + 1);
            for again in counted.saturating_sub(3)..counted {
                assert!(
                    !feed(&mut survivor, stream, again),
                    "seed {seed}: counted already"
                );
            }
            next = counted;
        }
    }
    assert!(
        survivor.to_bytes() == whole.to_bytes(),
        "seed {seed}: the states differ"
    );
    whole
}

#[test]
fn what_was_said_is_remembered_too() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..100 {
        cell.tick(1_000, 0);
    }
    while cell.engine.firing().is_empty() {
        cell.tick(0, 1_000);
    }
    let bytes = cell.engine.to_bytes();
    let catalog = catalog(indicator(&["cell"]), objective(&["cell"]));
    let mut back =
        SloEngine::from_bytes(&bytes, catalog, Settings::default(), at(cell.now_ms)).expect("a state");
    assert_eq!(back.firing(), cell.engine.firing());
    assert_eq!(back.to_bytes(), bytes);
    let again = back.evaluate(at(cell.now_ms));
    assert!(
        again.alerts.is_empty() && again.budgets.is_empty(),
        "nothing is said twice: {again:?}"
    );
}

#[test]
fn damage_is_refused() {
    let mut cell = Cell::new(Settings::default());
    cell.tick(1_000, 3);
    let bytes = cell.engine.to_bytes();
    let read =
        |bytes: &[u8]| SloEngine::from_bytes(bytes, SloCatalog::default(), Settings::default(), at(T0));
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x40;
        // The byte of the version alone can look like that of a later program: it is refused as such.
        let refused = match read(&damaged) {
            Err(SloError::LaterState(_)) => index == 4,
            Err(SloError::Snapshot(_)) => true,
            _ => false,
        };
        assert!(refused, "byte {index}");
        assert!(SloEngine::verify(&damaged).is_err(), "byte {index}");
        assert!(
            matches!(read(&bytes[..index]), Err(SloError::Snapshot(_))),
            "cut at {index}"
        );
    }
}
