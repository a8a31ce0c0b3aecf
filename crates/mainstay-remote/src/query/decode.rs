//! The JSON of the HTTP API v1, decoded straight into samples: texts are borrowed from the body, no tree is built.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::{SampleValue, Series, Value, VectorSample};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The envelope of every answer.
#[derive(serde::Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Envelope<'a, T> {
    #[serde(borrow)]
    pub(super) status: Cow<'a, str>,
    pub(super) data: Option<T>,
    #[serde(rename = "errorType", default)]
    pub(super) error_type: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) infos: Vec<String>,
}

/// `data` of a query.
#[derive(serde::Deserialize)]
pub(super) struct QueryData<'a> {
    #[serde(rename = "resultType", borrow)]
    result_type: Cow<'a, str>,
    result: Elements,
}

/// What a query gave, and how many native histograms were passed over.
pub(super) struct Decoded {
    pub(super) value: Value,
    pub(super) histograms: u64,
}

impl QueryData<'_> {
    /// The value; the texts of scalars and strings stand in the list of elements as the API writes them.
    pub(super) fn decoded(self) -> Result<Decoded, String> {
        let histograms = self.result.series.iter().map(|series| series.histograms).sum();
        let series = self.result.series;
        let value = match (&*self.result_type, self.result.pair) {
            ("vector", _) => Value::Vector(
                series
                    .into_iter()
                    .flat_map(|series| {
                        let labels = series.labels;
                        series
                            .samples
                            .into_iter()
                            .map(move |(at_ms, value)| VectorSample {
                                labels: Arc::clone(&labels),
                                at_ms,
                                value: SampleValue::Float(value),
                            })
                    })
                    .collect(),
            ),
            ("matrix", _) => {
                let mut series: Vec<Series> = series
                    .into_iter()
                    .map(|series| Series {
                        labels: series.labels,
                        samples: series.samples,
                        histograms: Vec::new(),
                    })
                    .collect();
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(series)
            }
            ("scalar", Some(text)) => Value::Scalar(float(&text).ok_or("a scalar that is no number")?),
            ("string", Some(text)) => Value::String(text),
            (other, _) => return Err(format!("a result of type {other:?}")),
        };
        Ok(Decoded { value, histograms })
    }
}

/// `result`: a list of series, or the pair of a scalar or string.
#[derive(Default)]
struct Elements {
    series: Vec<RawSeries>,
    pair: Option<String>,
}

struct RawSeries {
    labels: Arc<Labels>,
    samples: Vec<(i64, f64)>,
    histograms: u64,
}

