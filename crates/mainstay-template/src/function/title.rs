//! `title`, and upper and lower case one character at a time.

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
enum Role {
    Cased,
    /// Belongs to a word.
    Inner,
    /// Belongs to a word if letters stand on both sides: an apostrophe, a full stop.
    Middle,
    Outer,
}

fn role(c: char) -> Role {
    match c {
        '\'' | '.' | ':' | '·' | '\u{2018}' | '\u{2019}' | '\u{2024}' | '\u{2027}' => Role::Middle,
        '_' => Role::Inner,
        c if c.is_uppercase() || c.is_lowercase() => Role::Cased,
        c if c.is_alphanumeric() || matches!(c as u32, 0x300..=0x36f | 0x200d) => Role::Inner,
        _ => Role::Outer,
    }
}

/// Every word with its first letter large and the others small.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match role(c) {
            Role::Cased if inside => out.extend(lower_in_word(c)),
            Role::Cased => {
                out.push(title_case(c));
                if upper(c) == c && c.to_uppercase().count() > 1 {
                    // `ß` becomes `Ss`.
                    out.pop();
                    let mut mapped = c.to_uppercase();
                    out.extend(mapped.next());
                    out.extend(mapped.flat_map(char::to_lowercase));
                }
                inside = true;
            }
            Role::Inner => out.push(c),
            Role::Middle => {
                out.push(c);
                inside = inside
                    && chars
                        .peek()
                        .is_some_and(|&next| matches!(role(next), Role::Cased));
            }
            Role::Outer => {
                out.push(c);
                inside = false;
            }
        }
    }
    out
}

fn title_case(c: char) -> char {
    match c {
        // The Croatian digraphs have a form of their own.
        'Ǆ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǳ' => 'ǲ',
        c => upper(c),
    }
}

fn lower_in_word(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase()
}
