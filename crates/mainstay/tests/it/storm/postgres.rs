//! A real PostgreSQL for servers under test: Debian's binaries, a directory of its own, a socket there; and a network in
//! between that can be cut.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::harness::until;

/// A server and its directory.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    postmaster: Child,
}

/// The newest installation on this machine.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|entry| {
        let bin = entry.ok()?.path().join("bin");
        let version: u32 = bin.parent()?.file_name()?.to_str()?.parse().ok()?;
        bin.join("initdb").is_file().then_some((version, bin))
    });
    bins.max().map(|(_, bin)| bin)
}

fn number(program: &str, arguments: &[&str]) -> Option<u32> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Runs a program as somebody who is not root, which PostgreSQL refuses; it ends when this process ends.
fn as_user(user: Option<u32>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args([
            format!("--reuid={user}"),
            format!("--regid={user}"),
            "--clear-groups".to_owned(),
        ]);
    }
    command
        .arg(program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Postgres {
    /// A fresh server; `None`, with the words "not run", where there is no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = installed() else {
            println!("not run: no PostgreSQL in /usr/lib/postgresql (Debian's package postgresql)");
            return None;
        };
        let root = number("id", &["-u"]) == Some(0);
        let user = root.then(|| number("id", &["-u", "postgres"]).unwrap_or(65_534));
        let dir = tempfile::Builder::new()
            .prefix("mainstay-pg-")
            .tempdir_in("/tmp")
            .expect("a directory with a path short enough for a socket");
        if let Some(user) = user {
            chown(dir.path(), Some(user), Some(user)).expect("root may give a directory away");
        }
        let data = dir.path().join("data");
        let made = as_user(user, &bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args([
                "-U",
                "mainstay",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        let postmaster = as_user(user, &bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", dir.path().display()))
            .spawn()
            .expect("the server starts");
        let server = Self { dir, postmaster };
        let ready = || {
            let mut ask = as_user(user, &bin.join("pg_isready"));
            ask.arg("-q").arg("-h").arg(server.dir.path());
            ask.status().is_ok_and(|status| status.success())
        };
        until("PostgreSQL takes connections", ready);
        Some(server)
    }

    /// Where it is reached without any network.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://mainstay@localhost/postgres?host={}&sslmode=disable",
            self.dir.path().display()
        )
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join(".s.PGSQL.5432")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing in it is worth an orderly end.
        let _ = self.postmaster.kill();
        let _ = self.postmaster.wait();
    }
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
