//! What another engine answers to a query, and to a question for series.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_remote::query::fuzzing;

fuzz_target!(|body: &[u8]| fuzzing::answer(body));
