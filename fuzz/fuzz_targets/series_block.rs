//! What a block file of the series store says of itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_series::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::block(bytes));
