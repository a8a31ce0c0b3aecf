//! Senders who mean harm, or are broken: each is answered with the status that says so, in bounded time and memory, and
//! everybody else is still served.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Server, encoded, http, quiet_catalog, until};

/// What a route that takes samples in takes in one body.
const INGEST_MAX_BYTES: usize = 4 << 20;
/// How much memory all of it together may cost beyond what the server had before.
const MEMORY_MAX_BYTES: u64 = 512 << 20;

pub(crate) const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
const PROTOBUF_2: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address.trim_start_matches("http://")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The status of the next answer, of which only the first line is read.
fn status(reader: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {line:?}"))
}

/// Sends a head, and the body if the server asks for it after the head; gives the status.
fn send(server: &Server, head: &str, body: impl IntoIterator<Item = impl AsRef<[u8]>>) -> u16 {
    let mut stream = connect(server);
    let head = format!("{head}\r\nHost: 127.0.0.1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the head is sent");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let first = status(&mut reader);
    if first != 100 {
        return first;
    }
    reader.read_line(&mut String::new()).expect("an empty line");
    for part in body {
        stream.write_all(part.as_ref()).expect("it is taken");
    }
    status(&mut reader)
}

fn post(server: &Server, path: &str, headers: &str, body: &[u8]) -> u16 {
    let head = format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}", body.len());
    send(server, &head, [body])
}

/// Remote write of a message, packed.
pub(crate) fn write(server: &Server, headers: &str, message: &[u8]) -> u16 {
    let body = snap::raw::Encoder::new()
        .compress_vec(message)
        .expect("it is packed");
    assert!(body.len() <= INGEST_MAX_BYTES, "{} bytes", body.len());
    post(server, "/api/v1/write", headers, &body)
}

fn query(server: &Server, query: &str) -> u16 {
    post(
        server,
        "/api/v1/query",
        FORM,
        encoded(&[("query", query)]).as_bytes(),
    )
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A text or message in a protobuf field.
pub(crate) fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = varint(bytes.len() as u64);
    [&[number << 3 | 2], &length[..], bytes].concat()
}

pub(crate) fn label(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    field(1, [field(1, name), field(2, value)].concat())
}

pub(crate) fn sample(t_ms: u64, value: f64) -> Vec<u8> {
    field(
        2,
        [&[0x09], &value.to_le_bytes()[..], &[0x10], &varint(t_ms)].concat(),
    )
}

/// A request of one series with these labels and one sample of now.
fn one_series(labels: &[Vec<u8>]) -> Vec<u8> {
    let series = [
        label("__name__", "hostile"),
        labels.concat(),
        sample(now_ms(), 1.0),
    ]
    .concat();
    field(1, series)
}

/// A 2.0 request of one series whose thousand labels share a value of a mebibyte.
fn amplified() -> Vec<u8> {
    let long = vec![b'v'; 1 << 20];
    let mut request = [field(4, ""), field(4, "__name__"), field(4, &long)].concat();
    let mut references = [varint(1), varint(2)].concat();
    for n in 0..1_000 {
        request.extend(field(4, format!("l{n}")));
        references.extend([varint(n + 3), varint(2)].concat());
    }
    request.extend(field(5, [field(1, references), sample(now_ms(), 1.0)].concat()));
    request
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).expect("after 1970")
}

/// That a well-meant question is answered, and that memory was never beyond its bound.
fn still_serves(server: &Server, before_bytes: u64) {
    assert_eq!(query(server, "1 + 1"), 200);
    let grown = server.peak_bytes().saturating_sub(before_bytes);
    assert!(grown < MEMORY_MAX_BYTES, "{} MiB more", grown >> 20);
}

fn server() -> (Server, tempfile::TempDir) {
    let catalog = quiet_catalog();
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(data, &catalog.path().display().to_string());
    assert_eq!(query(&server, "1 + 1"), 200);
    (server, catalog)
}

