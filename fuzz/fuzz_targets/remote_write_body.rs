//! A body of remote write: unpacked within its limit, then read as either version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::read_remote_write;
use mainstay_ingest::remote_write::{Version, decompress};

const LIMIT_BYTES: usize = 1 << 20;

fuzz_target!(|body: &[u8]| {
    let mut buffer = Vec::new();
    if decompress(body, LIMIT_BYTES, &mut buffer).is_ok() {
        assert!(buffer.len() <= LIMIT_BYTES);
        read_remote_write(Version::V1, &buffer);
        read_remote_write(Version::V2, &buffer);
    }
});
