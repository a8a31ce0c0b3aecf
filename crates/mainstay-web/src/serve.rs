//! The listening socket, with limits on what may come through it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

/// How many connections may be open at a time; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 1_024;
/// The largest head of a request, in bytes. One read beyond it may be taken in before it is noticed.
pub const HEAD_MAX_BYTES: usize = 32 << 10;
/// How many headers a request may have.
pub const MAX_HEADERS: usize = 100;
/// How long the head of a request may take to arrive; also how long a connection may idle between requests.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take to end once `shutdown` is done; live streams are cut then.
const GRACE: Duration = Duration::from_secs(3);

/// Serves until `shutdown` is done, then lets requests under way end. Check the address with
/// [`check_bind`](crate::check_bind) before binding the listener.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    accept(listener, MAX_CONNECTIONS, shutdown, |stream, closed| {
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        until_closed(connection, closed)
    })
    .await;
}

/// Accepts connections until `shutdown` is done, at most so many at a time, and waits for the last one to end. Each is told
/// by a change of its receiver that it is to.
pub(crate) async fn accept<C: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    connections_max: usize,
    shutdown: impl Future<Output = ()> + Send,
    connection: impl Fn(TcpStream, watch::Receiver<()>) -> C + Send,
) {
    let slots = Arc::new(Semaphore::new(connections_max));
    let (closing, closed) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets some close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let serving = connection(stream, closed.clone());
        tokio::spawn(async move {
            let _slot = slot;
            serving.await;
        });
    }
    drop(closed);
    drop(listener);
    let _ = closing.send(());
    // Every connection holds a receiver: this is done when the last one is gone.
    closing.closed().await;
}

/// Serves a connection to its end, or until it is to close and requests under way have had their grace.
pub(crate) async fn until_closed<C: GracefulConnection>(connection: C, mut closed: watch::Receiver<()>)
where
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
