//! Rule unit tests in the format of `promtool test rules`: input series, the alerts that fire at a time, the values of
//! queries at a time.

mod compare;
mod document;
mod run;
mod timestamp;

use std::path::Path;

use crate::error::Diagnostic;
use crate::yaml::Source;

/// How large a test file may be.
const MAX_FILE_BYTES: usize = 16 << 20;

/// What test files gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many expectations held.
    pub passed: usize,
    /// What did not hold, and what could not be read or evaluated.
    pub failures: Vec<Diagnostic>,
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    fn absorb(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
    }
}

/// Where test files and the rule files they name are read from.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// A reason for the user, when there is no such text.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The files that a pattern of `rule_files` names, in order; a pattern that names no file gives none.
    ///
    /// # Errors
    /// A reason for the user, when the pattern cannot be followed.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String>;
}

/// Runs test files, given by path. Paths in `rule_files` are relative to the test file.
#[must_use]
pub fn test_rules(paths: &[String], files: &dyn Files) -> Report {
    let mut report = Report::default();
    for path in paths {
        report.absorb(test_file(path, files));
    }
    report
}

fn test_file(path: &str, files: &dyn Files) -> Report {
    let failed = |diagnostic| Report {
        failures: vec![diagnostic],
        ..Report::default()
    };
    let text = match files.read(path) {
        Ok(text) => text,
        Err(message) => return failed(Source { file: path, text: "" }.diagnostic(1, 1, message)),
    };
    let source = Source {
        file: path,
        text: &text,
    };
    if text.len() > MAX_FILE_BYTES {
        return failed(source.diagnostic(1, 1, format!("larger than {MAX_FILE_BYTES} bytes: split it")));
    }
    match source.yaml::<document::TestFile>() {
        Ok(document) => run::run(source, document, files),
        Err(error) => failed(error),
    }
}

/// `pattern` beside the test file, unless it is absolute.
fn beside(test_file: &str, pattern: &str) -> String {
    let folder = Path::new(test_file).parent().unwrap_or_else(|| Path::new(""));
    folder.join(pattern).to_string_lossy().into_owned()
}

/// Whether a file name fits a pattern of `*` and `?`.
#[must_use]
pub fn fits_pattern(pattern: &str, name: &str) -> bool {
    let mut states = vec![pattern];
    for character in name.chars() {
        let mut next: Vec<&str> = Vec::new();
        for state in &states {
            let mut rest = *state;
            while let Some(after) = rest.strip_prefix('*') {
                next.push(rest);
                rest = after;
            }
            let mut pattern = rest.chars();
            if pattern
                .next()
                .is_some_and(|wanted| wanted == '?' || wanted == character)
            {
                next.push(pattern.as_str());
            }
        }
        next.sort_unstable();
        next.dedup();
        states = next;
    }
    states.iter().any(|rest| rest.chars().all(|c| c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*.yml", "rules.yml", true),
            ("*.yml", "rules.yaml", false),
            ("a?c*", "abcd", true),
            ("*", "", true),
            ("a", "", false),
            ("a*b*c", "aXbYc", true),
        ] {
            assert_eq!(fits_pattern(pattern, name), fits, "{pattern} {name}");
        }
        assert_eq!(beside("a/b/test.yml", "rules.yml"), "a/b/rules.yml");
        assert_eq!(beside("test.yml", "rules.yml"), "rules.yml");
    }
}
