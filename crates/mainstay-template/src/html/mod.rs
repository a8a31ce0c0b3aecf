//! Escaping by place, as Go's `html/template` does it for e-mail bodies.
//!
//! Go finds out before it renders where each action stands; here the same machine runs over what is written. The
//! result is the same for every template that Go accepts and that keeps to this part of HTML: text, `title` and
//! `textarea`, quoted and unquoted attributes, URLs in attributes, `style` elements, comments (dropped, as in Go).
//! An action anywhere else (a tag or attribute name, `srcset`, `style`, an event handler) and a `script` element are
//! errors. Not found, other than in Go: branches that end in different places, and errors in what was not rendered.

mod escape;
mod style;
mod tag;

use crate::error::Fault;
use crate::format::{self, Sink, Version};
use crate::function::{escape_html, escape_query};
use crate::value::{Content, Value};
use escape::Table;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    Comment,
    /// In `title` or `textarea`.
    Rcdata,
    /// In an attribute.
    Value,
    Style(style::State),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    None,
    Double,
    Single,
    SpaceOrTagEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Plain,
    Url,
    /// What no action may write: scripts, styles, `srcset`.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UrlPart {
    Start,
    BeforeQuery,
    QueryOrFragment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    None,
    Style,
    Textarea,
    Title,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Context {
    state: State,
    delimiter: Delimiter,
    attribute: Attribute,
    url: UrlPart,
    element: Element,
}

impl Context {
    const TEXT: Self = Self {
        state: State::Text,
        delimiter: Delimiter::None,
        attribute: Attribute::Plain,
        url: UrlPart::Start,
        element: Element::None,
    };

    fn with(self, state: State) -> Self {
        Self { state, ..self }
    }

    fn is_comment(self) -> bool {
        self.delimiter == Delimiter::None
            && (self.state == State::Comment
                || matches!(
                    self.state,
                    State::Style(style::State::BlockComment | style::State::LineComment)
                ))
    }
}

/// A function of Go's text templates that escapes, at the end of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Predefined {
    Html,
    Urlquery,
}

impl Predefined {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "html" => Some(Self::Html),
            "urlquery" => Some(Self::Urlquery),
            _ => None,
        }
    }
}

/// Writes HTML and knows where in it it is.
#[derive(Debug)]
pub(crate) struct Writer {
    sink: Sink,
    context: Context,
    checked: usize,
}

