//! Relabelling: `relabel_configs` and `metric_relabel_configs`, as Prometheus applies them
//! (<https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>).

use std::borrow::Cow;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::is_label_name;
use md5::{Digest, Md5};
use regex::Regex;

/// What one rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelabelAction {
    /// Sets the target label to the replacement, if the source matches.
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops that of which the source is not the target label's value.
    KeepEqual,
    /// Drops that of which the source is the target label's value.
    DropEqual,
    /// Sets the target label to the source's hash, modulo.
    HashMod,
    /// Copies labels whose names match to the names that the replacement gives.
    LabelMap,
    /// Takes out labels whose names match.
    LabelDrop,
    /// Takes out labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the source in small letters.
    Lowercase,
    /// Sets the target label to the source in capitals.
    Uppercase,
}

impl RelabelAction {
    /// All of them, with their names in a configuration.
    pub const NAMED: [(&'static str, Self); 11] = [
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("keepequal", Self::KeepEqual),
        ("dropequal", Self::DropEqual),
        ("hashmod", Self::HashMod),
        ("labelmap", Self::LabelMap),
        ("labeldrop", Self::LabelDrop),
        ("labelkeep", Self::LabelKeep),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];

    fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(_, action)| *action == self);
        named.map_or("", |(name, _)| name)
    }
}

/// A rule as written; what is not given has the value that Prometheus gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelRule {
    /// The labels whose values, joined, are the source.
    pub source_labels: Vec<String>,
    /// What joins them.
    pub separator: String,
    /// What the source, or a label's name, must match as a whole.
    pub regex: RelabelRegex,
    /// Of a hash.
    pub modulus: u64,
    /// The label that is set or compared.
    pub target_label: String,
    /// What it is set to; `$1` and `${name}` stand for what the expression found.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

/// An expression that must match as a whole.
#[derive(Debug, Clone)]
pub struct RelabelRegex(Regex);

impl RelabelRegex {
    /// Compiles it.
    ///
    /// # Errors
    /// If it is no regular expression.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        Regex::new(&format!("^(?s:{pattern})$")).map(Self)
    }
}

impl PartialEq for RelabelRegex {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for RelabelRegex {}

impl Default for RelabelRule {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: RelabelRegex::new("(.*)").expect("a regular expression"),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

/// Applies rules in order; `None` if one of them drops the set. O(rules × bytes of the labels).
#[must_use]
pub fn relabel(labels: Labels, rules: &[RelabelRule]) -> Option<Labels> {
    rules.iter().try_fold(labels, |labels, rule| rule.apply(labels))
}

impl RelabelRule {
    /// Checks it as Prometheus does when it reads it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn validate(&self) -> Result<(), String> {
        use RelabelAction::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
        };
        let (action, name, defaults) = (self.action, self.action.name(), Self::default());
        let sets = matches!(
            action,
            Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual
        );
        if action == HashMod && self.modulus == 0 {
            return Err("hashmod needs a modulus above 0".to_owned());
        }
        if sets && self.target_label.is_empty() {
            return Err(format!("{name} needs a target_label"));
        }
        let template = action == Replace && self.target_label.contains('$');
        if sets && !template && !is_label_name(&self.target_label)
            || template && !is_template(&self.target_label)
        {
            return Err(format!("{:?} is no target_label for {name}", self.target_label));
        }
        if action == LabelMap && !is_template(&self.replacement) {
            return Err(format!("{:?} is no replacement for labelmap", self.replacement));
        }
        let replaced = self.replacement != defaults.replacement;
        if matches!(action, Lowercase | Uppercase) && replaced {
            return Err(format!("{name} has no replacement"));
        }
        let other = self.modulus != 0 || self.separator != defaults.separator || replaced;
        if matches!(action, KeepEqual | DropEqual) && (other || self.regex != defaults.regex) {
            return Err(format!("{name} has source_labels and target_label only"));
        }
        let source = !self.source_labels.is_empty() || !self.target_label.is_empty();
        if matches!(action, LabelDrop | LabelKeep) && (other || source) {
            return Err(format!("{name} has a regex only"));
        }
        Ok(())
    }

