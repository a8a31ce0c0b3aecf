//! What remote write brings beside samples, and whose it is that OTLP brings.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_ingest::exposition::MetricKind;
use mainstay_ingest::otlp::{self, OtlpEncoding, OtlpSettings};
use mainstay_ingest::remote_write::Version;
use mainstay_kernel::Reach;
use mainstay_kernel::testing::ManualClock;
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_promql::parse_selector;
use mainstay_slo::Settings;

use crate::bench::payments;

/// A field of protobuf that has a length, for short ones.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 0x80);
    [&[number << 3 | 2, length], content].concat()
}

fn varint(number: u8, mut value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// Snappy's block format without any compression: one literal.
fn unpacked(message: &[u8]) -> Vec<u8> {
    let last = u8::try_from(message.len() - 1).expect("short");
    let length = &varint(0, message.len() as u64)[1..];
    [length, &[60 << 2, last], message].concat()
}

fn open(directory: &Path) -> (Telemetry, Timestamp) {
    let now: Timestamp = "2026-03-02T10:00:00Z".parse().expect("an instant");
    let mut diagnostics = Diagnostics::new();
    let catalog = Catalog::build(payments(), &mut diagnostics);
    let judged = Judged::of(&catalog, &mut diagnostics);
    let clock = Arc::new(ManualClock::at(now));
    let (telemetry, _) = Telemetry::open(directory, judged, Settings::default(), clock).expect("it opens");
    (telemetry, now)
}

#[test]
fn exemplars_and_metadata_of_remote_write_are_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let (telemetry, now) = open(directory.path());
    let now_ms = now.as_millisecond().cast_unsigned();
    let label = |name: &str, value: &str| {
        field(
            1,
            &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat(),
        )
    };
    let sample = [double(1, 3.0), varint(2, now_ms)].concat();
    let exemplar = |trace: &str, t_ms| [label("trace_id", trace), double(2, 0.5), varint(3, t_ms)].concat();
    let series = [
        label("__name__", "orders_total"),
        field(2, &sample),
        field(3, &exemplar("7f", now_ms - 5)),
        // Older than the one before.
        field(3, &exemplar("80", now_ms - 9)),
    ]
    .concat();
    let said = [
        varint(1, 1),
        field(2, b"orders_total"),
        field(4, b"Orders taken."),
    ]
    .concat();
    let body = unpacked(&[field(1, &series), field(3, &said)].concat());
    let receipt = telemetry.receive(Version::V1, &body, None, 1 << 20);
    assert_eq!(
        (receipt.status(), receipt.samples, receipt.exemplars),
        (204, 1, 1)
    );
    // The same again is no news.
    let receipt = telemetry.receive(Version::V1, &body, None, 1 << 20);
    assert_eq!((receipt.status(), receipt.exemplars), (204, 1));

    let selectors = [parse_selector("orders_total").expect("a selector")];
    let found = telemetry.exemplars(&selectors, i64::MIN, i64::MAX);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0.to_string(), "orders_total");
    assert_eq!(found[0].1.len(), 1);
    assert_eq!(found[0].1[0].labels.get("trace_id"), Some("7f"));
    assert_eq!(found[0].1[0].t_ms, now.as_millisecond() - 5);

    let told = telemetry.told_metadata(&Reach::All);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].family.as_str(), told[0].kind, told[0].help.as_str()),
        ("orders_total", MetricKind::Counter, "Orders taken.")
    );
}

#[test]
fn metadata_of_2_0_is_heard_again_when_it_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (telemetry, now) = open(directory.path());
    let send = |help: Option<&str>, later_ms: i64| {
        let symbols = ["", "__name__", "height", help.unwrap_or_default(), "m"];
        let symbols = symbols.map(|symbol| field(4, symbol.as_bytes())).concat();
        let t_ms = (now.as_millisecond() + later_ms).cast_unsigned();
        let said = [varint(1, 2), varint(3, 3), varint(4, 4)].concat();
        let series = [
            field(1, &[1, 2]),
            field(2, &[double(1, 3.0), varint(2, t_ms)].concat()),
            help.map(|_| field(5, &said)).unwrap_or_default(),
        ]
        .concat();
        let body = unpacked(&[symbols, field(5, &series)].concat());
        let receipt = telemetry.receive(Version::V2, &body, None, 1 << 20);
        assert_eq!((receipt.status(), receipt.samples), (204, 1));
        telemetry
            .told_metadata(&Reach::All)
            .into_iter()
            .map(|said| said.help)
            .collect::<Vec<_>>()
    };
    // The series is known before anything is said of it.
    assert_eq!(send(None, 0), [""; 0]);
    assert_eq!(send(Some("How tall."), 1), ["How tall."]);
    assert_eq!(send(Some("How tall."), 2), ["How tall."]);
    assert_eq!(send(None, 3), ["How tall."]);
    assert_eq!(send(Some("Height."), 4), ["How tall.", "Height."]);
}

#[test]
fn otlp_of_a_tenant_is_that_tenants_and_nobody_elses() {
    let directory = tempfile::tempdir().expect("a directory");
    let (telemetry, now) = open(directory.path());
    let t_nano = now.as_nanosecond();
    let point = |tenant: &str| {
        format!(
            r#"{{"timeUnixNano":"{t_nano}","asInt":"1","attributes":[{tenant}{{"key":"k","value":{{"stringValue":"v"}}}}]}}"#
        )
    };
    let named = |tenant: &str| {
        point(&format!(
            r#"{{"key":"tenant","value":{{"stringValue":"{tenant}"}}}},"#
        ))
    };
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
        {{"name":"depth","gauge":{{"dataPoints":[{},{}]}}}}]}}]}}]}}"#,
        point(""),
        named("STD-022")
    );
    for _ in 0..2 {
        let mut batch =
            otlp::read(body.as_bytes(), OtlpEncoding::Json, &OtlpSettings::default()).expect("OTLP");
        telemetry
            .receive_otlp(&mut batch, Some("STD-021"))
            .expect("the disk works");
        assert_eq!(batch.rejected, 1, "{}", batch.reason);
        assert!(batch.reason.contains("STD-022"), "{}", batch.reason);
        let depth = parse_selector("depth").expect("a selector");
        let found = telemetry.store().series(&depth, i64::MIN, i64::MAX);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, [r#"depth{k="v", tenant="STD-021"}"#]);
    }
}
