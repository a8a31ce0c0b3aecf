//! Values of templates, printed as Go prints them.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing.
    Nil,
    /// true or false
    Bool(bool),
    /// A whole number, as literals are.
    Int(i64),
    /// A number, as samples have.
    Float(f64),
    /// A text.
    Text(String),
    /// A list, such as the result of `query`.
    List(Vec<Self>),
    /// Fields or keys; `of_texts` maps give "" for a key they do not have.
    Map {
        entries: BTreeMap<String, Self>,
        of_texts: bool,
    },
}

impl From<&Labels> for Value {
    fn from(labels: &Labels) -> Self {
        let entries = labels
            .iter()
            .map(|(name, value)| (name.to_owned(), Self::Text(value.to_owned())));
        Self::Map {
            entries: entries.collect(),
            of_texts: true,
        }
    }
}

impl Value {
    /// A sample as templates see it.
    pub(super) fn sample(labels: &Labels, value: f64) -> Self {
        let entries = [
            ("Labels".to_owned(), Self::from(labels)),
            ("Value".to_owned(), Self::Float(value)),
        ];
        Self::Map {
            entries: entries.into(),
            of_texts: false,
        }
    }

    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map { entries, .. } => !entries.is_empty(),
        }
    }

    /// A field or key.
    pub(super) fn field(&self, name: &str) -> Result<Self, String> {
        match self {
            Self::Map { entries, of_texts } => match (entries.get(name), of_texts) {
                (Some(value), _) => Ok(value.clone()),
                (None, true) => Ok(Self::Text(String::new())),
                (None, false) => Ok(Self::Nil),
            },
            Self::Nil => Err(format!("nil data; no entry for key {name:?}")),
            other => Err(format!(
                "can't evaluate field {name} in type {}",
                other.type_name()
            )),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map { .. } => "map[string]interface {}",
        }
    }

    /// As Go's `%v`.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => general(*value, None),
            Self::Text(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::print).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map { entries, .. } => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.print()))
                    .collect();
                format!("map[{}]", entries.join(" "))
            }
        }
    }

    /// As a number, if it is one or a text of one.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Go converts it the same way")]
            Self::Int(value) => Ok(*value as f64),
            Self::Float(value) => Ok(*value),
            Self::Text(text) => text
                .trim()
                .parse()
                .map_err(|_| format!("parsing {text:?}: invalid syntax")),
            other => Err(format!("can't convert {} to float", other.type_name())),
        }
    }
}

/// Go's `%g`: shortest digits, or `precision` significant ones; an exponent below -4 and from the precision (6
/// for shortest digits) on.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
    };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let most = precision.map_or(6, |precision| i32::try_from(precision.max(1)).unwrap_or(i32::MAX));
    let trimmed = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= most {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(digits), exponent.abs());
    }
    match precision {
        None => format!("{value}"),
        Some(_) => {
            let decimals = usize::try_from(most - 1 - exponent).unwrap_or_default();
            trimmed(&format!("{value:.decimals$}"))
        }
    }
}