    fn source<'l>(&self, labels: &'l Labels) -> Cow<'l, str> {
        let value = |name: &String| labels.get(name).unwrap_or_default();
        match self.source_labels.as_slice() {
            [] => Cow::Borrowed(""),
            [one] => Cow::Borrowed(value(one)),
            more => Cow::Owned(more.iter().map(value).collect::<Vec<_>>().join(&self.separator)),
        }
    }

    fn apply(&self, mut labels: Labels) -> Option<Labels> {
        let source = self.source(&labels);
        let regex = &self.regex.0;
        let equal = || labels.get(&self.target_label).unwrap_or_default() == source;
        match self.action {
            RelabelAction::Keep => return regex.is_match(&source).then_some(labels),
            RelabelAction::Drop => return (!regex.is_match(&source)).then_some(labels),
            RelabelAction::KeepEqual => return equal().then_some(labels),
            RelabelAction::DropEqual => return (!equal()).then_some(labels),
            RelabelAction::Replace => {
                let Some(found) = regex.captures(&source) else {
                    return Some(labels);
                };
                let target = expand(&self.target_label, &found);
                if is_label_name(&target) {
                    let replacement = expand(&self.replacement, &found);
                    labels.set(target, replacement);
                }
            }
            RelabelAction::HashMod => {
                // The last eight bytes, the first of them the most significant.
                let hash = Md5::digest(source.as_bytes());
                let number = hash
                    .iter()
                    .skip(8)
                    .fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
                let rest = number.checked_rem(self.modulus).unwrap_or(0);
                labels.set(&self.target_label, rest.to_string());
            }
            RelabelAction::Lowercase => {
                let value = source.to_lowercase();
                labels.set(&self.target_label, value);
            }
            RelabelAction::Uppercase => {
                let value = source.to_uppercase();
                labels.set(&self.target_label, value);
            }
            RelabelAction::LabelMap => {
                let mut mapped = labels.clone();
                for (name, value) in labels.iter() {
                    if let Some(found) = regex.captures(name) {
                        mapped.set(expand(&self.replacement, &found), value);
                    }
                }
                return Some(mapped);
            }
            RelabelAction::LabelDrop => return Some(labels.filtered(|name| !regex.is_match(name))),
            RelabelAction::LabelKeep => return Some(labels.filtered(|name| regex.is_match(name))),
        }
        Some(labels)
    }
}

/// A template with what an expression found: `$1`, `$name`, `${1}`, `${name}`, and `$$` for a dollar. As in Go a name is
/// as long as it can be, and one that the expression does not have is empty.
fn expand(template: &str, found: &regex::Captures<'_>) -> String {
    let mut expanded = String::new();
    found.expand(template, &mut expanded);
    expanded
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether it can become a label name once what an expression found is put in.
fn is_template(template: &str) -> bool {
    let mut rest = template;
    let mut first = true;
    while let Some(byte) = rest.bytes().next() {
        if byte == b'$' {
            let name = match rest[1..].strip_prefix('{') {
                Some(braced) => match braced.split_once('}') {
                    Some((name, after)) => {
                        rest = after;
                        name
                    }
                    None => return false,
                },
                None => {
                    let plain = &rest[1..];
                    let length = plain.bytes().take_while(|byte| is_label_byte(*byte)).count();
                    rest = &plain[length..];
                    &plain[..length]
                }
            };
            if name.is_empty() || !name.bytes().all(is_label_byte) {
                return false;
            }
        } else if is_label_byte(byte) && !(first && byte.is_ascii_digit()) {
            rest = &rest[1..];
        } else {
            return false;
        }
        first = false;
    }
    !first
}
