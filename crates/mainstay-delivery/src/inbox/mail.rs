//! Reading a mail: headers (RFC 5322, with the encoded words of RFC 2047) and the first plain text (RFC 2045, 2046).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How deep multipart bodies may be nested.
const DEPTH_MAX: u32 = 4;

/// A mail, as far as an inbox shows it.
pub(super) struct Mail {
    headers: Vec<(String, String)>,
    body: String,
}

impl Mail {
    /// Reads a mail. What is not a mail gives one without headers.
    pub(super) fn parse(data: &[u8]) -> Self {
        Self::split(&String::from_utf8_lossy(data).replace("\r\n", "\n"))
    }

    fn split(text: &str) -> Self {
        let (head, body) = match text.strip_prefix('\n') {
            Some(body) => ("", body),
            None => text.split_once("\n\n").unwrap_or((text, "")),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            match (
                line.starts_with([' ', '\t']),
                headers.last_mut(),
                line.split_once(':'),
            ) {
                (true, Some((_, value)), _) => *value = format!("{value} {}", line.trim()),
                (false, _, Some((name, value))) => headers.push((name.to_owned(), value.trim().to_owned())),
                _ => {}
            }
        }
        Self {
            headers,
            body: body.to_owned(),
        }
    }

    /// A header's value, unfolded and decoded.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.raw(name).map(decode_words)
    }

    fn raw(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The first plain text in it, decoded; else the body as it stands.
    pub(super) fn text(&self) -> String {
        self.plain(0).unwrap_or_else(|| self.decoded())
    }

    fn plain(&self, depth: u32) -> Option<String> {
        let kind = self.raw("Content-Type").unwrap_or("text/plain");
        let media = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if media == "text/plain" {
            return Some(self.decoded());
        }
        if !media.starts_with("multipart/") || depth >= DEPTH_MAX {
            return None;
        }
        let boundary = format!("\n--{}", parameter(kind, "boundary")?);
        let body = format!("\n{}", self.body);
        body.split(&boundary)
            .skip(1)
            .take_while(|part| !part.starts_with("--"))
            .find_map(|part| Self::split(part.strip_prefix('\n').unwrap_or(part)).plain(depth + 1))
    }

    fn decoded(&self) -> String {
        let encoding = self
            .raw("Content-Transfer-Encoding")
            .unwrap_or_default()
            .to_ascii_lowercase();
        match encoding.as_str() {
            "base64" => {
                let packed: String = self.body.split_whitespace().collect();
                STANDARD
                    .decode(packed)
                    .map_or_else(|_| self.body.clone(), |bytes| lossy(&bytes))
            }
            "quoted-printable" => lossy(&quoted_printable(&self.body.replace("=\n", ""))),
            _ => self.body.clone(),
        }
    }
}

/// The value of `name=value` or `name="value"` in a structured header.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Decodes `=?charset?B?...?=` and `=?charset?Q?...?=`; white space between two such words is not part of the text.
fn decode_words(value: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        let Some((word, length)) = decode_word(candidate) else {
            decoded.extend_from_slice(before.as_bytes());
            decoded.extend_from_slice(b"=?");
            rest = &candidate[2..];
            after_word = false;
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            decoded.extend_from_slice(before.as_bytes());
        }
        decoded.extend(word);
        rest = &candidate[length..];
        after_word = true;
    }
    decoded.extend_from_slice(rest.as_bytes());
    lossy(&decoded)
}

/// The bytes of the encoded word that `text` starts with, and how long the word is there.
fn decode_word(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (content, _) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(content).ok()?,
        "Q" | "q" => quoted_printable(&content.replace('_', " ")),
        _ => return None,
    };
    let bytes = if charset.eq_ignore_ascii_case("iso-8859-1") {
        bytes
            .iter()
            .map(|&byte| char::from(byte))
            .collect::<String>()
            .into_bytes()
    } else {
        bytes
    };
    Some((
        bytes,
        "=?".len() + charset.len() + 1 + encoding.len() + 1 + content.len() + "?=".len(),
    ))
}

/// Turns `=E2` into its byte; an `=` that starts no such pair stays.
fn quoted_printable(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'=');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded() {
        assert_eq!(
            decode_words("=?utf-8?B?w6RyZ2Vy?= =?UTF-8?Q?_=C3=BCber?= x"),
            "ärger über x"
        );
        assert_eq!(decode_words("=?iso-8859-1?Q?caf=E9?="), "café");
        assert_eq!(decode_words("a =? b ?= 1=2"), "a =? b ?= 1=2");
    }

    #[test]
    fn the_first_plain_text_is_found() {
        let mail = "Subject: a\r\n folded\r\nContent-Type: multipart/alternative; boundary=\"x\"\r\n\r\nignored\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n =\r\nlang\r\n--x--\r\n";
        let mail = Mail::parse(mail.as_bytes());
        assert_eq!(mail.header("subject").as_deref(), Some("a folded"));
        assert_eq!(mail.text().trim_end(), "schön lang");
    }

    #[test]
    fn what_is_no_mail_is_shown_as_it_is() {
        let mail = Mail::parse(b"\xff\xfejust bytes");
        assert!(mail.header("Subject").is_none());
        assert_eq!(Mail::parse(b"\r\nbody only").text(), "body only");
    }
}