impl Writer {
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            sink,
            context: Context::TEXT,
            checked: 0,
        }
    }

    /// The bytes written since this was last asked, unless they were too many.
    pub(crate) fn check(&mut self) -> Result<usize, Fault> {
        let written = self.sink.check()?;
        Ok(written - std::mem::replace(&mut self.checked, written))
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.context.state != State::Text {
            return Err(Fault::execution(
                "the template ends inside of a tag, attribute, comment or element",
            ));
        }
        self.sink.finish()
    }

    /// Text of the template: written as it is, but for comments and a `<` that begins no tag.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Fault> {
        let mut at = 0;
        while at < text.len() {
            let (next, read) = after(self.context, &text[at..])?;
            let piece = &text[at..at + read];
            if self.context.is_comment() {
                if self.context.state == State::Style(style::State::BlockComment) && next != self.context {
                    self.sink.char(' ');
                }
            } else {
                self.piece(piece, next);
            }
            if read == 0 && next == self.context {
                return Err(Fault::execution("the HTML can't be followed"));
            }
            self.context = next;
            at += read;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &str, next: Context) {
        let mut piece = piece;
        if next.is_comment() && next.state != self.context.state {
            // What opens the comment goes with it.
            let opening = if next.state == State::Comment { 4 } else { 2 };
            piece = &piece[..piece.len() - opening];
        }
        if !matches!(self.context.state, State::Text | State::Rcdata) {
            self.sink.text(piece);
            return;
        }
        let tag = if next.state == self.context.state || next.is_comment() {
            piece.len()
        } else {
            piece.rfind('<').unwrap_or(piece.len())
        };
        let mut rest = &piece[..tag];
        while let Some(found) = rest.find('<') {
            let doctype = rest[found..]
                .get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case("<!DOCTYPE"));
            self.sink.text(&rest[..found]);
            self.sink.text(if doctype { "<" } else { "&lt;" });
            rest = &rest[found + 1..];
        }
        self.sink.text(rest);
        self.sink.text(&piece[tag..]);
    }

    /// A value, escaped for its place. `scratch` is for what it prints as.
    pub(crate) fn value(
        &mut self,
        scratch: &mut Sink,
        value: &Value,
        predefined: Option<Predefined>,
    ) -> Result<(), Fault> {
        if self.context.state == State::BeforeValue {
            // `<a href={{ . }}`
            self.context.state = State::Value;
            self.context.delimiter = Delimiter::SpaceOrTagEnd;
        }
        let closed = |what: &str| Err(Fault::Unsupported(format!("an action in {what}")));
        match self.context.state {
            State::Comment => return Ok(()),
            State::Tag | State::AttributeName | State::AfterName => {
                return closed("a tag, outside of values");
            }
            State::Style(_) => return closed("a style element"),
            State::Value if self.context.attribute == Attribute::Closed => {
                return closed("a style, srcset or event handler attribute");
            }
            _ => {}
        }
        let (mut content, mut bytes) = match value {
            // What has no value shows nothing in HTML.
            Value::Invalid => (None, Vec::new()),
            Value::Safe(content, text) => (Some(*content), text.bytes().to_vec()),
            value => {
                format::print(scratch, std::slice::from_ref(value))?;
                (None, scratch.take()?)
            }
        };
        let in_url = self.context.state == State::Value && self.context.attribute == Attribute::Url;
        let unquoted = self.context.delimiter == Delimiter::SpaceOrTagEnd;
        if predefined == Some(Predefined::Html) && unquoted {
            return Err(Fault::execution(
                "html escapes no value that has no quotes around it",
            ));
        }
        let mut by_query = predefined == Some(Predefined::Urlquery);
        if by_query && !in_url {
            bytes = escape_query(&bytes);
            content = None;
        }
        if in_url {
            if self.context.url == UrlPart::Start
                && content != Some(Content::Url)
                && !escape::is_safe_url(&bytes)
            {
                bytes = b"#ZgotmplZ".to_vec();
            }
            let keeps = content == Some(Content::Url) || self.context.url != UrlPart::QueryOrFragment;
            bytes = if std::mem::take(&mut by_query) {
                escape_query(&bytes)
            } else {
                escape::url(&bytes, keeps)
            };
            content = None;
        }
        if predefined == Some(Predefined::Html) {
            self.sink.write(&escape_html(&bytes));
            return Ok(());
        }
        let html = content == Some(Content::Html);
        if html && self.context.state == State::Text {
            self.sink.write(&bytes);
            return Ok(());
        }
        if html && self.context.state == State::Value {
            bytes = escape::without_tags(&bytes);
        }
        if unquoted && bytes.is_empty() && self.sink.version != Version::V0_25 {
            self.sink.text("ZgotmplZ");
            return Ok(());
        }
        let table = Table {
            ampersand: !html,
            unquoted,
        };
        escape::replace(&mut self.sink, &bytes, table);
        Ok(())
    }
}

/// The context after some of a text, and how much of it.
fn after(context: Context, text: &str) -> Result<(Context, usize), Fault> {
    if context.delimiter == Delimiter::None {
        let end = match tag::special_end(context.element, text) {
            Some(0) => return Ok((Context::TEXT, 0)),
            Some(end) => end,
            None => text.len(),
        };
        return tag::transition(context, &text[..end]);
    }
    let ends: &[char] = match context.delimiter {
        Delimiter::Double => &['"'],
        Delimiter::Single => &['\''],
        _ => &[' ', '\t', '\n', '\u{c}', '\r', '>'],
    };
    let end = text.find(ends).unwrap_or(text.len());
    if context.delimiter == Delimiter::SpaceOrTagEnd && text[..end].contains(['"', '\'', '<', '=', '`']) {
        return Err(Fault::execution(
            "a quote, <, = or ` in an attribute without quotes",
        ));
    }
    if end == text.len() {
        return Ok((tag::in_value(context, text), end));
    }
    let left = Context {
        element: context.element,
        ..Context::TEXT
    }
    .with(State::Tag);
    Ok((
        left,
        end + usize::from(context.delimiter != Delimiter::SpaceOrTagEnd),
    ))
}
