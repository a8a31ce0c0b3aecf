//! Attributes as labels.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use super::OtlpSettings;
use super::model::{AnyValue, KeyValue, Resource};
use super::names::label_name;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";

/// What every series of a resource has of it.
pub(super) struct ResourceLabels {
    job: Option<String>,
    instance: Option<String>,
    promoted: BTreeMap<String, String>,
    /// The labels of `target_info`; `None` if there is nothing to say, or nobody to say it of.
    pub(super) info: Option<Labels>,
}

impl ResourceLabels {
    pub(super) fn new(resource: &Resource<'_>, settings: &OtlpSettings) -> Self {
        let get = |key: &str| {
            let held = resource.attributes.iter().find(|attribute| attribute.key == key);
            held.map(|attribute| text(&attribute.value))
        };
        let job = get(SERVICE_NAME).map(|name| match get(SERVICE_NAMESPACE) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        let promoted = merged(resource.attributes.iter().filter(|attribute| {
            let promote = &settings.promote_resource_attributes;
            promote.iter().any(|key| attribute.key == *key)
        }));
        let mut labels = Self {
            job,
            instance: get(SERVICE_INSTANCE),
            promoted,
            info: None,
        };
        let identifies = |key: &str| matches!(key, SERVICE_NAME | SERVICE_NAMESPACE | SERVICE_INSTANCE);
        let says_more = resource
            .attributes
            .iter()
            .any(|attribute| !identifies(&attribute.key));
        if says_more && (labels.job.is_some() || labels.instance.is_some()) {
            let keep = settings.keep_identifying_resource_attributes;
            let told = resource
                .attributes
                .iter()
                .filter(|attribute| keep || !identifies(&attribute.key));
            let mut info = merged(told);
            labels.identify(&mut info);
            labels.info = Some(Labels::from(info));
        }
        labels
    }

    fn identify(&self, labels: &mut BTreeMap<String, String>) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if let Some(value) = value {
                labels.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// The labels of a data point, without the metric's name.
    pub(super) fn of_point(&self, attributes: &[KeyValue<'_>]) -> Labels {
        let mut labels = merged(attributes);
        for (name, value) in &self.promoted {
            labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self.identify(&mut labels);
        Labels::from(labels)
    }
}

/// Attributes under the names of labels; in the order of their keys, values of one name joined.
fn merged<'m, 'a: 'm>(attributes: impl IntoIterator<Item = &'m KeyValue<'a>>) -> BTreeMap<String, String> {
    let mut sorted: Vec<&KeyValue<'_>> = attributes.into_iter().collect();
    sorted.sort_by(|one, another| one.key.cmp(&another.key));
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for attribute in sorted.into_iter().filter(|attribute| !attribute.key.is_empty()) {
        let value = text(&attribute.value);
        labels
            .entry(label_name(&attribute.key))
            .and_modify(|held| {
                held.push(';');
                held.push_str(&value);
            })
            .or_insert(value);
    }
    labels
}

/// A value as text: lists and maps as JSON.
pub(super) fn text(value: &AnyValue<'_>) -> String {
    if let Some(text) = &value.string_value {
        return text.clone().into_owned();
    }
    if let Some(base64) = &value.bytes_value {
        return base64.clone().into_owned();
    }
    match json(value) {
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn json(value: &AnyValue<'_>) -> serde_json::Value {
    if let Some(text) = value.string_value.as_ref().or(value.bytes_value.as_ref()) {
        return text.as_ref().into();
    }
    if let Some(list) = &value.array_value {
        return list.values.iter().map(json).collect();
    }
    if let Some(map) = &value.kvlist_value {
        let pairs = map
            .values
            .iter()
            .map(|pair| (pair.key.clone().into_owned(), json(&pair.value)));
        return serde_json::Value::Object(pairs.collect());
    }
    if let Some(number) = value.double_value {
        // A whole float is written without its point.
        #[expect(clippy::cast_possible_truncation, reason = "checked by the way back")]
        let whole = number as i64;
        #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "the very check")]
        let is_whole = whole as f64 == number;
        return if is_whole { whole.into() } else { number.into() };
    }
    match (value.bool_value, value.int_value) {
        (Some(bool), _) => bool.into(),
        (_, Some(int)) => int.into(),
        _ => serde_json::Value::Null,
    }
}
