//! A YAML document as a tree whose every value knows where it stands. Scalars are kept as they are written: what type they
//! are of is for the reader of a key to say, as in Go.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::spanned::{At, Spanned};

/// A value and its places.
#[derive(Clone)]
pub(super) struct Node {
    /// Where it is used: of an alias, the alias.
    pub(super) at: At,
    /// Where it is written: of an alias, what it refers to.
    pub(super) defined: At,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

/// A scalar, as text.
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether YAML takes it for a number or a truth value.
    typed: bool,
}

impl Node {
    /// Reads a document, as far as it is YAML.
    pub(super) fn of(document: &Document) -> Result<Self, Diagnostic> {
        let mut node: Self = document.decode()?;
        node.restore(document.source());
        Ok(node)
    }

    /// Gives numbers and truth values the text that they were written with: `0755` is a label's value too.
    fn restore(&mut self, source: &str) {
        match &mut self.value {
            Value::Scalar(scalar) if scalar.typed => {
                let written = source.get(self.defined.bytes()).unwrap_or_default().trim();
                if !written.is_empty() && !written.contains([' ', '\n', '&', '*', '!']) {
                    written.clone_into(&mut scalar.text);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.restore(source)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.restore(source)),
            Value::Null | Value::Scalar(_) => {}
        }
    }

    /// The value of a key of a mapping; one that is null is not there.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(name, _)| name.value == key)?;
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of a key's value, with its place.
    pub(super) fn text_at(&self, key: &str) -> Option<Spanned<String>> {
        let node = self.get(key)?;
        Some(node.spanned(node.text()?))
    }

    /// The same, unless it is empty: Go does not tell an empty text from none.
    pub(super) fn filled(&self, key: &str) -> Option<Spanned<String>> {
        self.text_at(key).filter(|text| !text.is_empty())
    }

    pub(super) fn spanned(&self, text: &str) -> Spanned<String> {
        Spanned {
            value: text.to_owned(),
            at: self.at,
        }
    }

    /// The elements of a list; of anything else none.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The elements of a key's list.
    pub(super) fn list(&self, key: &str) -> &[Self] {
        self.get(key).map_or(&[], Self::items)
    }

    /// The texts of a key's list.
    pub(super) fn texts(&self, key: &str) -> Vec<Spanned<String>> {
        let items = self.list(key).iter();
        items
            .map(|item| item.spanned(item.text().unwrap_or_default()))
            .collect()
    }

    /// The entries of a mapping; of anything else none.
    pub(super) fn entries(&self) -> &[(Spanned<String>, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What it is, in a reader's words.
    pub(super) fn shape(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "one value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let inner = serde_saphyr::Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: At::from_yaml(inner.referenced),
            defined: At::from_yaml(inner.defined),
            value: inner.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

fn typed<E>(text: String) -> Result<Value, E> {
    Ok(Value::Scalar(Scalar { text, typed: true }))
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        typed(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        typed(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        typed(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        typed(value.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Scalar(Scalar {
            text: text.to_owned(),
            typed: false,
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Documents;

    fn show(node: &Node, source: &str, out: &mut String) {
        let raw = source.get(node.defined.bytes()).unwrap_or("?");
        match &node.value {
            Value::Null => out.push_str("null\n"),
            Value::Scalar(scalar) => {
                out.push_str(&format!(
                    "{}:{} {:?} {raw:?}\n",
                    node.at.line, node.at.column, scalar.text
                ));
            }
            Value::List(items) => items.iter().for_each(|item| show(item, source, out)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    out.push_str(&format!("{}@{}: ", key.value, key.at.line));
                    show(node, source, out);
                }
            }
        }
    }

    #[test]
    fn scalars_are_what_is_written() {
        let text = "groups: {receiver: a}\nreceivers: []\na: 0755\nb: \"x\\ty\"\nc: 'it''s'\nd: yes\ne: true\nf:\ng: |\n  two\n  lines\nh: &x abc\ni: *x\nj: &m {k: 1.50}\nl: *m\n1: 2\nm: plain\n  folded\n";
        let (documents, _) = Documents::from_texts([("a.yml", text)]);
        let document = documents.iter().next().expect("one");
        let node = Node::of(document).expect("YAML");
        let mut out = String::new();
        show(&node, text, &mut out);
        assert_eq!(
            out,
            concat!(
                "groups@1: receiver@1: 1:20 \"a\" \"a\"\n",
                "receivers@2: a@3: 3:4 \"0755\" \"0755\"\n",
                "b@4: 4:4 \"x\\ty\" \"\\\"x\\\\ty\\\"\"\n",
                "c@5: 5:4 \"it's\" \"'it''s'\"\n",
                "d@6: 6:4 \"yes\" \"yes\"\n",
                "e@7: 7:4 \"true\" \"true\"\n",
                "f@8: null\n",
                "g@9: 10:3 \"two\\nlines\\n\" \"two\\n  lines\\n\"\n",
                "h@12: 12:7 \"abc\" \"abc\"\n",
                "i@13: 13:4 \"abc\" \"abc\"\n",
                "j@14: k@14: 14:11 \"1.50\" \"1.50\"\n",
                "l@15: k@15: 15:4 \"1.50\" \"1.50\"\n",
                "1@16: 16:4 \"2\" \"2\"\n",
                "m@17: 17:4 \"plain folded\" \"plain\\n  folded\"\n",
            )
        );
    }
}
