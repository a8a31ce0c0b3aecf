//! Secrets of a configuration: they leave the text when a file is read, so that neither an archive nor an excerpt of a
//! finding holds them, and are kept in memory by their place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::schema::{CONFIG, Kind, Shape};
use super::tree::{Node, Value};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::lint;

/// What stands in the text for each character of a secret.
const MASK: u8 = b'X';
/// What an Alertmanager shows in the place of a secret.
const SHOWN: &str = "<secret>";

/// The secrets that were taken out of files, by file and place. Not even `Debug` shows them.
#[derive(Clone, Default)]
pub struct Sealed(BTreeMap<(Arc<str>, u32), String>);

impl Sealed {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} secrets)", self.0.len())
    }
}

/// Whether a text stands for a secret that is not there.
pub(super) fn is_masked(text: &str) -> bool {
    text == SHOWN
        || text.contains(char::from(MASK))
            && text
                .bytes()
                .all(|byte| byte == MASK || byte.is_ascii_whitespace())
}

/// Takes the secrets of a document out of its file's text, which keeps its length and its lines.
pub(crate) fn seal(document: &Document, text: &mut [u8], sealed: &mut Sealed) -> Result<(), Diagnostic> {
    let mut root = Node::of(document)?;
    let mut secrets = Vec::new();
    each_secret(&mut root, &CONFIG, &mut |node| secrets.push(node.clone()));
    for node in &secrets {
        let Some(secret) = node.text().filter(|text| !text.is_empty() && !is_masked(text)) else {
            continue;
        };
        let range = node.defined.bytes();
        let Some(written) = text.get_mut(range.clone()).filter(|written| !written.is_empty()) else {
            let message = "a secret that cannot be kept out of the catalog: its place is not known";
            return Err(document
                .diagnostic(lint::SECRET_IN_CATALOG, node.at, message)
                .help("write it in double quotes on one line, or name a file that holds it"));
        };
        sealed.0.insert(
            (Arc::clone(&document.file), node.defined.offset_bytes),
            secret.to_owned(),
        );
        let quoted = matches!(written, [b'"', .., b'"'] | [b'\'', .., b'\'']);
        let edges = usize::from(quoted && written.len() > 1);
        let inner = written.len() - edges;
        for byte in &mut written[edges..inner] {
            if !byte.is_ascii_whitespace() {
                *byte = MASK;
            }
        }
    }
    Ok(())
}

/// Puts what was taken out back into the tree that was read from the text without it.
pub(super) fn unseal(document: &Document, root: &mut Node, sealed: &Sealed) {
    each_secret(root, &CONFIG, &mut |node| {
        let place = (Arc::clone(&document.file), node.defined.offset_bytes);
        if let (Value::Scalar(scalar), Some(secret)) = (&mut node.value, sealed.0.get(&place)) {
            scalar.text.clone_from(secret);
        }
    });
}

fn each_secret(node: &mut Node, shape: &'static Shape, visit: &mut impl FnMut(&mut Node)) {
    let Value::Map(entries) = &mut node.value else {
        return;
    };
    for (key, node) in entries {
        let Some((_, kind)) = shape.fields.iter().find(|(name, _)| *name == key.value) else {
            // A key that nobody knows may hold anything.
            scalars(node, visit);
            continue;
        };
        match kind {
            Kind::Secret | Kind::SecretUrl | Kind::SecretMap | Kind::SecretLists => scalars(node, visit),
            Kind::Struct(shape) => each_secret(node, shape, visit),
            Kind::Structs(shape) => {
                if let Value::List(items) = &mut node.value {
                    items.iter_mut().for_each(|item| each_secret(item, shape, visit));
                }
            }
            _ => {}
        }
    }
}

fn scalars(node: &mut Node, visit: &mut impl FnMut(&mut Node)) {
    match &mut node.value {
        Value::Scalar(_) => visit(node),
        Value::List(items) => items.iter_mut().for_each(|item| scalars(item, visit)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| scalars(node, visit)),
        Value::Null => {}
    }
}
