//! Elements of `relabel_configs` and `metric_relabel_configs`.

use serde::de::MapAccess;
use serde_saphyr::Spanned;

use super::{Check, Fields, Keyed, next};
use crate::config::ConfigError;
use crate::relabel::{RelabelAction, RelabelRegex, RelabelRule};

#[derive(Default)]
pub(super) struct Relabel {
    source_labels: Vec<String>,
    separator: Option<String>,
    regex: Option<Spanned<String>>,
    modulus: u64,
    target_label: String,
    replacement: Option<String>,
    action: Option<Spanned<String>>,
}

impl Fields for Relabel {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "source_labels" => self.source_labels = next(map)?,
            "separator" => self.separator = map.next_value()?,
            "regex" => self.regex = map.next_value()?,
            "modulus" => self.modulus = next(map)?,
            "target_label" => self.target_label = next(map)?,
            "replacement" => self.replacement = map.next_value()?,
            "action" => self.action = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Check<'_> {
    pub(super) fn relabel(&mut self, rules: Rules) -> Result<Vec<RelabelRule>, ConfigError> {
        rules.into_iter().map(|rule| self.relabel_rule(rule)).collect()
    }

    fn relabel_rule(&mut self, rule: Spanned<Keyed<Relabel>>) -> Result<RelabelRule, ConfigError> {
        let at = rule.referenced;
        let written = self.keys(rule.value, &[], "a relabel configuration")?;
        let mut rule = RelabelRule {
            source_labels: written.source_labels,
            modulus: written.modulus,
            target_label: written.target_label,
            ..RelabelRule::default()
        };
        if let Some(separator) = written.separator {
            rule.separator = separator;
        }
        if let Some(replacement) = written.replacement {
            rule.replacement = replacement;
        }
        if let Some(regex) = written.regex {
            rule.regex = RelabelRegex::new(&regex.value).map_err(|error| {
                // The engine draws the place over several lines; the last one says what is wrong.
                let text = error.to_string();
                let reason = text
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                self.error(
                    regex.referenced,
                    format!("{:?} is no regular expression: {reason}", regex.value),
                )
            })?;
        }
        if let Some(action) = written.action {
            let wanted = action.value.to_ascii_lowercase();
            let known = RelabelAction::NAMED.iter().find(|(name, _)| *name == wanted);
            rule.action = known.map(|(_, action)| *action).ok_or_else(|| {
                self.error(
                    action.referenced,
                    format!("{:?} is no relabel action", action.value),
                )
            })?;
        }
        rule.validate().map_err(|reason| self.error(at, reason))?;
        Ok(rule)
    }
}

pub(super) type Rules = Vec<Spanned<Keyed<Relabel>>>;
