//! How what was found differs from what was expected, for people who read it in a hurry.

use std::fmt::Write as _;

/// How many differences are shown; the rest is counted.
const SHOWN_MAX: usize = 40;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: a series, a sample of one, a label of an alert.
    pub subject: String,
    /// What should be there; `None` if nothing should.
    pub expected: Option<String>,
    /// What is there; `None` if nothing is.
    pub got: Option<String>,
}

impl Difference {
    fn mark(&self) -> char {
        match (&self.expected, &self.got) {
            (Some(_), None) => '-',
            (None, Some(_)) => '+',
            _ => '!',
        }
    }
}

/// How many there are, and each in lines of its own: `-` is missing, `+` is unexpected, `!` is another. Expected and got
/// stand above each other, so that the first character that differs is seen.
#[must_use]
pub fn told(differences: &[Difference]) -> String {
    let mut text = match differences.len() {
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    for difference in differences.iter().take(SHOWN_MAX) {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n    {} {}\n        expected  {}\n        got       {}",
            difference.mark(),
            difference.subject,
            value(&difference.expected),
            value(&difference.got)
        );
    }
    if differences.len() > SHOWN_MAX {
        let _ = write!(text, "\n    and {} more", differences.len() - SHOWN_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_line_up_and_are_limited() {
        let one = Difference {
            subject: "a".to_owned(),
            expected: Some("15".to_owned()),
            got: None,
        };
        let text = told(std::slice::from_ref(&one));
        assert_eq!(
            text,
            "1 difference\n    - a\n        expected  15\n        got       nothing"
        );
        let text = told(&vec![one; 100]);
        assert!(
            text.starts_with("100 differences\n") && text.ends_with("\n    and 60 more"),
            "{text}"
        );
    }
}
