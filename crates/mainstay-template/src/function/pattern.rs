//! Regular expressions in Go's syntax: RE2's classes are ASCII, and a class knows no set operations.

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::error::Fault;
use crate::limits::Budget;

const COMPILED_BYTES_MAX: usize = 1 << 20;
/// What compiling costs beside the pattern's length.
const COMPILE_STEPS: usize = 200;

pub(super) fn compile(pattern: &[u8], budget: &mut Budget) -> Result<Regex, Fault> {
    budget.charge(COMPILE_STEPS + pattern.len())?;
    let invalid = || {
        Fault::execution(format!(
            "error parsing regexp: {:?}",
            String::from_utf8_lossy(pattern)
        ))
    };
    let text = std::str::from_utf8(pattern).map_err(|_| invalid())?;
    let translated = translate(text).ok_or_else(invalid)?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|_| invalid())
}

/// The same expression for the `regex` crate; None if Go would refuse it.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next()?;
                let class = match escaped.to_ascii_lowercase() {
                    'd' => "0-9",
                    'w' => "0-9A-Za-z_",
                    's' => "\\t\\n\\f\\r ",
                    'b' if !in_class => {
                        out.push_str("(?-u:\\");
                        out.push(escaped);
                        out.push(')');
                        continue;
                    }
                    'q' if escaped == 'Q' && !in_class => {
                        quoted(&mut chars, &mut out);
                        continue;
                    }
                    '<' | '>' | 'u' => return None,
                    _ => {
                        out.push('\\');
                        out.push(escaped);
                        continue;
                    }
                };
                let negated = if escaped.is_ascii_uppercase() { "^" } else { "" };
                if in_class && negated.is_empty() {
                    out.push_str(class);
                } else {
                    out.push_str(&format!("[{negated}{class}]"));
                }
            }
            '[' if in_class => {
                if chars.peek() == Some(&':') {
                    out.push('[');
                } else {
                    out.push_str("\\[");
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket that comes first is a member.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if in_class && out.ends_with(':') => out.push(']'),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    Some(out)
}

/// `\Q...\E`: letters as they are.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next_if_eq(&'E').is_some() {
            return;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// Every match replaced; `$1` and `${name}` in the replacement are groups.
pub(super) fn replace_all(
    regex: &Regex,
    replacement: &[u8],
    text: &[u8],
    budget: &mut Budget,
) -> Result<Vec<u8>, Fault> {
    budget.charge(text.len())?;
    let limit = budget.limits.output_bytes;
    let boundaries = boundaries(text);
    let mut out = Vec::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let captures: Captures<'_> = captures;
        let Some(whole) = captures.get(0) else { continue };
        // An empty match inside of a character is none to Go.
        if whole.is_empty() && !boundaries.get(whole.start()).copied().unwrap_or(true) {
            continue;
        }
        budget.charge(1 + replacement.len() / 64)?;
        out.extend_from_slice(&text[end..whole.start()]);
        captures.expand(replacement, &mut out);
        end = whole.end();
        if out.len() > limit {
            return Err(Fault::Limit("bytes", limit));
        }
    }
    out.extend_from_slice(&text[end..]);
    Ok(out)
}

/// Of every byte whether a character begins there; a byte that belongs to none is one.
fn boundaries(text: &[u8]) -> Vec<bool> {
    let mut begins = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        begins.extend((0..valid.len()).map(|at| valid.is_char_boundary(at)));
        begins.extend(chunk.invalid().iter().map(|_| true));
    }
    begins
}
