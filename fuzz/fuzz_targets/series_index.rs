//! The series store's index of all series.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_series::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::index(bytes));
