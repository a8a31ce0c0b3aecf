//! A record of the series store's write-ahead log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_series::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::record(bytes));
