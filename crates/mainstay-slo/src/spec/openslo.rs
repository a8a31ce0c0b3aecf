//! The documents of OpenSLO v1, as its reader takes them: an unknown key is an error, what a source's `spec` holds is
//! free. Checks that need more than one key come after it.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_catalog::Spanned;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// The version whose documents are counted.
pub const API_VERSION: &str = "openslo/v1";
/// Versions of OpenSLO that exist besides.
pub const OTHER_VERSIONS: [&str; 2] = ["openslo/v1alpha", "openslo.com/v2alpha"];
/// The kinds of OpenSLO v1.
pub const KINDS: [&str; 7] = [
    "SLO",
    "SLI",
    "Service",
    "DataSource",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
];

/// One object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Object<S> {
    /// `openslo/v1`.
    pub api_version: Spanned<String>,
    /// One of [`KINDS`].
    pub kind: Spanned<String>,
    /// Its name and notes.
    pub metadata: Metadata,
    /// What it says.
    pub spec: S,
}

/// Name, labels and annotations.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A name as RFC 1123 has it: at most 63 lower-case letters, digits and `-`.
    pub name: Spanned<String>,
    /// What people call it.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Labels of one or several values.
    #[serde(default)]
    pub labels: BTreeMap<String, OneOrMany>,
    /// Notes; those that begin with `mainstay/` are read, see [`super::annotations`].
    #[serde(default)]
    pub annotations: BTreeMap<String, Spanned<String>>,
}

/// The `spec` of an `SLO`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Whose.
    pub service: Spanned<String>,
    /// The indicator itself ...
    #[serde(default)]
    pub indicator: Option<InlineSli>,
    /// ... or its name.
    #[serde(default)]
    pub indicator_ref: Option<Spanned<String>>,
    /// At most one.
    #[serde(default)]
    pub time_window: Option<Vec<TimeWindow>>,
    /// `Occurrences`, `Timeslices` or `RatioTimeslices`.
    pub budgeting_method: Spanned<String>,
    /// At least one.
    pub objectives: Vec<Target>,
    /// Policies or their names.
    #[serde(default)]
    pub alert_policies: Option<Vec<PolicyUse>>,
}

/// An indicator within an SLO.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InlineSli {
    /// Its name.
    pub metadata: Metadata,
    /// What it counts.
    pub spec: Sli,
}

/// The window of an SLO.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeWindow {
    /// `28d`.
    pub duration: Spanned<String>,
    /// Whether it moves with the present.
    #[serde(default)]
    pub is_rolling: bool,
    /// Where periods begin, if it does not.
    #[serde(default)]
    pub calendar: Option<Calendar>,
}

/// Where the periods of a calendar begin.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calendar {
    /// `YYYY-MM-DD hh:mm:ss`.
    pub start_time: Spanned<String>,
    /// An IANA name.
    pub time_zone: Spanned<String>,
}

/// One of the `objectives` of an SLO.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// What people call it.
    #[serde(default)]
    pub display_name: Option<Spanned<String>>,
    /// For thresholds: `lte`, `gte`, `lt` or `gt`.
    #[serde(default)]
    pub op: Option<Spanned<String>>,
    /// For thresholds.
    #[serde(default)]
    pub value: Option<Spanned<Decimal>>,
    /// From 0 to below 1 ...
    #[serde(default)]
    pub target: Option<Spanned<Decimal>>,
    /// ... or from 0 to below 100.
    #[serde(default)]
    pub target_percent: Option<Spanned<Decimal>>,
    /// For time slices: above 0, at most 1.
    #[serde(default)]
    pub time_slice_target: Option<Spanned<Decimal>>,
    /// For time slices.
    #[serde(default)]
    pub time_slice_window: Option<Spanned<String>>,
    /// For composites.
    #[serde(default)]
    pub indicator: Option<InlineSli>,
    /// For composites.
    #[serde(default)]
    pub indicator_ref: Option<Spanned<String>>,
    /// For composites.
    #[serde(default)]
    pub composite_weight: Option<Spanned<Decimal>>,
}

/// A policy, or its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyUse {
    /// The name of an `AlertPolicy`.
    #[serde(default)]
    pub alert_policy_ref: Option<Spanned<String>>,
    /// `AlertPolicy`.
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    /// Its name.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// What it says.
    #[serde(default)]
    pub spec: Option<AlertPolicy>,
}

