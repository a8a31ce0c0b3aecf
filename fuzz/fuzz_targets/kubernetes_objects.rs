//! A list of objects of the Kubernetes API, and the targets that come of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::discovery::fuzzing;

fuzz_target!(|body: &[u8]| fuzzing::kubernetes(body));
