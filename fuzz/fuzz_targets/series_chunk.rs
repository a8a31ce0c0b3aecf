//! A compressed run of samples in the series store.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_series::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::chunk(bytes));