#[test]
fn a_hostile_remote_write_is_refused_with_the_right_status() {
    let (server, _catalog) = server();
    let before_bytes = server.peak_bytes();
    let path = "/api/v1/write";
    let check = |what: &str, status: u16, expected: u16| {
        assert_eq!(status, expected, "{what}");
        still_serves(&server, before_bytes);
    };

    let long = vec![0; INGEST_MAX_BYTES + 1];
    check(
        "a length over the limit",
        post(&server, path, PROTOBUF, &long),
        413,
    );
    let chunked = format!("POST {path} HTTP/1.1\r\n{PROTOBUF}Transfer-Encoding: chunked");
    let chunk = [b"10000\r\n", &[b'a'; 0x1_0000][..], b"\r\n"].concat();
    let mut chunks = vec![&chunk[..]; INGEST_MAX_BYTES / 0x1_0000];
    chunks.push(b"1\r\na\r\n");
    check("chunks beyond the limit", send(&server, &chunked, chunks), 413);

    let declares = |bytes: u64| [&varint(bytes)[..], b"\x00a"].concat();
    let raw = |body: &[u8]| post(&server, path, PROTOBUF, body);
    check("two gigabytes declared", raw(&declares(2 << 30)), 413);
    check("31 MiB declared in 6 bytes", raw(&declares(31 << 20)), 400);
    check("no snappy", raw(b"\xff\xff\xff\xff\xff\xff\xff"), 400);
    check(
        "31 MiB of zeros",
        write(&server, PROTOBUF, &vec![0; 31 << 20]),
        400,
    );
    let gzip = PROTOBUF.replace("snappy", "gzip");
    check("gzip", post(&server, path, &gzip, b"\x1f\x8b\x08"), 415);
    let json = PROTOBUF.replace("x-protobuf", "json");
    check("another type", post(&server, path, &json, b"{}"), 415);

    let many: Vec<_> = (0..10_000).map(|n| label(&format!("l{n}"), "v")).collect();
    check("10,000 labels", write(&server, PROTOBUF, &one_series(&many)), 400);
    let long = one_series(&[label("long", vec![b'v'; 1 << 20])]);
    check("a value of 1 MiB", write(&server, PROTOBUF, &long), 400);
    let other = one_series(&[label("text", b"\xff\xfe")]);
    check("not UTF-8", write(&server, PROTOBUF, &other), 400);
    let nans: Vec<u8> = (0..10_000)
        .rev()
        .flat_map(|ago_ms| sample(now_ms() - ago_ms, f64::NAN))
        .collect();
    let nans = field(1, [label("__name__", "nans"), nans].concat());
    check("NaNs are numbers", write(&server, PROTOBUF, &nans), 204);

    // 4 bytes are packed from many: what is small on the wire must not be large in memory, or take long.
    let nothing = |tag: u8, count: usize| [tag, 0].repeat(count);
    let series = nothing(0x0a, 1 << 20);
    check(
        "a million series of nothing",
        write(&server, PROTOBUF, &series),
        400,
    );
    for (what, tag) in [("series", 0x0a), ("sayings", 0x1a)] {
        let many = nothing(tag, 15 << 20);
        check(
            &format!("15 million {what} of nothing"),
            write(&server, PROTOBUF, &many),
            413,
        );
    }
    let labels = [label("__name__", "hostile"), label("a", "b")].concat();
    for (what, tag) in [("samples", 0x12), ("exemplars", 0x1a), ("histograms", 0x22)] {
        let series = field(1, [&labels[..], &nothing(tag, 15 << 20)].concat());
        check(
            &format!("15 million {what} of nothing"),
            write(&server, PROTOBUF, &series),
            413,
        );
    }
    let many = field(1, nothing(0x0a, 15 << 20));
    check(
        "15 million labels of nothing",
        write(&server, PROTOBUF, &many),
        400,
    );
    check(
        "a text that stands for a gigabyte",
        write(&server, PROTOBUF_2, &amplified()),
        400,
    );
    let symbols = b"\x22\x00".repeat(15 << 20);
    check(
        "15 million symbols of nothing",
        write(&server, PROTOBUF_2, &symbols),
        413,
    );
}

