//! Rule files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_rules::RuleFile;

fuzz_target!(|text: &str| drop(RuleFile::parse("rules.yml", text)));
