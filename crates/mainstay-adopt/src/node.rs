//! A value of an export with the place where it stands, so that whatever is left out can be named.

use serde_json::Value;

use crate::Loss;

/// One value of a file.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) file: &'a str,
    /// Its JSON path: `$.schedule.schedule_layers[0]`.
    pub(crate) path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Node<'a> {
    pub(crate) fn root(file: &'a str, value: &'a Value) -> Self {
        Self {
            file,
            path: "$".to_owned(),
            value,
        }
    }

    /// The value of a key; none if it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self {
            file: self.file,
            path: format!("{}.{key}", self.path),
            value,
        })
    }

    /// The value at the end of some keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self.clone(), |node, key| node.get(key))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let value = self.value.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// The elements of a list below a key; nothing if there is none.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|node| node.items()).unwrap_or_default()
    }

    pub(crate) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, value)| Self {
                file: self.file,
                path: format!("{}[{index}]", self.path),
                value,
            })
            .collect()
    }

    pub(crate) fn loss(&self, what: impl Into<String>) -> Loss {
        Loss {
            file: self.file.to_owned(),
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// Every key that is not among `known` and says something.
    pub(crate) fn rest(&self, known: &[&str], losses: &mut Vec<Loss>) {
        for (key, value) in self.value.as_object().into_iter().flatten() {
            let says = match value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            };
            if says && !known.contains(&key.as_str()) {
                losses.push(Loss {
                    file: self.file.to_owned(),
                    path: format!("{}.{key}", self.path),
                    what: "not carried over".to_owned(),
                });
            }
        }
    }
}
