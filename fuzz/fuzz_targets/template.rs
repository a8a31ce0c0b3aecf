//! Alert templates, read and expanded over a small store.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::small_store;
use mainstay_kernel::Labels;
use mainstay_promql::{Limits, MemorySamples};
use mainstay_rules::template::{Data, Template};

static STORE: LazyLock<MemorySamples> = LazyLock::new(small_store);

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else {
        return;
    };
    let labels: Labels = [("instance", "10.0.0.1:9100"), ("job", "gateway")]
        .into_iter()
        .collect();
    let limits = Limits {
        max_samples: 1_000,
        max_steps: 20,
        ..Limits::default()
    };
    let data = Data {
        labels: &labels,
        value: 12_345.678,
        external_labels: &labels,
        external_url: "http://127.0.0.1:9090/",
        at_ms: 300_000,
        store: &*STORE,
        limits: &limits,
    };
    drop(template.expand(&data));
});
