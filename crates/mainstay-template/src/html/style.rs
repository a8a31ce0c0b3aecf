//! Text of a `style` element: only comments and what could look like one matter.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Plain,
    BlockComment,
    LineComment,
    Double,
    Single,
    /// `url(` without quotes.
    Url,
}

pub(super) fn transition(state: State, text: &str) -> (State, usize) {
    match state {
        State::Plain => plain(text),
        State::BlockComment => match text.find("*/") {
            Some(end) => (State::Plain, end + 2),
            None => (state, text.len()),
        },
        State::LineComment => match text.find(['\n', '\u{c}', '\r']) {
            Some(end) => (State::Plain, end),
            None => (state, text.len()),
        },
        State::Double => quoted(state, text, '"'),
        State::Single => quoted(state, text, '\''),
        State::Url => match text.find([')', ' ', '\t', '\n', '\u{c}', '\r']) {
            Some(end) => (State::Plain, end + 1),
            None => (state, text.len()),
        },
    }
}

fn plain(text: &str) -> (State, usize) {
    for (at, c) in text.char_indices() {
        let after = &text[at + c.len_utf8()..];
        match c {
            '"' => return (State::Double, at + 1),
            '\'' => return (State::Single, at + 1),
            '/' if after.starts_with('*') => return (State::BlockComment, at + 2),
            '/' if after.starts_with('/') => return (State::LineComment, at + 2),
            '(' => {
                let before = text[..at].trim_end().to_ascii_lowercase();
                if before.ends_with("url") && !after.trim_start().starts_with(['"', '\'']) {
                    return (State::Url, at + 1 + (after.len() - after.trim_start().len()));
                }
            }
            _ => {}
        }
    }
    (State::Plain, text.len())
}

fn quoted(state: State, text: &str, quote: char) -> (State, usize) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return (State::Plain, at + 1),
            _ => {}
        }
    }
    (state, text.len())
}
