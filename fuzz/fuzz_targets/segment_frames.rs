//! A segment of a write-ahead log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_segment::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::segment(bytes));
