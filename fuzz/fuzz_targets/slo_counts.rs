//! The counts of objectives as they are kept: the body is fuzzed, its head and digest are made to fit.

#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use mainstay_kernel::Digest;
use mainstay_slo::{Settings, SloCatalog, SloEngine};

/// What comes before the body of a state without its length: what kind of file it is, and of which version.
static HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let empty = SloEngine::new(SloCatalog::default(), Settings::default(), Timestamp::UNIX_EPOCH);
    empty.to_bytes()[..5].to_vec()
});

fuzz_target!(|body: &[u8]| {
    let length = (body.len() as u64).to_le_bytes();
    let bytes = [&HEAD[..], &length, body, &Digest::of(body).0].concat();
    drop(SloEngine::from_bytes(
        &bytes,
        SloCatalog::default(),
        Settings::default(),
        Timestamp::UNIX_EPOCH,
    ));
});
