//! OTLP over gRPC, call by call.

use axum::body::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_web::serve_otlp_grpc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fake::Mood;
use crate::harness::Web;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

/// How a call ended: its HTTP status, what stands in its headers or trailers, its message with what is before it.
struct Ended {
    http: StatusCode,
    status: HeaderMap,
    message: Bytes,
}

impl Ended {
    fn text(&self, name: &str) -> &str {
        let value = self.status.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }
}

impl Client {
    async fn of(web: &Web) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = web.router.clone();
        let server = tokio::spawn(serve_otlp_grpc(listener, router, async {
            // Dropping the sender is a stop too.
            let _ = stopped.await;
        }));
        let stream = TcpStream::connect(&address).await.expect("it listens");
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self {
            sender,
            address,
            stop,
            server,
        }
    }

    async fn call(&mut self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Ended {
        let mut request = Request::post(format!("http://{}{path}", self.address));
        for (name, value) in [("content-type", "application/grpc+proto"), ("te", "trailers")]
            .iter()
            .filter(|(name, _)| headers.iter().all(|(other, _)| other != name))
            .chain(headers)
        {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("well formed");
        let response = self.sender.send_request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("it is whole");
        let trailers = body.trailers().cloned();
        Ended {
            http: parts.status,
            status: trailers.unwrap_or(parts.headers),
            message: body.to_bytes(),
        }
    }
}

fn framed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag], &length.to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn calls_end_with_the_code_that_says_why() {
    let web = Web::with_tokens(Mood::Ok);
    let mut client = Client::of(&web).await;
    let token = ("authorization", "Bearer responder-token");

    let taken = client.call(EXPORT, &[token], framed(0, 3, b"abc")).await;
    assert_eq!(
        (taken.http, taken.text("grpc-status")),
        (StatusCode::OK, "0"),
        "{:?}",
        taken.status
    );
    assert_eq!(taken.message, framed(0, 2, b"{}"));
    let asked = web.fake.asked.lock().expect("sound").clone();
    assert_eq!(asked.last().map(|(what, _)| *what), Some("write_otlp"));

    // The fake's disk is full for what is packed: that may be tried again.
    let gzip = [token, ("grpc-encoding", "gzip")];
    let full = client.call(EXPORT, &gzip, framed(1, 3, b"abc")).await;
    assert_eq!((full.http, full.text("grpc-status")), (StatusCode::OK, "14"));
    assert_eq!(full.text("grpc-message"), "the disk is full: %C3%A9");
    assert!(!full.text("grpc-status-details-bin").is_empty());
    assert_eq!(full.message, Bytes::new());

    let long = vec![0; (4 << 20) + 1];
    let length = u32::try_from(long.len()).expect("small");
    let zstd = [token, ("grpc-encoding", "zstd")];
    for (what, path, headers, body, code) in [
        ("no account", EXPORT, &[][..], framed(0, 1, b"a"), "16"),
        (
            "a role too low",
            EXPORT,
            &[("authorization", "Bearer viewer-token")],
            framed(0, 1, b"a"),
            "7",
        ),
        ("too large", EXPORT, &[token], framed(0, length, &long), "8"),
        ("shorter than said", EXPORT, &[token], framed(0, 9, b"abc"), "3"),
        ("longer than said", EXPORT, &[token], framed(0, 2, b"abc"), "3"),
        ("no message", EXPORT, &[token], vec![0, 0], "3"),
        ("a strange flag", EXPORT, &[token], framed(7, 1, b"a"), "3"),
        ("packed, but how", EXPORT, &[token], framed(1, 1, b"a"), "12"),
        ("packed otherwise", EXPORT, &zstd, framed(1, 1, b"a"), "12"),
        (
            "another service",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            &[token],
            framed(0, 1, b"a"),
            "12",
        ),
    ] {
        let ended = client.call(path, headers, body).await;
        assert_eq!(
            (ended.http, ended.text("grpc-status")),
            (StatusCode::OK, code),
            "{what}: {}",
            ended.text("grpc-message")
        );
        assert_eq!(ended.text("grpc-status-details-bin"), "", "{what}");
        assert_ne!(ended.text("grpc-message"), "", "{what}");
    }
    let json = client
        .call(EXPORT, &[token, ("content-type", "application/json")], "{}")
        .await;
    assert_eq!(json.http, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    client.stop.send(()).expect("it runs");
    client.server.await.expect("it ends");
}
