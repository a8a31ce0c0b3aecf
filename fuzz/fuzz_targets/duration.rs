//! Durations: what is read and printed is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_promql::duration::{format_ms, parse_ms};

fuzz_target!(|text: &str| {
    if let Some(duration_ms) = parse_ms(text) {
        let printed = format_ms(duration_ms);
        assert_eq!(
            parse_ms(&printed),
            Some(duration_ms),
            "{text:?} printed as {printed:?}"
        );
    }
});
