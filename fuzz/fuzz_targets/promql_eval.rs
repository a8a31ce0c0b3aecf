//! PromQL evaluated over a small store, at a time and over a range, within tight limits.

#![no_main]

use std::cell::Cell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::small_store;
use mainstay_promql::{Limits, MemorySamples, instant, parse, range};

static STORE: LazyLock<MemorySamples> = LazyLock::new(small_store);

fuzz_target!(|query: &str| {
    let Ok(expr) = parse(query) else { return };
    let asked = Cell::new(0);
    let limits = Limits {
        max_samples: 10_000,
        max_steps: 20,
        use_starts: true,
        // A deadline that is the same on every machine.
        cancelled: &|| {
            asked.set(asked.get() + 1);
            asked.get() > 2_000
        },
        ..Limits::default()
    };
    for at_ms in [0, 300_000, i64::MAX] {
        drop(instant(&expr, at_ms, &*STORE, &limits));
    }
    asked.set(0);
    drop(range(&expr, 0, 600_000, 60_000, &*STORE, &limits));
});
