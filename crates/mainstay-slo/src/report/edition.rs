//! Editions: reports as they were issued, and how anybody checks one without us.
//!
//! What is signed is the edition as canonical JSON: keys in order of their bytes, no spaces, texts escaped as JSON asks for
//! and no further (RFC 8785; there are no fractions in it). The digest is its SHA-256, the signature Ed25519 over the same
//! bytes.

use std::collections::BTreeMap;

use mainstay_kernel::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Report;

/// The most differences that a correction lists; the rest are counted.
pub const DIFFERENCES_MAX: usize = 1_000;

/// A report as it was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its number among those of the same month and tenant, from 1.
    pub number: u32,
    /// When it was issued.
    pub issued_at: String,
    /// By whom.
    pub issued_by: String,
    /// The catalog it was made under, by digest.
    pub catalog: String,
    /// The edition that it corrects; none for the first.
    pub corrects: Option<Corrected>,
    /// What it says.
    pub report: Report,
}

/// What a correction is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// The edition before.
    pub number: u32,
    /// Its digest.
    pub digest: String,
    /// Every figure that is another, at most [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub further: usize,
}

/// One figure or word that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: `promises[api-availability-sla].raw.bad`.
    pub what: String,
    /// What the edition before says; none: it says nothing there.
    pub before: Option<String>,
    /// What this one says.
    pub after: Option<String>,
}

/// An edition that can be believed without Mainstay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What is signed.
    pub edition: Edition,
    /// SHA-256 of its canonical form, hexadecimal.
    pub digest: String,
    /// Ed25519 over its canonical form, base64.
    pub signature: String,
    /// What verifies it, base64. Trust the copy that you were given before, not this one.
    pub public_key: String,
}

/// Why a file is not an edition that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditionError {
    /// It is none.
    #[error("this is no signed edition in JSON: {0}")]
    Form(String),
    /// It is not what its digest says.
    #[error("the edition was changed: its digest is {found}, not {stated}")]
    Digest {
        /// Of what is there.
        found: String,
        /// As it is stated.
        stated: String,
    },
}

impl Edition {
    /// The bytes that are signed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_value(self).map_or_else(|_| Vec::new(), |value| canonical(&value))
    }
}

/// JSON with keys in order and no spaces.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write(value, &mut out);
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

/// What a file of a signed edition says is signed, and its signature. Nothing is believed yet but the digest: verify the
/// signature over the bytes with a key that you trust.
///
/// # Errors
/// If it is no such file, or was changed.
pub fn read_signed(bytes: &[u8]) -> Result<(Signed, Vec<u8>), EditionError> {
    let form = |error: serde_json::Error| EditionError::Form(error.to_string());
    let value: Value = serde_json::from_slice(bytes).map_err(form)?;
    // The bytes of what is there, not of what this release understands of it.
    let message = canonical(&value["edition"]);
    let signed: Signed = serde_json::from_value(value).map_err(form)?;
    let found = Digest::of(&message).to_string();
    if found != signed.digest {
        return Err(EditionError::Digest {
            found,
            stated: signed.digest,
        });
    }
    Ok((signed, message))
}

/// Every difference between two reports, in order of place.
#[must_use]
pub fn differences(before: &Report, after: &Report) -> Vec<Difference> {
    let (before, after) = (leaves(before), leaves(after));
    let mut places: Vec<&String> = before.keys().chain(after.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let changed = places
        .into_iter()
        .filter(|place| before.get(*place) != after.get(*place));
    changed
        .map(|place| Difference {
            what: place.clone(),
            before: before.get(place).cloned(),
            after: after.get(place).cloned(),
        })
        .collect()
}

fn leaves(report: &Report) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(report) {
        collect("", &value, &mut leaves);
    }
    leaves
}

/// What names the items of lists.
const NAMES: [&str; 4] = ["objective", "incident", "tenant", "source"];

fn collect(place: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = NAMES.iter().find_map(|name| item[name].as_str());
                let mut inner =
                    name.map_or_else(|| format!("{place}[{index}]"), |name| format!("{place}[{name}]"));
                // A maintenance window comes more than once.
                if let Some(from) = item["stretch"]["from"]
                    .as_str()
                    .filter(|_| item["source"].is_string())
                {
                    inner = format!("{inner}[{from}]");
                }
                collect(&inner, item, leaves);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                let inner = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                collect(&inner, item, leaves);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            leaves.insert(place.to_owned(), text.clone());
        }
        other => {
            leaves.insert(place.to_owned(), other.to_string());
        }
    }
}
