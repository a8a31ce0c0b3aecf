//! What a name server answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::discovery::fuzzing;

fuzz_target!(|message: &[u8]| fuzzing::dns(message));
