//! Names with any characters, where a format allows only some: Prometheus' escaping schemes.

use std::borrow::Cow;

/// The name that a text stands for: `U__` and then `__` for `_`, `_hex_` for any other character; or the text itself.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    match text.strip_prefix("U__").and_then(values) {
        Some(name) => Cow::Owned(name),
        None => Cow::Borrowed(text),
    }
}

fn values(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(rest.get(..at)?);
        let (code, after) = rest.get(at + 1..)?.split_once('_')?;
        if code.is_empty() {
            name.push('_');
        } else {
            name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

/// A name that the classic formats allow: every other character becomes `_`.
pub(super) fn classic(name: &str) -> Cow<'_, str> {
    let allowed = |index: usize, c: char| {
        c == '_' || c == ':' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit())
    };
    if name.chars().enumerate().all(|(index, c)| allowed(index, c)) {
        return Cow::Borrowed(name);
    }
    let replaced = name.chars().enumerate();
    replaced
        .map(|(index, c)| if allowed(index, c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_their_escapes() {
        for (text, name) in [
            ("job", "job"),
            ("U__http_2e_status__code", "http.status_code"),
            ("U__label_20_with_20__1f600_", "label with \u{1F600}"),
            ("U__a_xyz_b", "U__a_xyz_b"),
            ("U__open_2e", "U__open_2e"),
            ("U__", ""),
        ] {
            assert_eq!(unescaped(text), name, "{text}");
        }
    }

    #[test]
    fn what_the_classic_formats_do_not_allow_becomes_underscores() {
        assert_eq!(classic("up:rate5m"), "up:rate5m");
        assert_eq!(classic("1.http é"), "__http__");
    }
}
