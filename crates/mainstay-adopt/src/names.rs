//! Names that the catalog takes.

use std::collections::BTreeSet;

/// The longest name that is made, in bytes.
const NAME_MAX_BYTES: usize = 60;

/// Lower-case letters, digits and dashes; `fallback` where nothing is left.
pub(crate) fn slug(text: &str, fallback: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        };
        if name.len() < NAME_MAX_BYTES && !(c == '-' && (name.is_empty() || name.ends_with('-'))) {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('-');
    let lettered = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match (name.is_empty(), lettered) {
        (true, _) => fallback.to_owned(),
        (false, true) => name.to_owned(),
        (false, false) => format!("{fallback}-{name}"),
    }
}

/// The name, or with a number at its end the first that is free.
pub(crate) fn free(taken: &mut BTreeSet<String>, name: &str) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(free.clone());
    free
}
