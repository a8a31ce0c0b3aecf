//! A scrape configuration: what it says is checked, its targets are made, and the same again as a list of targets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_ingest::config::{ScrapeConfig, target_groups};

fuzz_target!(|text: &str| {
    drop(ScrapeConfig::parse("prometheus.yml", text));
    drop(target_groups("targets.json", text));
});
