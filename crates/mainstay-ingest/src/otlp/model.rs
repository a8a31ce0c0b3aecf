//! The messages of OTLP metrics (`opentelemetry.proto.metrics.v1`, version 1), as far as they are translated. JSON reads
//! into them as it stands: names in camel case, 64-bit numbers also as text, unknown names passed over.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceMetrics<'a> {
    #[serde(borrow)]
    pub(super) resource: Resource<'a>,
    #[serde(borrow)]
    pub(super) scope_metrics: Vec<ScopeMetrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Resource<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeMetrics<'a> {
    #[serde(borrow)]
    pub(super) metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metric<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) description: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) unit: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) gauge: Option<Numbers<'a>>,
    #[serde(borrow)]
    pub(super) sum: Option<Numbers<'a>>,
    #[serde(borrow)]
    pub(super) histogram: Option<Histograms<'a>>,
    #[serde(borrow)]
    pub(super) exponential_histogram: Option<ExponentialHistograms<'a>>,
    #[serde(borrow)]
    pub(super) summary: Option<Summaries<'a>>,
}

/// What values of one series have to do with each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Temporality {
    #[default]
    Unspecified,
    /// Each counts from the one before.
    Delta,
    /// All count from the same start.
    Cumulative,
}

impl Temporality {
    pub(super) fn of(number: u64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

impl<'de> Deserialize<'de> for Temporality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match NumberOrText::<u64>::deserialize(deserializer)? {
            NumberOrText::Number(number) => Self::of(number),
            NumberOrText::Text(text) if text.ends_with("_DELTA") => Self::Delta,
            NumberOrText::Text(text) if text.ends_with("_CUMULATIVE") => Self::Cumulative,
            NumberOrText::Text(_) => Self::Unspecified,
        })
    }
}

/// `Gauge` and `Sum`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Numbers<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<NumberPoint<'a>>,
    pub(super) aggregation_temporality: Temporality,
    pub(super) is_monotonic: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Histograms<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<HistogramPoint<'a>>,
    pub(super) aggregation_temporality: Temporality,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ExponentialHistograms<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<ExponentialPoint<'a>>,
    pub(super) aggregation_temporality: Temporality,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Summaries<'a> {
    #[serde(borrow)]
    pub(super) data_points: Vec<SummaryPoint<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NumberPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "number")]
    pub(super) start_time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "some_number")]
    pub(super) as_double: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) as_int: Option<i64>,
    #[serde(borrow)]
    pub(super) exemplars: Vec<Exemplar<'a>>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HistogramPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "number")]
    pub(super) start_time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) count: u64,
    #[serde(deserialize_with = "some_number")]
    pub(super) sum: Option<f64>,
    #[serde(deserialize_with = "numbers")]
    pub(super) bucket_counts: Vec<u64>,
    #[serde(deserialize_with = "numbers")]
    pub(super) explicit_bounds: Vec<f64>,
    #[serde(borrow)]
    pub(super) exemplars: Vec<Exemplar<'a>>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ExponentialPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "number")]
    pub(super) start_time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) count: u64,
    #[serde(deserialize_with = "some_number")]
    pub(super) sum: Option<f64>,
    pub(super) scale: i32,
    #[serde(deserialize_with = "number")]
    pub(super) zero_count: u64,
    pub(super) positive: ExponentialBuckets,
    pub(super) negative: ExponentialBuckets,
    #[serde(deserialize_with = "number")]
    pub(super) zero_threshold: f64,
    #[serde(borrow)]
    pub(super) exemplars: Vec<Exemplar<'a>>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ExponentialBuckets {
    pub(super) offset: i32,
    #[serde(deserialize_with = "numbers")]
    pub(super) bucket_counts: Vec<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SummaryPoint<'a> {
    #[serde(borrow)]
    pub(super) attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "number")]
    pub(super) start_time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    pub(super) count: u64,
    #[serde(deserialize_with = "number")]
    pub(super) sum: f64,
    pub(super) quantile_values: Vec<Quantile>,
    pub(super) flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Quantile {
    #[serde(deserialize_with = "number")]
    pub(super) quantile: f64,
    #[serde(deserialize_with = "number")]
    pub(super) value: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Exemplar<'a> {
    #[serde(borrow)]
    pub(super) filtered_attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "some_number")]
    pub(super) as_double: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) as_int: Option<i64>,
    /// In hexadecimal digits, as JSON has it.
    #[serde(borrow)]
    pub(super) span_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) trace_id: Cow<'a, str>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeyValue<'a> {
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) value: AnyValue<'a>,
}

/// Of these one at most is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue<'a> {
    #[serde(borrow)]
    pub(super) string_value: Option<Cow<'a, str>>,
    pub(super) bool_value: Option<bool>,
    #[serde(deserialize_with = "some_number")]
    pub(super) int_value: Option<i64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) double_value: Option<f64>,
    #[serde(borrow)]
    pub(super) array_value: Option<List<'a>>,
    #[serde(borrow)]
    pub(super) kvlist_value: Option<Map<'a>>,
    /// In base 64, as JSON has it.
    #[serde(borrow)]
    pub(super) bytes_value: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct List<'a> {
    #[serde(borrow)]
    pub(super) values: Vec<AnyValue<'a>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Map<'a> {
    #[serde(borrow)]
    pub(super) values: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<'a, T> {
    Number(T),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl<T: FromStr> NumberOrText<'_, T> {
    fn number<E: Error>(self) -> Result<T, E>
    where
        T::Err: Display,
    {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(E::custom),
        }
    }
}

fn number<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display> + Deserialize<'de>,
{
    NumberOrText::deserialize(deserializer)?.number()
}

fn some_number<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display> + Deserialize<'de>,
{
    Option::<NumberOrText<'_, T>>::deserialize(deserializer)?
        .map(NumberOrText::number)
        .transpose()
}

fn numbers<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: Display> + Deserialize<'de>,
{
    Vec::<NumberOrText<'_, T>>::deserialize(deserializer)?
        .into_iter()
        .map(NumberOrText::number)
        .collect()
}

/// `ExportMetricsServiceResponse`, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partial_success: Option<PartialSuccess<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialSuccess<'a> {
    /// Text, as JSON has 64-bit numbers.
    pub(super) rejected_data_points: String,
    pub(super) error_message: &'a str,
}

/// `google.rpc.Status`, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    pub(super) message: &'a str,
}
