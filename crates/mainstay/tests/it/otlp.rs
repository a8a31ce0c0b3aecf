//! Metrics by OTLP over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::harness::{Server, encoded, http, quiet_catalog};

/// An answer: its status, its head in lower case, its body.
pub(crate) fn export(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Vec<u8>) {
    let authority = server.address.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "POST /api/v1/otlp/v1/metrics HTTP/1.0\r\nHost: {authority}\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .expect("it is sent");
    stream.write_all(body).expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), head, answer[end + 4..].to_vec())
}

fn asked(server: &Server, query: &str) -> String {
    let form = encoded(&[("query", query)]);
    http(&server.address, "/api/v1/query", Some(&form), "").body
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body).expect("memory takes all");
    packed.finish().expect("memory takes all")
}

/// A field of protobuf that has a length, for short ones.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 0x80);
    [&[number << 3 | 2, length], content].concat()
}

pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

#[test]
fn metrics_come_in_by_otlp_and_are_found() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let now_nano = u64::try_from(Timestamp::now().as_nanosecond()).expect("after 1970");
    // A sum that is taken; a delta that is not; a histogram a year old, whose seven samples are one point.
    let old_nano = now_nano - 365 * 86_400 * 1_000_000_000;
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
        "scopeMetrics":[{{"metrics":[
        {{"name":"orders","description":"Orders taken.","sum":{{"aggregationTemporality":2,"isMonotonic":true,
          "dataPoints":[{{"timeUnixNano":"{now_nano}","asInt":"42",
          "exemplars":[{{"timeUnixNano":"{now_nano}","asDouble":1.5,"traceId":"7f"}}]}}]}}}},
        {{"name":"lost","sum":{{"aggregationTemporality":1,"isMonotonic":true,
          "dataPoints":[{{"timeUnixNano":"{now_nano}","asInt":"1"}}]}}}},
        {{"name":"old","histogram":{{"aggregationTemporality":2,
          "dataPoints":[{{"timeUnixNano":"{old_nano}","count":"3","sum":2,"explicitBounds":[1,2],"bucketCounts":["1","1","1"]}}]}}}}
        ]}}]}}]}}"#
    );
    for (packed, headers) in [
        (body.as_bytes().to_vec(), &[JSON][..]),
        (gzip(body.as_bytes()), &[JSON, ("Content-Encoding", "gzip")]),
    ] {
        let (status, head, answer) = export(&server, headers, &packed);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{answer}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(answer.contains(r#""rejectedDataPoints":"2""#), "{answer}");
    }
    let orders = asked(&server, "orders_total");
    assert!(
        orders.contains(r#""job":"shop""#) && orders.contains("\"42\""),
        "{orders}"
    );

    let exemplars = http(
        &server.address,
        "/api/v1/query_exemplars?query=orders_total&start=0&end=9999999999",
        None,
        "",
    );
    assert_eq!(
        exemplars.json()["data"][0]["exemplars"][0]["labels"]["trace_id"],
        "7f"
    );
    let said = http(&server.address, "/api/v1/metadata?metric=orders_total", None, "").json();
    assert_eq!(said["data"]["orders_total"][0]["help"], "Orders taken.");
    assert_eq!(said["data"]["orders_total"][0]["type"], "counter");

    // The same in protobuf: a gauge of 2.5.
    let point = [
        &[3 << 3 | 1][..],
        &now_nano.to_le_bytes(),
        &[4 << 3 | 1],
        &2.5f64.to_le_bytes(),
    ]
    .concat();
    let metric = [field(1, b"height"), field(5, &field(1, &point))].concat();
    let request = field(1, &field(2, &field(2, &metric)));
    let (status, head, answer) = export(&server, &[PROTOBUF], &request);
    assert_eq!((status, answer), (200, Vec::new()));
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let height = asked(&server, "height");
    assert!(height.contains("\"2.5\""), "{height}");
}

#[test]
fn what_is_no_otlp_request_is_refused_in_its_own_encoding() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let (status, _, answer) = export(&server, &[JSON], b"{\"resourceMetrics\": 3}");
    let said = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(status, 400, "{said}");
    assert!(said.starts_with(r#"{"message":"#), "{said}");

    // google.rpc.Status: its message is the field 2.
    let (status, _, answer) = export(&server, &[PROTOBUF], &[0x0a]);
    assert_eq!((status, answer.first()), (400, Some(&0x12)));

    let bomb = gzip(&vec![b' '; 40 << 20]);
    for (headers, body, expected) in [
        (&[("Content-Type", "text/plain")][..], &b""[..], 415),
        (&[JSON, ("Content-Encoding", "br")], b"{}", 415),
        (&[JSON, ("Content-Encoding", "gzip")], b"{}", 400),
        (&[JSON, ("Content-Encoding", "gzip")], &bomb, 413),
    ] {
        let (status, _, answer) = export(&server, headers, body);
        let said = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, expected, "{headers:?}: {said}");
    }
}
