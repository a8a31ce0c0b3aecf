//! JSON as text, without a tree of values in between: a result may have millions of points.

use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use mainstay_kernel::Labels;
pub(super) use mainstay_promql::number::{exponential, plain, result as float};

/// How large the pieces of a large body are, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// A body of `head`, `items` with commas between, and `tail`. It is written piece by piece as the reader takes it, so a
/// large answer is never there as text as a whole, and a slow reader holds no thread.
pub(super) fn list<T: Send + 'static>(
    head: String,
    items: Vec<T>,
    write: fn(&mut String, &T),
    tail: String,
) -> Body {
    let mut pieces = Pieces {
        text: head,
        items: items.into_iter(),
        is_first: true,
        write,
        tail: Some(tail),
    };
    let Some(first) = pieces.next() else {
        return Body::empty();
    };
    if pieces.tail.is_none() {
        return Body::from(first);
    }
    let all = std::iter::once(first).chain(pieces);
    Body::from_stream(stream::iter(all.map(Ok::<_, std::convert::Infallible>)))
}

struct Pieces<T> {
    text: String,
    items: std::vec::IntoIter<T>,
    is_first: bool,
    write: fn(&mut String, &T),
    /// What is still to be written at the end.
    tail: Option<String>,
}

impl<T> Iterator for Pieces<T> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.tail.as_ref()?;
        while self.text.len() < PIECE_BYTES {
            let Some(item) = self.items.next() else {
                self.text.push_str(&self.tail.take().unwrap_or_default());
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                self.text.push(',');
            }
            (self.write)(&mut self.text, &item);
        }
        let next = String::with_capacity(if self.tail.is_some() { PIECE_BYTES * 2 } else { 0 });
        Some(Bytes::from(std::mem::replace(&mut self.text, next)))
    }
}

/// A text in quotation marks.
pub(super) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, after) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = after.chars();
        match characters.next() {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) if control < ' ' => {
                // Writing to a String cannot fail, here and below.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            Some(quoted) => {
                out.push('\\');
                out.push(quoted);
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// `[…,…]`.
pub(super) fn array<T>(out: &mut String, items: &[T], each: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

/// Labels as an object, in order of name.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}

/// `[seconds, "value"]`.
pub(super) fn point(out: &mut String, at_ms: i64, value: f64) {
    out.push('[');
    seconds(out, at_ms);
    out.push_str(",\"");
    float(out, value);
    out.push_str("\"]");
}

/// Seconds since the epoch: an integer where it is one, else with the three digits of milliseconds.
pub(super) fn seconds(out: &mut String, at_ms: i64) {
    if at_ms < 0 {
        out.push('-');
    }
    let (whole, rest) = (at_ms.unsigned_abs() / 1_000, at_ms.unsigned_abs() % 1_000);
    let mut digits = itoa::Buffer::new();
    out.push_str(digits.format(whole));
    if rest != 0 {
        let _ = write!(out, ".{rest:03}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn instants_have_their_milliseconds() {
        for (at_ms, expected) in [
            (0, "0"),
            (2_000, "2"),
            (1_435_781_451_781, "1435781451.781"),
            (1_001, "1.001"),
            (-50, "-0.050"),
        ] {
            assert_eq!(written(|out| seconds(out, at_ms)), expected);
        }
    }

    #[test]
    fn texts_read_back() {
        for original in ["", "a", "\"\\\n\r\t\u{1}é\u{1F600}", "\\"] {
            let json = written(|out| text(out, original));
            let read: String = serde_json::from_str(&json).expect("it is JSON");
            assert_eq!(read, original);
        }
    }

    #[tokio::test]
    async fn a_large_list_comes_in_pieces_and_whole() {
        use http_body_util::BodyExt as _;
        let items: Vec<u64> = (0..100_000).collect();
        let write: fn(&mut String, &u64) = |out, item| {
            let _ = write!(out, "{item}");
        };
        let body = list("[".to_owned(), items.clone(), write, "]".to_owned());
        let bytes = body.collect().await.expect("it is whole").to_bytes();
        let read: Vec<u64> = serde_json::from_slice(&bytes).expect("it is JSON");
        assert_eq!(read, items);
        let empty = list("[".to_owned(), Vec::new(), write, "]".to_owned());
        assert_eq!(empty.collect().await.expect("it is whole").to_bytes(), "[]");
    }
}
