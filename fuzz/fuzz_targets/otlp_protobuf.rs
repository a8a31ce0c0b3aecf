//! An OTLP metrics request in protobuf, translated, and the answer to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_fuzz::read_otlp;
use mainstay_ingest::otlp::OtlpEncoding;

fuzz_target!(|body: &[u8]| read_otlp(body, OtlpEncoding::Protobuf));