/// The `spec` of an `SLI`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sli {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// One number held against a threshold ...
    #[serde(default)]
    pub threshold_metric: Option<Metric>,
    /// ... or events held against events.
    #[serde(default)]
    pub ratio_metric: Option<RatioMetric>,
}

/// Events held against events.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RatioMetric {
    /// Whether the queries name ever-growing counters.
    #[serde(default)]
    pub counter: bool,
    /// The good events ...
    #[serde(default)]
    pub good: Option<Metric>,
    /// ... or the bad ones.
    #[serde(default)]
    pub bad: Option<Metric>,
    /// All events.
    #[serde(default)]
    pub total: Option<Metric>,
    /// `success` or `failure`, beside `raw`.
    #[serde(default)]
    pub raw_type: Option<Spanned<String>>,
    /// A ratio that is one already.
    #[serde(default)]
    pub raw: Option<Metric>,
}

/// Where a number comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metric {
    /// Its source.
    pub metric_source: MetricSource,
}

/// Where a number comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSource {
    /// The name of a `DataSource`.
    #[serde(default)]
    pub metric_source_ref: Option<Spanned<String>>,
    /// `Prometheus`, and others.
    #[serde(default, rename = "type")]
    pub source_type: Option<Spanned<String>>,
    /// Free; of Prometheus the `query` is read.
    pub spec: BTreeMap<String, Spanned<Free>>,
}

/// The `spec` of an `AlertPolicy`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertPolicy {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether missing data alerts. Blindness always alerts here.
    #[serde(default)]
    pub alert_when_no_data: bool,
    /// Whether the end of an alert is told.
    #[serde(default)]
    pub alert_when_resolved: bool,
    /// Whether a breach alerts.
    #[serde(default)]
    pub alert_when_breaching: bool,
    /// Exactly one.
    pub conditions: Vec<ConditionUse>,
    /// Who is told. Here the routes decide, by labels.
    #[serde(default)]
    pub notification_targets: Vec<TargetUse>,
}

/// A condition, or its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConditionUse {
    /// The name of an `AlertCondition`.
    #[serde(default)]
    pub condition_ref: Option<Spanned<String>>,
    /// `AlertCondition`.
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    /// Its name.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// What it says.
    #[serde(default)]
    pub spec: Option<AlertCondition>,
}

/// A notification target, or its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetUse {
    /// The name of an `AlertNotificationTarget`.
    #[serde(default)]
    pub target_ref: Option<Spanned<String>>,
    /// `AlertNotificationTarget`.
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    /// Its name.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// What it says.
    #[serde(default)]
    pub spec: Option<NotificationTarget>,
}

/// The `spec` of an `AlertCondition`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertCondition {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// A word such as `page`.
    pub severity: Spanned<String>,
    /// When it alerts.
    pub condition: Condition,
}

/// When a condition alerts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// `burnrate`.
    pub kind: Spanned<String>,
    /// `lte`, `gte`, `lt` or `gt`.
    pub op: Spanned<String>,
    /// How many times the budget's rate.
    pub threshold: Spanned<Decimal>,
    /// The long window.
    pub lookback_window: Spanned<String>,
    /// For how long it must last.
    #[serde(default)]
    pub alert_after: Option<Spanned<String>>,
}

/// The `spec` of an `AlertNotificationTarget`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationTarget {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// `email`, `pagerduty`, ...
    pub target: String,
}

/// The `spec` of a `Service`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// The `spec` of a `DataSource`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSource {
    /// At most 1,050 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// `Prometheus`, and others.
    #[serde(rename = "type")]
    pub source_type: String,
    /// Free.
    #[serde(default)]
    pub connection_details: Option<IgnoredAny>,
}

/// A number as it was written: its digits, not a float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(pub String);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number such as 0.9995")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
                Ok(Decimal(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
                Ok(Decimal(value.to_string()))
            }

            /// The shortest text that reads back as the same float is the text that was written, up to 15 digits.
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Decimal, E> {
                Ok(Decimal(value.to_string()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Decimal, E> {
                match value.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Decimal(value.trim().to_owned())),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(Digits)
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![value.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
        }
        deserializer.deserialize_any(Values)
    }
}

/// Anything; a text is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Free(pub Option<String>);

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Free;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Free, E> {
                Ok(Free(Some(value.to_owned())))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_none<E: de::Error>(self) -> Result<Free, E> {
                Ok(Free(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Free, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Free(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Free, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Free(None))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}
