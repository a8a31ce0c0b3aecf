//! How text moves through tags and attributes.

use super::{Attribute, Context, Delimiter, Element, State, UrlPart, style};
use crate::error::Fault;

const SPACES: [char; 5] = [' ', '\t', '\n', '\u{c}', '\r'];

fn skip_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(SPACES).len()
}

/// Where an element ends that takes everything up to its end tag.
pub(super) fn special_end(element: Element, text: &str) -> Option<usize> {
    let name = match element {
        Element::None => return None,
        Element::Style => "style",
        Element::Textarea => "textarea",
        Element::Title => "title",
    };
    let mut from = 0;
    while let Some(found) = text[from..].find("</") {
        let at = from + found;
        let after = &text[at + 2..];
        let named = after
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name));
        if named && after[name.len()..].starts_with(['>', ' ', '\t', '\n', '\u{c}', '/']) {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

pub(super) fn transition(context: Context, text: &str) -> Result<(Context, usize), Fault> {
    match context.state {
        State::Text => in_text(context, text),
        State::Rcdata | State::Value => Ok((context, text.len())),
        State::Style(state) => {
            let (state, read) = style::transition(state, text);
            Ok((context.with(State::Style(state)), read))
        }
        State::Comment => Ok(match text.find("-->") {
            Some(end) => (Context::TEXT, end + 3),
            None => (context, text.len()),
        }),
        State::Tag => in_tag(context, text),
        State::AttributeName => {
            let end = name_end(text)?;
            let state = if end == text.len() {
                State::AttributeName
            } else {
                State::AfterName
            };
            Ok((context.with(state), end))
        }
        State::AfterName => {
            let at = skip_space(text);
            Ok(match text.as_bytes().get(at) {
                None => (context, text.len()),
                Some(b'=') => (context.with(State::BeforeValue), at + 1),
                Some(_) => (context.with(State::Tag), at),
            })
        }
        State::BeforeValue => {
            let at = skip_space(text);
            let (delimiter, quote) = match text.as_bytes().get(at) {
                None => return Ok((context, text.len())),
                Some(b'"') => (Delimiter::Double, 1),
                Some(b'\'') => (Delimiter::Single, 1),
                Some(_) => (Delimiter::SpaceOrTagEnd, 0),
            };
            Ok((
                Context {
                    delimiter,
                    ..context.with(State::Value)
                },
                at + quote,
            ))
        }
    }
}

fn in_text(context: Context, text: &str) -> Result<(Context, usize), Fault> {
    let mut from = 0;
    loop {
        let Some(found) = text[from..].find('<') else {
            return Ok((context, text.len()));
        };
        let open = from + found;
        if text[open..].starts_with("<!--") {
            return Ok((Context::TEXT.with(State::Comment), open + 4));
        }
        let mut start = open + 1;
        let closes = text[start..].starts_with('/');
        start += usize::from(closes);
        if start >= text.len() {
            return Ok((context, text.len()));
        }
        let end = tag_name_end(text, start);
        if end > start {
            let element = match text[start..end].to_ascii_lowercase().as_str() {
                _ if closes => Element::None,
                "script" => return Err(Fault::Unsupported("a script element".to_owned())),
                "style" => Element::Style,
                "textarea" => Element::Textarea,
                "title" => Element::Title,
                _ => Element::None,
            };
            return Ok((
                Context {
                    element,
                    ..Context::TEXT.with(State::Tag)
                },
                end,
            ));
        }
        from = end;
    }
}

/// Letters and digits, and `:` or `-` between them.
fn tag_name_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    if !bytes.get(start).is_some_and(u8::is_ascii_alphabetic) {
        return start;
    }
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        let joined = matches!(byte, b':' | b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if byte.is_ascii_alphanumeric() {
            at += 1;
        } else if joined {
            at += 2;
        } else {
            break;
        }
    }
    at
}

fn in_tag(context: Context, text: &str) -> Result<(Context, usize), Fault> {
    let at = skip_space(text);
    match text.as_bytes().get(at) {
        None => return Ok((context, text.len())),
        Some(b'>') => {
            let state = match context.element {
                Element::None => State::Text,
                Element::Style => State::Style(style::State::Plain),
                Element::Textarea | Element::Title => State::Rcdata,
            };
            return Ok((
                Context {
                    element: context.element,
                    ..Context::TEXT.with(state)
                },
                at + 1,
            ));
        }
        Some(_) => {}
    }
    let length = name_end(&text[at..])?;
    if length == 0 {
        return Err(Fault::execution(
            "expected a space, an attribute's name or the end of the tag",
        ));
    }
    let end = at + length;
    let attribute = attribute(&text[at..end].to_ascii_lowercase());
    let state = if end == text.len() {
        State::AttributeName
    } else {
        State::AfterName
    };
    Ok((
        Context {
            attribute,
            element: context.element,
            ..Context::TEXT.with(state)
        },
        end,
    ))
}

/// The end of an attribute's name.
fn name_end(text: &str) -> Result<usize, Fault> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b' ' | b'\t' | b'\n' | 12 | b'\r' | b'=' | b'>' => return Ok(index),
            b'\'' | b'"' | b'<' => return Err(Fault::execution("a quote or < in an attribute's name")),
            _ => {}
        }
    }
    Ok(text.len())
}

/// What an attribute holds.
fn attribute(name: &str) -> Attribute {
    let name = match (name.strip_prefix("data-"), name.split_once(':')) {
        (Some(rest), _) => rest,
        (None, Some(("xmlns", _))) => return Attribute::Url,
        (None, Some((_, rest))) => rest,
        (None, None) => name,
    };
    match name {
        "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "data" | "formaction"
        | "href" | "icon" | "longdesc" | "manifest" | "poster" | "profile" | "src" | "usemap" | "xmlns" => {
            Attribute::Url
        }
        "style" | "srcset" => Attribute::Closed,
        // `srcdoc` is HTML, escaped as any other attribute.
        "srcdoc" => Attribute::Plain,
        name if name.starts_with("on") => Attribute::Closed,
        name if ["src", "uri", "url"].iter().any(|part| name.contains(part)) => Attribute::Url,
        _ => Attribute::Plain,
    }
}

/// The context after text inside of an attribute.
pub(super) fn in_value(context: Context, text: &str) -> Context {
    if context.attribute != Attribute::Url {
        return context;
    }
    // An entity may hide either sign: `&#63;` is `?`.
    let hidden = ["&#35;", "&#63;", "&#x23;", "&#x3f;", "&quest;", "&num;"];
    let lower = text.to_ascii_lowercase();
    let query = match text.find('#') {
        Some(_) => without_entities(text).contains('#') || hidden.iter().any(|entity| lower.contains(entity)),
        None => hidden.iter().any(|entity| lower.contains(entity)),
    } || text.contains('?');
    let url = if query {
        UrlPart::QueryOrFragment
    } else if context.url == UrlPart::Start && skip_space(text) != text.len() {
        UrlPart::BeforeQuery
    } else {
        context.url
    };
    Context { url, ..context }
}

/// Without numeric entities, whose `#` begins no fragment.
fn without_entities(text: &str) -> String {
    text.replace("&#", "&")
}
