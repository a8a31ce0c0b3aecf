//! Scripts of `promqltest`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_promql::promqltest::run;

fuzz_target!(|script: &str| drop(run(script)));
