//! Building links. Everything that comes from outside is percent-encoded here and nowhere else.

/// A path made of segments, each percent-encoded: `["incidents", "2025-01-15-001"]` becomes
/// `/incidents/2025-01-15-001`.
#[must_use]
pub fn path(segments: &[&str]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        push_encoded(&mut text, segment);
    }
    text
}

/// Adds `?name=value&…` to a path that has no query yet; pairs with an empty value are left out.
#[must_use]
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(separator);
        push_encoded(&mut text, name);
        text.push('=');
        push_encoded(&mut text, value);
        separator = '&';
    }
    text
}

/// The page that runs `expr`, at the present instant.
#[must_use]
pub fn query(expr: &str) -> String {
    with_query("/query", &[("query", expr)])
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn push_encoded(text: &mut String, part: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_leave_its_place() {
        assert_eq!(
            path(&["incidents", "2025-01-15-001"]),
            "/incidents/2025-01-15-001"
        );
        assert_eq!(path(&["slos", "a/b#c?d"]), "/slos/a%2Fb%23c%3Fd");
        assert_eq!(
            with_query("/", &[("cell", "cell-5"), ("tenant", ""), ("range", "1h")]),
            "/?cell=cell-5&range=1h"
        );
        assert_eq!(query("sum(up) > 0"), "/query?query=sum%28up%29%20%3E%200");
    }
}