/// One element of `result`.
enum Element {
    Series(RawSeries),
    Time,
    Text(String),
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of series, or a time and a text")
            }

            fn visit_unit<E>(self) -> Result<Elements, E> {
                Ok(Elements::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut elements = Elements::default();
                while let Some(element) = list.next_element()? {
                    match element {
                        Element::Series(series) => elements.series.push(series),
                        Element::Text(text) => elements.pair = Some(text),
                        Element::Time => {}
                    }
                }
                Ok(elements)
            }
        }
        deserializer.deserialize_any(List)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, a time or a text")
            }

            fn visit_f64<E>(self, _: f64) -> Result<Element, E> {
                Ok(Element::Time)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Element, E> {
                Ok(Element::Time)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Element, E> {
                Ok(Element::Time)
            }

            fn visit_str<E>(self, text: &str) -> Result<Element, E> {
                Ok(Element::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
                let mut series = RawSeries {
                    labels: Arc::default(),
                    samples: Vec::new(),
                    histograms: 0,
                };
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key.0 {
                        "metric" => series.labels = Arc::new(map.next_value::<Metric>()?.0),
                        "value" => series.samples.push(map.next_value::<Sample>()?.0),
                        "values" => series.samples = map.next_value::<Samples>()?.0,
                        "histogram" => {
                            map.next_value::<IgnoredAny>()?;
                            series.histograms += 1;
                        }
                        "histograms" => {
                            series.histograms += map.next_value::<Vec<IgnoredAny>>()?.len() as u64
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Element::Series(series))
            }
        }
        deserializer.deserialize_any(One)
    }
}

/// A text, borrowed where it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// A label set.
pub(super) struct Metric(pub(super) Labels);

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Metric;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metric, A::Error> {
                let mut pairs: Vec<(Text<'de>, Text<'de>)> = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                pairs.sort();
                Labels::from_sorted(pairs.iter().map(|(name, value)| (&*name.0, &*value.0)))
                    .map(Metric)
                    .ok_or_else(|| A::Error::custom("a label is given twice"))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// `[seconds, "value"]`.
struct Sample((i64, f64));

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Sample;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Sample, A::Error> {
                let seconds: f64 = pair.next_element()?.ok_or_else(|| A::Error::custom("no time"))?;
                let text: Text<'de> = pair.next_element()?.ok_or_else(|| A::Error::custom("no value"))?;
                let at_ms = millis(seconds).ok_or_else(|| A::Error::custom("an impossible time"))?;
                let value = float(&text.0)
                    .ok_or_else(|| A::Error::custom(format_args!("{:?} is no number", text.0)))?;
                while pair.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Sample((at_ms, value)))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

/// A list of samples.
struct Samples(Vec<(i64, f64)>);

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Samples;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("samples")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Samples, A::Error> {
                let mut samples = Vec::new();
                while let Some(Sample(sample)) = list.next_element()? {
                    samples.push(sample);
                }
                Ok(Samples(samples))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Milliseconds of seconds with a fraction. Exact: times of this age in seconds have more than enough digits.
fn millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked: within what a float counts exactly"
    )]
    (millis.abs() <= 9_007_199_254_740_992.0).then_some(millis as i64)
}

/// A value as the API writes it.
fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(json: &str) -> Result<Decoded, String> {
        let envelope: Envelope<'_, QueryData<'_>> =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        envelope.data.ok_or("no data")?.decoded()
    }

    fn value(json: &str) -> Value {
        decoded(json).expect("it decodes").value
    }

    #[test]
    fn every_type_of_result() {
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1700000040.5,"-Inf"]}}"#;
        assert_eq!(value(scalar), Value::Scalar(f64::NEG_INFINITY));
        let string = r#"{"status":"success","data":{"result":[1700000040,"a\nb"],"resultType":"string"}}"#;
        assert_eq!(value(string), Value::String("a\nb".to_owned()));
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"z":"1","__name__":"up","q":"\"é\u00e9"},"value":[1700000040.123,"1e+3"]}]}}"#;
        let Value::Vector(vector) = value(vector) else {
            panic!("a vector")
        };
        assert_eq!(vector[0].labels.to_string(), r#"up{q="\"éé", z="1"}"#);
        assert_eq!(
            (vector[0].at_ms, vector[0].value.float()),
            (1_700_000_040_123, Some(1000.0))
        );
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"a":"2"},"values":[[1,"1"],[1.001,"NaN"]]},
            {"metric":{"a":"1"},"values":[[2,"2"]],"histograms":[[1,{}],[2,{}]]}]}}"#;
        let found = decoded(matrix).expect("it decodes");
        assert_eq!(found.histograms, 2);
        let Value::Matrix(matrix) = found.value else {
            panic!("a matrix")
        };
        assert_eq!(matrix[0].samples, [(2000, 2.0)]);
        assert_eq!(matrix[1].samples[1].0, 1001);
        assert!(matrix[1].samples[1].1.is_nan());
    }

    #[test]
    fn nothing_is_an_empty_result() {
        let nothing = r#"{"status":"success","data":{"resultType":"vector","result":null}}"#;
        assert_eq!(value(nothing), Value::Vector(Vec::new()));
    }

    #[test]
    fn what_is_not_the_api_is_refused() {
        for bad in [
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"1","a":"2"},"value":[1,"1"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1e300,"1"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}"#,
            r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
            r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#,
        ] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
    }
}
