//! Unit tests of rules, over a rule file that is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_rules::unit_test::{Files, test_rules};

const RULES: &str =
    "groups: [{name: g, rules: [{record: 'a:b', expr: sum(a)}, {alert: A, expr: a > 1, for: 2m}]}]";

/// One test file, and the rules beside it.
struct Two<'a>(&'a str);

impl Files for Two<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "test.yml" => Ok(self.0.to_owned()),
            _ => Ok(RULES.to_owned()),
        }
    }

    fn matching(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(vec!["rules.yml".to_owned()])
    }
}

fuzz_target!(|text: &str| drop(test_rules(&["test.yml".to_owned()], &Two(text))));
