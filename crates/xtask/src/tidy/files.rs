//! Single files: their length, their names and words that do not belong in them.

use super::Finding;
use super::workspace::TextFile;

/// The longest module, in lines.
const MAX_LINES: usize = 500;

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helpers", "manager", "misc", "util", "utils"];

/// Words that do not belong in the tree, spelled so that this file does not hold them.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
];

/// Checks that a module is short enough to read in one sitting.
pub(super) fn length(file: &TextFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    (file.path.ends_with(".rs") && lines > MAX_LINES).then(|| {
        Finding::new(
            "length",
            &file.path,
            format!("{lines} lines, more than {MAX_LINES}: split it along its concepts"),
        )
    })
}

/// Checks that a module is named after what is in it.
pub(super) fn name(file: &TextFile) -> Option<Finding> {
    let module = file
        .path
        .strip_suffix("/mod.rs")
        .or_else(|| file.path.strip_suffix(".rs"))?;
    let name = module.rsplit('/').next()?;
    EMPTY_NAMES.contains(&name).then(|| {
        Finding::new(
            "module-name",
            &file.path,
            "name the module after the concept that it holds",
        )
    })
}

/// Looks for words that do not belong in the tree.
pub(super) fn words(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (word, advice) in WORDS {
            if holds(line, word) {
                findings.push(Finding::new(
                    "word",
                    &file.path,
                    format!("line {}: {word}: {advice}", index + 1),
                ));
            }
        }
    }
    findings
}

/// Whether the line holds the word, not merely a longer one such as a name that ends in it.
fn holds(line: &str, word: &str) -> bool {
    let joins = |neighbour: Option<char>| neighbour.is_some_and(|here| here.is_alphanumeric());
    line.match_indices(word).any(|(start, _)| {
        let after = line[start + word.len()..].chars().next();
        !joins(line[..start].chars().next_back()) && (word.ends_with('/') || !joins(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn long_modules_are_found_and_long_data_is_not() {
        let text = "\n".repeat(MAX_LINES + 1);
        assert!(length(&file("crates/a/src/lib.rs", &text)).is_some());
        assert!(length(&file("crates/a/src/lib.rs", &text[1..])).is_none());
        assert!(length(&file("catalogs/a.yaml", &text)).is_none());
    }

    #[test]
    fn empty_names_are_found() {
        assert!(name(&file("crates/a/src/util.rs", "")).is_some());
        assert!(name(&file("crates/a/tests/common/mod.rs", "")).is_some());
        assert!(name(&file("crates/a/src/budget.rs", "")).is_none());
    }

    #[test]
    fn words_are_found_as_words() {
        let text = format!(
            "a\n// {}: later\ncd {}main\nhome/wo{}",
            WORDS[0].0, WORDS[2].0, "rk/x"
        );
        let details: Vec<_> = words(&file("a.rs", &text))
            .into_iter()
            .map(|finding| finding.detail)
            .collect();
        assert_eq!(details.len(), 2);
        assert!(details[0].starts_with("line 2"));
        assert!(details[1].starts_with("line 3"));
    }
}
