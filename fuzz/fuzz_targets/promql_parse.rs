//! PromQL: what is read, printed (on one line or several) and read again is the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_promql::{parse, print};

fuzz_target!(|query: &str| {
    let Ok(expr) = parse(query) else { return };
    let text = print::text(&expr);
    for printed in [&text, &print::pretty(&expr)] {
        match parse(printed) {
            Ok(again) => assert_eq!(print::text(&again), text, "{query:?} printed as {printed:?}"),
            Err(error) => panic!("{query:?} printed as {printed:?}: {error}"),
        }
    }
});
