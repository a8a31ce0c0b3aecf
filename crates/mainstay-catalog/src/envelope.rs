//! The shape that all of our own documents share: `apiVersion`, `kind`, `metadata`, and then `spec` or `items`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::diagnostic::Diagnostics;
use crate::document::Document;
use crate::documents::Documents;
use crate::lint;
use crate::spanned::Spanned;

/// Name and notes of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Its name, unique among documents of its kind.
    pub name: Spanned<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Free notes.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A document that describes one thing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single<T> {
    /// `mainstay/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// One of [`crate::document::KINDS`].
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    pub spec: T,
}

/// A document that lists several things of a kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List<T> {
    /// `mainstay/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// One of [`crate::document::KINDS`].
    pub kind: String,
    /// May be left out: the things have names of their own.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// The things.
    pub items: Vec<T>,
}

/// Something read from a document, which is needed to say where it stands.
#[derive(Debug, Clone)]
pub struct Sourced<'a, T> {
    /// The document.
    pub document: &'a Document,
    /// What it says.
    pub value: T,
}

impl Documents {
    /// The named `spec`s of every document of a kind; what cannot be read is reported.
    pub fn specs<T: DeserializeOwned>(
        &self,
        kind: &str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<(Spanned<String>, Sourced<'_, T>)> {
        let decoded = self.of_kind(kind).filter_map(|document| {
            let single: Single<T> = diagnostics.keep(document.decode())?;
            Some((
                single.metadata.name,
                Sourced {
                    document,
                    value: single.spec,
                },
            ))
        });
        decoded.collect()
    }

    /// The items of every document of a kind, in order; what cannot be read is reported.
    pub fn items<T: DeserializeOwned>(
        &self,
        kind: &str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Sourced<'_, T>> {
        let mut items = Vec::new();
        for document in self.of_kind(kind) {
            if let Some(list) = diagnostics.keep(document.decode::<List<T>>()) {
                items.extend(list.items.into_iter().map(|value| Sourced { document, value }));
            }
        }
        items
    }
}

/// Things by name; a name given twice is reported at its second place, and the first holds.
pub fn by_name<'a, K: Ord + Clone + fmt::Display, T>(
    what: &str,
    things: impl IntoIterator<Item = (Spanned<K>, Sourced<'a, T>)>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<K, Sourced<'a, T>> {
    let mut by_name: BTreeMap<K, (u32, Sourced<'a, T>)> = BTreeMap::new();
    for (name, thing) in things {
        if let Some((line, first)) = by_name.get(&name.value) {
            let message = format!("{what} {:?} is there twice", name.to_string());
            let help = format!(
                "the other is at {}:{line}: give one of them another name",
                first.document.file
            );
            diagnostics.push(
                thing
                    .document
                    .diagnostic(lint::DUPLICATE_NAME, name.at, message)
                    .help(help),
            );
        } else {
            by_name.insert(name.value.clone(), (name.at.line, thing));
        }
    }
    by_name
        .into_iter()
        .map(|(name, (_, thing))| (name, thing))
        .collect()
}

/// The values without their documents.
pub fn values<K: Ord, T>(things: BTreeMap<K, Sourced<'_, T>>) -> BTreeMap<K, T> {
    things
        .into_iter()
        .map(|(name, thing)| (name, thing.value))
        .collect()
}
