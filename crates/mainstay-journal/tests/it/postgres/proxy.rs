//! A network between journal and server that loses things at the worst moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What happens to the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mishap {
    None,
    /// It never reaches the server.
    CutBefore,
    /// The server has carried it out; the answer never comes.
    CutAfter,
    /// It does not reach the server, and nothing says so: a process or a machine that stands still.
    Freeze,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    next: Arc<AtomicU8>,
    open: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let next = Arc::new(AtomicU8::new(Mishap::None as u8));
        let open = Arc::new(AtomicBool::new(true));
        let (mishap, up) = (Arc::clone(&next), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if up.load(Ordering::SeqCst)
                    && let Ok(server) = UnixStream::connect(&socket).await
                {
                    tokio::spawn(carry(client, server, Arc::clone(&mishap), Arc::clone(&up)));
                }
            }
        });
        Self {
            url: format!("postgres://mainstay@{address}/postgres?sslmode=disable"),
            next,
            open,
        }
    }

    /// Lets `mishap` happen to the next COMMIT.
    pub(crate) fn arm(&self, mishap: Mishap) {
        self.next.store(mishap as u8, Ordering::SeqCst);
    }

    /// Whether the mishap has happened.
    pub(crate) fn happened(&self) -> bool {
        self.next.load(Ordering::SeqCst) == Mishap::None as u8
    }

    pub(crate) async fn until_happened(&self) {
        for _ in 0..3_000 {
            if self.happened() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there was no COMMIT");
    }

    /// Nobody can connect any more, once the next mishap has happened or from now on.
    pub(crate) fn close_after_mishap(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

fn is_commit(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|window| window == b"COMMIT\0")
}

async fn carry(mut client: TcpStream, mut server: UnixStream, next: Arc<AtomicU8>, _up: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let bytes = &from_client[..count];
                let mishap = if is_commit(bytes) { next.swap(Mishap::None as u8, Ordering::SeqCst) } else { 0 };
                if mishap == Mishap::CutBefore as u8 {
                    return;
                }
                if mishap == Mishap::Freeze as u8 {
                    // Both ends stay open; the server closes its own when it has had enough.
                    while let Ok(1..) = server.read(&mut from_server).await {}
                    return;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                if mishap == Mishap::CutAfter as u8 {
                    // Its answer proves that it is done.
                    let _ = server.read(&mut from_server).await;
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
