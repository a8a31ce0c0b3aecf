//! The replacements themselves.

use crate::format::Sink;

/// Which characters are replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Replace `&` too: what is HTML already has entities.
    pub(super) ampersand: bool,
    /// For an attribute without quotes.
    pub(super) unquoted: bool,
}

pub(super) fn replace(sink: &mut Sink, bytes: &[u8], table: Table) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let entity = match c {
                '\0' if table.unquoted => "&#xfffd;",
                '\0' => "\u{fffd}",
                '"' => "&#34;",
                '&' if table.ampersand => "&amp;",
                '\'' => "&#39;",
                '+' => "&#43;",
                '<' => "&lt;",
                '>' => "&gt;",
                '\t' if table.unquoted => "&#9;",
                '\n' if table.unquoted => "&#10;",
                '\x0b' if table.unquoted => "&#11;",
                '\x0c' if table.unquoted => "&#12;",
                '\r' if table.unquoted => "&#13;",
                ' ' if table.unquoted => "&#32;",
                '=' if table.unquoted => "&#61;",
                '`' if table.unquoted => "&#96;",
                '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' if table.unquoted => {
                    sink.text(&format!("&#x{:x};", c as u32));
                    continue;
                }
                c => {
                    sink.char(c);
                    continue;
                }
            };
            sink.text(entity);
        }
        sink.write(chunk.invalid());
    }
}

/// A URL's bytes percent-encoded. `keeps` leaves what has a meaning in URLs, and what is encoded already.
pub(super) fn url(bytes: &[u8], keeps: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let kept = match byte {
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@'
            | b'[' | b']' => keeps,
            b'-' | b'.' | b'_' | b'~' => true,
            b'%' => {
                keeps
                    && bytes
                        .get(index + 1..index + 3)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            byte => byte.is_ascii_alphanumeric(),
        };
        if kept {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    out
}

/// No other protocol than these may begin a URL that an alert brings along.
pub(super) fn is_safe_url(bytes: &[u8]) -> bool {
    let Some(colon) = bytes.iter().position(|&byte| byte == b':') else {
        return true;
    };
    let protocol = &bytes[..colon];
    protocol.contains(&b'/')
        || [&b"http"[..], b"https", b"mailto"]
            .iter()
            .any(|safe| protocol.eq_ignore_ascii_case(safe))
}

/// The text of HTML, for an attribute: tags and comments removed.
pub(super) fn without_tags(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut rest = &*text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let tag = &rest[open..];
        let begins = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        if !begins {
            out.push('<');
            rest = &tag[1..];
            continue;
        }
        let end = if tag.starts_with("<!--") {
            tag.find("-->").map(|end| end + 3)
        } else {
            tag.find('>').map(|end| end + 1)
        };
        rest = &tag[end.unwrap_or(tag.len())..];
    }
    out.push_str(rest);
    out.into_bytes()
}
