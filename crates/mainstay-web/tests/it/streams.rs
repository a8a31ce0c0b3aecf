//! Live events, and the socket itself.

use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt as _;
use mainstay_kernel::IncidentId;
use mainstay_web::{Auth, Settings, Topic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::fake::Mood;
use crate::harness::{Web, get};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(20);

async fn open(web: &Web, topics: &str) -> http::Response<Body> {
    let request = get(&format!("/events?topics={topics}"))
        .body(Body::empty())
        .expect("well formed");
    web.router
        .clone()
        .oneshot(request)
        .await
        .expect("the router never fails")
}

/// The next piece of a stream.
async fn piece(body: &mut Body) -> String {
    let frame = timeout(BOUND, body.frame())
        .await
        .expect("it comes in time")
        .expect("the stream goes on");
    let bytes = frame.expect("it is whole").into_data().expect("it is data");
    String::from_utf8(bytes.to_vec()).expect("it is text")
}

#[tokio::test]
async fn a_page_hears_of_its_topics_only() {
    let web = Web::open(Mood::Ok);
    let mut body = open(&web, "overview,incident/7").await.into_body();
    assert!(piece(&mut body).await.contains("event: beat"));
    let id = |text: &str| IncidentId::new(text).expect("a name");
    web.live
        .send(Topic::incident(&id("8")))
        .expect("somebody follows");
    web.live
        .send(Topic::incident(&id("7")))
        .expect("somebody follows");
    assert_eq!(piece(&mut body).await, "data: incident/7\n\n");
    for _ in 0..40 {
        web.live.send(Topic::inbox()).expect("somebody follows");
    }
    assert_eq!(
        piece(&mut body).await,
        "data: everything\n\n",
        "who missed names looks at all"
    );
}

#[tokio::test]
async fn the_number_of_followers_is_limited_and_places_are_given_back() {
    let settings = Settings {
        max_live_clients: 2,
        ..Settings::default()
    };
    let web = Web::with(Mood::Ok, Auth::Open, settings);
    let first = open(&web, "overview").await;
    let second = open(&web, "overview").await;
    assert_eq!(
        open(&web, "overview").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(first);
    assert_eq!(open(&web, "overview").await.status(), StatusCode::OK);
    drop(second);
    assert_eq!(open(&web, "").await.status(), StatusCode::BAD_REQUEST);
    let many: String = (0..17).map(|n| format!("t{n},")).collect();
    assert_eq!(open(&web, &many).await.status(), StatusCode::BAD_REQUEST);
}

/// Serves on loopback; gives the address and what stops it.
async fn serve(
    web: &Web,
) -> (
    std::net::SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let addr = listener.local_addr().expect("it is bound");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let router = web.router.clone();
    let server = tokio::spawn(mainstay_web::serve(listener, router, async {
        let _ = stopped.await;
    }));
    (addr, stop, server)
}

async fn raw(addr: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    // A server that refuses may close before it has read everything, which this end may see as a reset.
    let _ = timeout(BOUND, stream.read_to_end(&mut answer))
        .await
        .expect("it answers in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_socket_answers_limits_heads_and_ends_in_good_order() {
    let web = Web::open(Mood::Ok);
    let (addr, stop, server) = serve(&web).await;
    let ask = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{more}\r\n")
    };
    assert!(
        raw(addr, &ask("/healthz", ""))
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
    let large = format!("X-Large: {}\r\n", "x".repeat(100 << 10));
    // It may close before it has read all, and then the client sees a reset instead of the 431.
    let refused = raw(addr, &ask("/healthz", &large)).await;
    assert!(
        refused.is_empty() || refused.starts_with("HTTP/1.1 431"),
        "{refused}"
    );
    let many: String = (0..120).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(
        raw(addr, &ask("/healthz", &many))
            .await
            .starts_with("HTTP/1.1 431")
    );

    // An open stream does not keep the server from ending.
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let follow = format!("GET /events?topics=overview HTTP/1.1\r\nHost: {addr}\r\n\r\n");
    stream.write_all(follow.as_bytes()).await.expect("it reads");
    let mut head = [0; 64];
    stream.read_exact(&mut head).await.expect("it answers");
    stop.send(()).expect("it runs");
    timeout(BOUND, server)
        .await
        .expect("it ends in time")
        .expect("it does not panic");
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}
