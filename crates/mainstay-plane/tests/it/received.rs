//! What remote write brings beside samples.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_ingest::exposition::MetricKind;
use mainstay_ingest::remote_write::Version;
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

#[test]
fn exemplars_and_metadata_of_remote_write_are_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let now: Timestamp = "2026-03-02T10:00:00Z".parse().expect("an instant");
    let mut diagnostics = Diagnostics::new();
    let catalog = Catalog::build(payments(), &mut diagnostics);
    let (telemetry, _) = Telemetry::open(
        directory.path(),
        Judged::of(&catalog, &mut diagnostics),
        Settings::default(),
        Arc::new(ManualClock::at(now)),
    )
    .expect("it opens");
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

    let told = telemetry.told_metadata();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].family.as_str(), told[0].kind, told[0].help.as_str()),
        ("orders_total", MetricKind::Counter, "Orders taken.")
    );
}