#[test]
fn a_slow_body_is_given_up_and_holds_nobody_up() {
    let (server, _catalog) = server();
    let before_bytes = server.peak_bytes();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{PROTOBUF}Content-Length: 1000\r\n\r\nab"
    );
    let since = Instant::now();
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(head.as_bytes()).expect("it is sent");
            stream
        })
        .collect();
    still_serves(&server, before_bytes);
    assert!(since.elapsed() < Duration::from_secs(9), "others wait");
    for stream in slow {
        assert_eq!(status(&mut BufReader::new(stream)), 408);
    }
    still_serves(&server, before_bytes);
}

#[test]
fn a_hostile_query_is_refused_with_the_right_status() {
    let (server, _catalog) = server();
    assert_eq!(
        write(&server, PROTOBUF, &one_series(&[label("a", vec![b'a'; 8_000])])),
        204
    );
    let before_bytes = server.peak_bytes();
    let check = |what: &str, text: &str, expected: u16| {
        assert_eq!(query(&server, text), expected, "{what}");
        still_serves(&server, before_bytes);
    };
    check("a million parentheses", &"(".repeat(1_000_000), 413);
    check("20,000 parentheses", &"(".repeat(20_000), 400);
    check("20,000 signs", &"-".repeat(20_000), 400);
    check("a long sum", &format!("1{}", "+1".repeat(15_000)), 400);
    check("many subqueries", &format!("up{}", "[5m:1m]".repeat(3_000)), 400);
    check("many offsets", &format!("up{}", " offset 1m".repeat(3_000)), 400);

    // Without backtracking such an expression is a cheap one.
    check(
        "an expression that others never end",
        r#"hostile{a=~"(a+)+b"}"#,
        200,
    );
    check(
        "a large repetition",
        r#"hostile{a=~"((a{1000}){1000}){1000}"}"#,
        400,
    );
    let matchers = vec![r#"a=~"\\w{90}""#; 1_500].join(",");
    check("many large expressions", &format!("{{{matchers}}}"), 400);
    check("too many samples", "max_over_time(vector(1)[100y:1ms])", 422);

    let range = |end: &str, step: &str| {
        let form = [("query", "1"), ("start", "0"), ("end", end), ("step", step)];
        http(&server.address, "/api/v1/query_range", Some(&encoded(&form)), "").status
    };
    assert_eq!(range("1000000000", "1"), 400);
    assert_eq!(range("1000000000", "0"), 400);
    assert_eq!(range("1e300", "1"), 400);

    assert_eq!(post(&server, "/api/v1/query", FORM, b"query=%FF%FE"), 400);
    assert_eq!(post(&server, "/api/v1/query", FORM, b"query=\xff\xfe"), 400);
    let long = format!("GET /api/v1/query?query={} HTTP/1.1", "(".repeat(100_000));
    let refused = send(&server, &long, [b""]);
    assert!(matches!(refused, 414 | 431), "{refused}");
    still_serves(&server, before_bytes);
}

/// A target that answers every request with little that unpacks to 256 MiB.
fn bomb() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let line = b"# ".repeat(1 << 19);
    for _ in 0..256 {
        encoder.write_all(&line).expect("it is packed");
    }
    let body = encoder.finish().expect("it is packed");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            // Whoever hangs up has heard enough.
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    address
}

#[test]
fn a_target_that_sends_a_bomb_is_down() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("prometheus.yml");
    let config = format!(
        "scrape_configs:\n- job_name: bomb\n  scrape_interval: 1s\n  static_configs: [{{targets: ['{}']}}]\n",
        bomb()
    );
    std::fs::write(&path, config).expect("written");
    let catalog = quiet_catalog();
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
        &["--scrape-config", &path.display().to_string()],
    );
    let before_bytes = server.peak_bytes();
    until("it is down", || {
        server
            .told(&["query", r#"count_over_time(up{job="bomb"}[1m]) >= 3 and up == 0"#])
            .contains("bomb")
    });
    still_serves(&server, before_bytes);
}
