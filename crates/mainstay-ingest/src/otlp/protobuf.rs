//! OTLP's messages in protobuf.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine as _;

use super::OtlpError;
use super::model::{
    AnyValue, Exemplar, ExponentialBuckets, ExponentialHistograms, ExponentialPoint, HistogramPoint,
    Histograms, KeyValue, List, Map, Metric, NumberPoint, Numbers, Quantile, Request, Resource,
    ResourceMetrics, ScopeMetrics, Summaries, SummaryPoint, Temporality,
};
use crate::native_histogram::narrow;
use crate::wire::{Fields, Value, WireError};

/// How deep attributes may be nested.
const DEPTH_MAX: usize = 32;

type Read<T> = Result<T, OtlpError>;

pub(super) fn request(message: &[u8]) -> Read<Request<'_>> {
    let mut request = Request::default();
    for field in Fields::new(message) {
        if let (1, value) = field? {
            request.resource_metrics.push(resource_metrics(value.bytes()?)?);
        }
    }
    Ok(request)
}

fn resource_metrics(message: &[u8]) -> Read<ResourceMetrics<'_>> {
    let mut metrics = ResourceMetrics::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => metrics.resource = resource(value.bytes()?)?,
            (2, value) => metrics.scope_metrics.push(scope_metrics(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(metrics)
}

fn resource(message: &[u8]) -> Read<Resource<'_>> {
    let mut resource = Resource::default();
    for field in Fields::new(message) {
        if let (1, value) = field? {
            resource.attributes.push(key_value(value, DEPTH_MAX)?);
        }
    }
    Ok(resource)
}

fn scope_metrics(message: &[u8]) -> Read<ScopeMetrics<'_>> {
    let mut scope = ScopeMetrics::default();
    for field in Fields::new(message) {
        if let (2, value) = field? {
            scope.metrics.push(metric(value.bytes()?)?);
        }
    }
    Ok(scope)
}

fn metric(message: &[u8]) -> Read<Metric<'_>> {
    let mut metric = Metric::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => metric.name = text(value)?,
            (2, value) => metric.description = text(value)?,
            (3, value) => metric.unit = text(value)?,
            (5, value) => metric.gauge = Some(numbers(value.bytes()?)?),
            (7, value) => metric.sum = Some(numbers(value.bytes()?)?),
            (9, value) => {
                let mut all = Histograms::default();
                all.aggregation_temporality = points(value.bytes()?, |value| {
                    all.data_points.push(histogram_point(value)?);
                    Ok(())
                })?;
                metric.histogram = Some(all);
            }
            (10, value) => {
                let mut all = ExponentialHistograms::default();
                all.aggregation_temporality = points(value.bytes()?, |value| {
                    all.data_points.push(exponential_point(value)?);
                    Ok(())
                })?;
                metric.exponential_histogram = Some(all);
            }
            (11, value) => {
                let mut all = Summaries::default();
                points(value.bytes()?, |value| {
                    all.data_points.push(summary_point(value)?);
                    Ok(())
                })?;
                metric.summary = Some(all);
            }
            _ => {}
        }
    }
    Ok(metric)
}

/// Hands out the points of a kind of metric, and gives its temporality.
fn points<'a>(message: &'a [u8], mut each: impl FnMut(&'a [u8]) -> Read<()>) -> Read<Temporality> {
    let mut temporality = Temporality::Unspecified;
    for field in Fields::new(message) {
        match field? {
            (1, value) => each(value.bytes()?)?,
            (2, value) => temporality = Temporality::of(value.unsigned()?),
            _ => {}
        }
    }
    Ok(temporality)
}

fn numbers(message: &[u8]) -> Read<Numbers<'_>> {
    let mut all = Numbers::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => all.data_points.push(number_point(value.bytes()?)?),
            (2, value) => all.aggregation_temporality = Temporality::of(value.unsigned()?),
            (3, value) => all.is_monotonic = value.unsigned()? != 0,
            _ => {}
        }
    }
    Ok(all)
}

fn number_point(message: &[u8]) -> Read<NumberPoint<'_>> {
    let mut point = NumberPoint::default();
    for field in Fields::new(message) {
        match field? {
            (2, value) => point.start_time_unix_nano = value.fixed()?,
            (3, value) => point.time_unix_nano = value.fixed()?,
            (4, value) => (point.as_double, point.as_int) = (Some(value.double()?), None),
            (5, value) => point.exemplars.push(exemplar(value.bytes()?)?),
            (6, value) => (point.as_double, point.as_int) = (None, Some(value.fixed()?.cast_signed())),
            (7, value) => point.attributes.push(key_value(value, DEPTH_MAX)?),
            (8, value) => point.flags = flags(value)?,
            _ => {}
        }
    }
    Ok(point)
}

fn histogram_point(message: &[u8]) -> Read<HistogramPoint<'_>> {
    let mut point = HistogramPoint::default();
    for field in Fields::new(message) {
        match field? {
            (2, value) => point.start_time_unix_nano = value.fixed()?,
            (3, value) => point.time_unix_nano = value.fixed()?,
            (4, value) => point.count = value.fixed()?,
            (5, value) => point.sum = Some(value.double()?),
            (6, value) => value.fixeds(&mut point.bucket_counts)?,
            (7, value) => value.doubles(&mut point.explicit_bounds)?,
            (8, value) => point.exemplars.push(exemplar(value.bytes()?)?),
            (9, value) => point.attributes.push(key_value(value, DEPTH_MAX)?),
            (10, value) => point.flags = flags(value)?,
            _ => {}
        }
    }
    Ok(point)
}

