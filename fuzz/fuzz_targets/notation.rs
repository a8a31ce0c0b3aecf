//! The notation of series in tests of rules, read from one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_promql::notation::{parse_series, parse_values};

fuzz_target!(|text: &str| {
    drop(parse_series(text));
    drop(parse_values(text));
});
