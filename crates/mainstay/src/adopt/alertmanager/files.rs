//! Files that a configuration names, by path or by pattern.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use mainstay_catalog::{Diagnostic, Diagnostics, lint};

/// The longest template file, in bytes.
const FILE_MAX_BYTES: u64 = 256 << 10;
/// Most files of one pattern.
const MAX_FILES: usize = 512;

/// A file's text.
///
/// # Errors
/// If it cannot be read, is longer, or is no text.
pub(super) fn limited(path: &Path, max_bytes: u64) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    fs::File::open(path)?
        .take(max_bytes + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it has more than {max_bytes} bytes")));
    }
    Ok(text)
}

/// The files that a pattern names, in order, with their texts. None is no error: an Alertmanager starts without them too.
pub(super) fn read(directory: &Path, glob: &str, diagnostics: &mut Diagnostics) -> Vec<(String, String)> {
    let mut found = vec![PathBuf::new()];
    let pattern = directory.join(glob);
    for component in pattern.components() {
        let name = match component {
            Component::Normal(name) => name.to_string_lossy().into_owned(),
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        if !name.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(&name));
            continue;
        }
        let entries = found
            .iter()
            .flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
        let mut next: Vec<PathBuf> = entries
            .filter(|entry| matches(&name, &entry.file_name().to_string_lossy()))
            .map(|entry| entry.path())
            .collect();
        next.sort();
        next.truncate(MAX_FILES);
        found = next;
    }
    let mut texts = Vec::new();
    for path in found.into_iter().filter(|path| path.exists()) {
        let name = path.display().to_string();
        match limited(&path, FILE_MAX_BYTES) {
            Ok(text) => texts.push((name, text)),
            Err(error) => {
                let message = format!("cannot read the template file: {error}");
                let found = Diagnostic::whole_file(lint::UNREADABLE, name, message);
                diagnostics.push(found.help("make it readable, or take it out of `templates`"));
            }
        }
    }
    texts
}

/// Whether a name fits a pattern of `*`, `?`, `[abc]`, `[a-z]` and `\\`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    let Some(first) = pattern_chars.next() else {
        return name.is_empty();
    };
    let rest = pattern_chars.as_str();
    let mut name_chars = name.chars();
    match first {
        '*' => {
            // What is longer than any file's name is no reason to try for ever.
            let rest = rest.trim_start_matches('*');
            name.char_indices()
                .map(|(byte, _)| byte)
                .chain([name.len()])
                .any(|byte| matches(rest, &name[byte..]))
        }
        '?' => name_chars.next().is_some() && matches(rest, name_chars.as_str()),
        '[' => match (rest.split_once(']'), name_chars.next()) {
            (Some((class, rest)), Some(c)) => in_class(class, c) && matches(rest, name_chars.as_str()),
            _ => false,
        },
        '\\' => {
            let mut rest = rest.chars();
            rest.next() == name_chars.next() && matches(rest.as_str(), name_chars.as_str())
        }
        plain => name_chars.next() == Some(plain) && matches(rest, name_chars.as_str()),
    }
}

fn in_class(class: &str, c: char) -> bool {
    let (class, wanted) = match class.strip_prefix('^') {
        Some(class) => (class, false),
        None => (class, true),
    };
    let chars: Vec<char> = class.chars().collect();
    let mut at = 0;
    let mut found = false;
    while let Some(from) = chars.get(at) {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(to)) => {
                found |= (*from..=*to).contains(&c);
                at += 3;
            }
            _ => {
                found |= *from == c;
                at += 1;
            }
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_go() {
        for (pattern, name, fits) in [
            ("*.tmpl", "a.tmpl", true),
            ("*.tmpl", ".tmpl", true),
            ("*.tmpl", "a.tmp", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "aXbYc", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
