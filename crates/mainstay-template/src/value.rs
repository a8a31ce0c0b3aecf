//! Values in evaluation, and what Go's reflection would say of their types.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::ZonedDateTime;

use crate::data::{Alert, Data, Pairs};

/// A Go string: bytes that are UTF-8 by custom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Str(Arc<[u8]>);

impl Str {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

/// What a string is known to be, in HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Html,
    Url,
}

/// A slice of anything, or a map to anything, with how deep it is.
#[derive(Debug)]
pub(crate) struct Nested<T> {
    pub(crate) items: T,
    pub(crate) depth: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// No value: Go's invalid `reflect.Value`, or an untyped nil.
    Invalid,
    Bool(bool),
    Int(i64),
    Int64(i64),
    Byte(u8),
    Float(f64),
    Text(Str),
    Safe(Content, Str),
    Strings(Arc<[Str]>),
    Kv(Arc<Pairs>),
    Pairs(Arc<[(Str, Str)]>),
    Pair(Str, Str),
    /// Whether it is the named type `Alerts`, which has methods.
    Alerts(Arc<[Arc<Alert>]>, bool),
    Alert(Arc<Alert>),
    Data(Arc<Data>),
    Time(Box<ZonedDateTime>),
    /// Nanoseconds.
    Duration(i64),
    /// 1 to 12.
    Month(i64),
    /// 0 is Sunday.
    Weekday(i64),
    List(Arc<Nested<Vec<Value>>>),
    Dict(Arc<Nested<BTreeMap<Str, Value>>>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Str::from(text))
    }

    pub(crate) fn length(length: usize) -> Self {
        Self::Int(i64::try_from(length).unwrap_or(i64::MAX))
    }

    /// The name that Go gives its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Safe(Content::Html, _) => "template.HTML",
            Self::Safe(Content::Url, _) => "template.URL",
            Self::Strings(_) => "[]string",
            Self::Kv(_) => "template.KV",
            Self::Pairs(_) => "template.Pairs",
            Self::Pair(..) => "template.Pair",
            Self::Alerts(_, true) => "template.Alerts",
            Self::Alerts(_, false) => "[]template.Alert",
            Self::Alert(_) => "template.Alert",
            Self::Data(_) => "template.Data",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
            Self::List(_) => "[]interface {}",
            Self::Dict(_) => "map[string]interface {}",
        }
    }

    /// Not the zero of its type, as `if` has it.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Invalid => false,
            Self::Bool(value) => *value,
            Self::Int(value)
            | Self::Int64(value)
            | Self::Duration(value)
            | Self::Month(value)
            | Self::Weekday(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Pair(..) | Self::Alert(_) | Self::Data(_) | Self::Time(_) => true,
            _ => self.len().is_some_and(|length| length > 0),
        }
    }

    /// The length of what has one.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) | Self::Safe(_, text) => Some(text.bytes().len()),
            Self::Strings(items) => Some(items.len()),
            Self::Kv(pairs) => Some(pairs.len()),
            Self::Pairs(pairs) => Some(pairs.len()),
            Self::Alerts(alerts, _) => Some(alerts.len()),
            Self::List(list) => Some(list.items.len()),
            Self::Dict(dict) => Some(dict.items.len()),
            _ => None,
        }
    }

    /// The element of a slice.
    pub(crate) fn element(&self, index: usize) -> Option<Self> {
        match self {
            Self::Text(text) | Self::Safe(_, text) => text.bytes().get(index).map(|&byte| Self::Byte(byte)),
            Self::Strings(items) => items.get(index).cloned().map(Self::Text),
            Self::Pairs(pairs) => pairs
                .get(index)
                .map(|(name, value)| Self::Pair(name.clone(), value.clone())),
            Self::Alerts(alerts, _) => alerts.get(index).cloned().map(Self::Alert),
            Self::List(list) => list.items.get(index).cloned(),
            _ => None,
        }
    }

    /// How deep slices and maps of anything are in one another.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Dict(dict) => dict.depth,
            _ => 0,
        }
    }

    /// The fields of a struct, in their order.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Self)> {
        match self {
            Self::Pair(name, value) => {
                vec![
                    ("Name", Self::Text(name.clone())),
                    ("Value", Self::Text(value.clone())),
                ]
            }
            Self::Alert(_) => names(self, &ALERT_FIELDS),
            Self::Data(_) => names(self, &DATA_FIELDS),
            _ => Vec::new(),
        }
    }

    /// A field of a struct.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        let kv = |pairs: &Arc<Pairs>| Self::Kv(Arc::clone(pairs));
        Some(match (self, name) {
            (Self::Pair(name, _), "Name") => Self::Text(name.clone()),
            (Self::Pair(_, value), "Value") => Self::Text(value.clone()),
            (Self::Alert(alert), name) => match name {
                "Status" => Self::text(&alert.status),
                "Labels" => kv(&alert.labels),
                "Annotations" => kv(&alert.annotations),
                "StartsAt" => Self::Time(Box::new(alert.starts_at.clone())),
                "EndsAt" => Self::Time(Box::new(alert.ends_at.clone())),
                "GeneratorURL" => Self::text(&alert.generator_url),
                "Fingerprint" => Self::text(&alert.fingerprint),
                _ => return None,
            },
            (Self::Data(data), name) => match name {
                "Receiver" => Self::text(&data.receiver),
                "Status" => Self::text(&data.status),
                "Alerts" => Self::Alerts(Arc::clone(&data.alerts), true),
                "GroupLabels" => kv(&data.group_labels),
                "CommonLabels" => kv(&data.common_labels),
                "CommonAnnotations" => kv(&data.common_annotations),
                "ExternalURL" => Self::text(&data.external_url),
                _ => return None,
            },
            _ => return None,
        })
    }
}

const ALERT_FIELDS: [&str; 7] = [
    "Status",
    "Labels",
    "Annotations",
    "StartsAt",
    "EndsAt",
    "GeneratorURL",
    "Fingerprint",
];
const DATA_FIELDS: [&str; 7] = [
    "Receiver",
    "Status",
    "Alerts",
    "GroupLabels",
    "CommonLabels",
    "CommonAnnotations",
    "ExternalURL",
];

fn names(of: &Value, fields: &'static [&'static str]) -> Vec<(&'static str, Value)> {
    fields
        .iter()
        .filter_map(|&name| of.field(name).map(|value| (name, value)))
        .collect()
}

/// The pairs of a label set in Alertmanager's order: the alert's name first, then by name.
pub(crate) fn sorted_pairs(kv: &Pairs) -> Vec<(Str, Str)> {
    let first = kv.get_key_value("alertname");
    let rest = kv.iter().filter(|(name, _)| *name != "alertname");
    first
        .into_iter()
        .chain(rest)
        .map(|(name, value)| (Str::from(name.as_str()), Str::from(value.as_str())))
        .collect()
}