fn exponential_point(message: &[u8]) -> Read<ExponentialPoint<'_>> {
    let mut point = ExponentialPoint::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => point.attributes.push(key_value(value, DEPTH_MAX)?),
            (2, value) => point.start_time_unix_nano = value.fixed()?,
            (3, value) => point.time_unix_nano = value.fixed()?,
            (4, value) => point.count = value.fixed()?,
            (5, value) => point.sum = Some(value.double()?),
            (6, value) => point.scale = narrow(value.zigzag()?)?,
            (7, value) => point.zero_count = value.fixed()?,
            (8, value) => point.positive = buckets(value.bytes()?)?,
            (9, value) => point.negative = buckets(value.bytes()?)?,
            (10, value) => point.flags = flags(value)?,
            (11, value) => point.exemplars.push(exemplar(value.bytes()?)?),
            (14, value) => point.zero_threshold = value.double()?,
            _ => {}
        }
    }
    Ok(point)
}

fn buckets(message: &[u8]) -> Read<ExponentialBuckets> {
    let mut buckets = ExponentialBuckets::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => buckets.offset = narrow(value.zigzag()?)?,
            (2, value) => value.numbers(|count| buckets.bucket_counts.push(count))?,
            _ => {}
        }
    }
    Ok(buckets)
}

fn summary_point(message: &[u8]) -> Read<SummaryPoint<'_>> {
    let mut point = SummaryPoint::default();
    for field in Fields::new(message) {
        match field? {
            (2, value) => point.start_time_unix_nano = value.fixed()?,
            (3, value) => point.time_unix_nano = value.fixed()?,
            (4, value) => point.count = value.fixed()?,
            (5, value) => point.sum = value.double()?,
            (6, value) => {
                let mut quantile = Quantile::default();
                for field in Fields::new(value.bytes()?) {
                    match field? {
                        (1, value) => quantile.quantile = value.double()?,
                        (2, value) => quantile.value = value.double()?,
                        _ => {}
                    }
                }
                point.quantile_values.push(quantile);
            }
            (7, value) => point.attributes.push(key_value(value, DEPTH_MAX)?),
            (8, value) => point.flags = flags(value)?,
            _ => {}
        }
    }
    Ok(point)
}

fn exemplar(message: &[u8]) -> Read<Exemplar<'_>> {
    let mut exemplar = Exemplar::default();
    for field in Fields::new(message) {
        match field? {
            (2, value) => exemplar.time_unix_nano = value.fixed()?,
            (3, value) => exemplar.as_double = Some(value.double()?),
            (4, value) => exemplar.span_id = hexadecimal(value.bytes()?).into(),
            (5, value) => exemplar.trace_id = hexadecimal(value.bytes()?).into(),
            (6, value) => exemplar.as_int = Some(value.fixed()?.cast_signed()),
            (7, value) => exemplar.filtered_attributes.push(key_value(value, DEPTH_MAX)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

fn key_value(value: Value<'_>, depth: usize) -> Read<KeyValue<'_>> {
    let mut pair = KeyValue::default();
    for field in Fields::new(value.bytes()?) {
        match field? {
            (1, value) => pair.key = text(value)?,
            (2, value) => pair.value = any_value(value.bytes()?, depth)?,
            _ => {}
        }
    }
    Ok(pair)
}

fn any_value(message: &[u8], depth: usize) -> Read<AnyValue<'_>> {
    let depth = depth.checked_sub(1).ok_or(OtlpError::TooDeep)?;
    let mut any = AnyValue::default();
    for field in Fields::new(message) {
        // The last one given holds.
        let (number, value) = field?;
        if (1..=7).contains(&number) {
            any = AnyValue::default();
        }
        match number {
            1 => any.string_value = Some(text(value)?),
            2 => any.bool_value = Some(value.unsigned()? != 0),
            3 => any.int_value = Some(value.signed()?),
            4 => any.double_value = Some(value.double()?),
            5 => {
                let mut list = List::default();
                for field in Fields::new(value.bytes()?) {
                    if let (1, value) = field? {
                        list.values.push(any_value(value.bytes()?, depth)?);
                    }
                }
                any.array_value = Some(list);
            }
            6 => {
                let mut map = Map::default();
                for field in Fields::new(value.bytes()?) {
                    if let (1, value) = field? {
                        map.values.push(key_value(value, depth)?);
                    }
                }
                any.kvlist_value = Some(map);
            }
            7 => {
                let bytes = base64::engine::general_purpose::STANDARD.encode(value.bytes()?);
                any.bytes_value = Some(bytes.into());
            }
            _ => {}
        }
    }
    Ok(any)
}

fn text(value: Value<'_>) -> Read<Cow<'_, str>> {
    std::str::from_utf8(value.bytes()?)
        .map(Cow::Borrowed)
        .map_err(|_| OtlpError::NotUtf8)
}

fn flags(value: Value<'_>) -> Result<u32, WireError> {
    u32::try_from(value.unsigned()?).map_err(|_| WireError::Varint)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `ExportMetricsServiceResponse`
pub(super) fn response(rejected: u64, reason: &str) -> Vec<u8> {
    if rejected == 0 {
        return Vec::new();
    }
    let mut partial = vec![0x08];
    push_number(&mut partial, rejected);
    partial.push(0x12);
    push_number(&mut partial, reason.len() as u64);
    partial.extend_from_slice(reason.as_bytes());
    let mut response = vec![0x0a];
    push_number(&mut response, partial.len() as u64);
    response.extend_from_slice(&partial);
    response
}

/// `google.rpc.Status`, without a code: nobody is to act on one.
pub(super) fn status(message: &str) -> Vec<u8> {
    let mut status = vec![0x12];
    push_number(&mut status, message.len() as u64);
    status.extend_from_slice(message.as_bytes());
    status
}

fn push_number(message: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            message.push(low);
            return;
        }
        message.push(low | 0x80);
    }
}
