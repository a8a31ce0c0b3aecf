//! A network between a server and its PostgreSQL that can be cut.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::harness::until;

pub(crate) use scratch_postgres::Postgres;

/// A fresh PostgreSQL that takes connections; `None` where there is none.
pub(crate) fn start() -> Option<Postgres> {
    let server = Postgres::start()?;
    until("PostgreSQL takes connections", || server.is_ready());
    Some(server)
}

#[derive(Default)]
struct Wire {
    is_cut: AtomicBool,
    /// Both ends of every connection, to be found when the network heals.
    open: Mutex<BTreeMap<u64, (TcpStream, UnixStream)>>,
}

/// A network between one client and the database. Cut, it swallows what is sent and says nothing, as a partition does.
pub(crate) struct Network {
    pub(crate) url: String,
    wire: Arc<Wire>,
}

impl Network {
    pub(crate) fn to(server: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!(
            "postgres://mainstay@{}/postgres?sslmode=disable",
            listener.local_addr().expect("an address")
        );
        let (wire, socket) = (Arc::new(Wire::default()), server.socket());
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming().flatten()) {
                let Ok(server) = UnixStream::connect(&socket) else {
                    continue;
                };
                let copies = (client.try_clone(), server.try_clone());
                let (Ok(to_client), Ok(to_server)) = copies else {
                    continue;
                };
                let kept = (client.try_clone(), server.try_clone());
                if let (Ok(client), Ok(server)) = kept {
                    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
                    open.insert(number, (client, server));
                }
                let (forth, back) = (Arc::clone(&shared), Arc::clone(&shared));
                std::thread::spawn(move || {
                    carry(&forth, client, &to_server);
                    // What ends at one side of a cut goes unnoticed at the other.
                    if !forth.is_cut.load(Ordering::SeqCst) {
                        let _ = to_server.shutdown(Shutdown::Both);
                    }
                });
                std::thread::spawn(move || {
                    carry(&back, server, &to_client);
                    if !back.is_cut.load(Ordering::SeqCst) {
                        let _ = to_client.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { url, wire }
    }

    /// From now on nothing passes, and nobody is told.
    pub(crate) fn cut(&self) {
        self.wire.is_cut.store(true, Ordering::SeqCst);
    }

    /// New connections pass again; those that were cut are found broken.
    pub(crate) fn heal(&self) {
        self.wire.is_cut.store(false, Ordering::SeqCst);
        let mut open = self.wire.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (client, server) in std::mem::take(&mut *open).into_values() {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        }
    }
}

fn carry(wire: &Wire, mut from: impl std::io::Read, mut to: impl std::io::Write) {
    let mut buffer = [0; 1 << 14];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if wire.is_cut.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
