//! OpenMetrics 1.0.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::exposition::{Format, HistogramForm, parse};

fuzz_target!(|body: &[u8]| {
    drop(parse(body, Format::OpenMetrics, HistogramForm::Classic, |item| {
        drop(item)
    }));
});
