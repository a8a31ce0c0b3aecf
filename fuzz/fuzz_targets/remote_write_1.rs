//! A message of remote write 1.0, read to its last field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::read_remote_write;
use mainstay_ingest::remote_write::Version;

fuzz_target!(|message: &[u8]| read_remote_write(Version::V1, message));
