//! `title`, and upper and lower case one character at a time.

use std::sync::LazyLock;

use regex::Regex;

/// Where Go's simple mapping gives one character and Unicode's full one more, the character stays.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

pub(super) fn to_upper(text: &str) -> String {
    text.chars().map(upper).collect()
}

pub(super) fn to_lower(text: &str) -> String {
    text.chars().map(lower).collect()
}

/// What a character does to the word that it stands in.
#[derive(PartialEq)]
enum Role {
    Cased,
    /// Belongs to a word.
    Inner,
    /// Belongs to a word, unless it stands beside another such: an apostrophe, a full stop.
    Middle,
    Outer,
}

/// Unicode's word breaks: what is in no such class ends a word, ideographs and signs too.
static INNER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{wb=ALetter}\p{wb=Hebrew_Letter}\p{wb=Numeric}\p{wb=ExtendNumLet}\p{wb=Extend}\p{wb=Format}\p{wb=ZWJ}]")
        .expect("the classes are Unicode's")
});
static MIDDLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{wb=MidLetter}\p{wb=MidNumLet}\p{wb=Single_Quote}]").expect("the classes are Unicode's")
});

fn role(c: char) -> Role {
    match c {
        '\'' | '.' | ':' => Role::Middle,
        c if c.is_uppercase() || c.is_lowercase() => Role::Cased,
        '_' | '0'..='9' => Role::Inner,
        c if c.is_ascii() => Role::Outer,
        c => {
            let text = c.encode_utf8(&mut [0; 4]).to_owned();
            if MIDDLE.is_match(&text) {
                Role::Middle
            } else if INNER.is_match(&text) {
                Role::Inner
            } else {
                Role::Outer
            }
        }
    }
}

/// Every word with its first letter large and the others small.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut inside = false;
    let mut after_middle = false;
    while let Some(c) = chars.next() {
        let role = role(c);
        match role {
            Role::Cased if !inside => {
                push_title(&mut out, c);
                inside = true;
            }
            Role::Cased => {
                let last = !chars.peek().is_some_and(|&next| self::role(next) == Role::Cased);
                match c {
                    // The small sigma has another form at the end of a word.
                    'Σ' if last => out.push('ς'),
                    c => out.extend(c.to_lowercase()),
                }
            }
            Role::Inner => out.push(c),
            Role::Middle => {
                out.push(c);
                inside = inside && !after_middle;
            }
            Role::Outer => {
                out.push(c);
                inside = false;
            }
        }
        after_middle = role == Role::Middle;
    }
    out
}

fn push_title(out: &mut String, c: char) {
    let mut mapped = c.to_uppercase();
    match (c, mapped.len()) {
        // The Croatian digraphs have a form of their own.
        ('Ǆ' | 'ǆ', _) => out.push('ǅ'),
        ('Ǉ' | 'ǉ', _) => out.push('ǈ'),
        ('Ǌ' | 'ǌ', _) => out.push('ǋ'),
        ('Ǳ' | 'ǳ', _) => out.push('ǲ'),
        ('ŉ', _) | (_, 1) => out.extend(mapped),
        // `ß` becomes `Ss`.
        _ => {
            out.extend(mapped.next());
            out.extend(mapped.flat_map(char::to_lowercase));
        }
    }
}
