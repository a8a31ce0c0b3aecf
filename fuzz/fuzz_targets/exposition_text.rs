//! The text exposition format, 0.0.4.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::exposition::{Format, HistogramForm, parse};

fuzz_target!(|body: &[u8]| {
    drop(parse(body, Format::Text, HistogramForm::Classic, |item| {
        drop(item)
    }));
});
