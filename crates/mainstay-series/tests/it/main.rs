//! What callers of the store may rely on.

mod append;
mod crash;
mod damage;
mod delete;
mod flips;
mod full_disk;
mod golden;
mod histograms;
mod model;
mod query;
mod starts;
mod tier_delete;
mod tier_files;
mod tiers;
mod windows;

use std::path::Path;

use mainstay_kernel::Labels;
use mainstay_series::{Options, SeriesRef, Store};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn open(dir: &Path) -> Store {
    open_with(dir, Options::default())
}

fn open_with(dir: &Path, options: Options) -> Store {
    Store::open(dir, options).expect("the store opens").0
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn series(store: &Store, name: &str) -> SeriesRef {
    store
        .series_ref(&labels(&[("__name__", name)]))
        .expect("a series")
}

/// Everything held of the series of this name, values as bits.
fn held(store: &Store, name: &str) -> Vec<(i64, u64)> {
    let matcher = mainstay_kernel::Matcher::equal("__name__", name);
    let selected = store
        .select(&[matcher], i64::MIN, i64::MAX, usize::MAX)
        .expect("readable");
    assert!(selected.len() <= 1);
    selected
        .into_iter()
        .flat_map(|series| series.samples)
        .map(|(t_ms, value)| (t_ms, value.to_bits()))
        .collect()
}

/// What the caller of the tests asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's parameters come by the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
