//! The YAML of rule files, with positions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use crate::error::Diagnostic;
use crate::yaml::{Source, nullable};

/// What stands at the top of a file, whatever else is in it.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    kind: Option<Spanned<String>>,
}

/// A `PrometheusRule` object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(default, rename = "status")]
    _status: Option<IgnoredAny>,
    spec: Groups,
}

/// A rule file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) groups: Vec<Spanned<Group>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: Spanned<String>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) query_offset: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) limit: usize,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) rules: Vec<Spanned<Rule>>,
    /// Of Thanos; has no meaning here.
    pub(super) partial_response_strategy: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) record: Option<Spanned<String>>,
    pub(super) alert: Option<Spanned<String>>,
    pub(super) expr: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub(super) hold: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) annotations: BTreeMap<String, Spanned<String>>,
}

/// Reads either format.
pub(super) fn read(source: Source<'_>) -> Result<Groups, Diagnostic> {
    if source.text.trim().is_empty() {
        return Ok(Groups { groups: Vec::new() });
    }
    let head: Head = source.yaml()?;
    match head.kind {
        None => source.yaml(),
        Some(kind) if kind.value == "PrometheusRule" => Ok(source.yaml::<Object>()?.spec),
        Some(kind) => {
            let message = format!(
                "expected a rule file or an object of kind PrometheusRule, found kind {:?}",
                kind.value
            );
            Err(source.at(kind.referenced, message))
        }
    }
}
