//! The protobuf exposition format, with every choice of histograms.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::exposition::{Format, HistogramForm, parse};

fuzz_target!(|body: &[u8]| {
    for form in [HistogramForm::Classic, HistogramForm::Native, HistogramForm::Both] {
        drop(parse(body, Format::Protobuf, form, |item| drop(item)));
    }
});
