//! What the server acknowledged stays, through kill -9 and a full disk.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mainstay_kernel::testing::SeededEntropy;

use crate::harness::{PATIENCE, SERVE, Server, encoded, http, quiet_catalog};
use crate::hostile::{PROTOBUF, field, label, now_ms, sample, write};

/// The n-th sample of the test's series: its value is n, and each is a millisecond after the one before.
fn sent(since_ms: u64, number: u64) -> Vec<u8> {
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let value = number as f64;
    let series = [label("__name__", "kept"), sample(since_ms + number, value)].concat();
    field(1, series)
}

/// How many samples the server has of the test's series, and the last one's value.
fn held(server: &Server) -> (u64, u64) {
    let number = |query: &str| {
        let form = encoded(&[("query", query)]);
        let reply = http(&server.address, "/api/v1/query", Some(&form), "");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let json = reply.json();
        let text = json["data"]["result"][0]["value"][1].as_str();
        text.map_or(0, |text| text.parse().expect("a number"))
    };
    (
        number("count_over_time(kept[9m])"),
        number("max_over_time(kept[9m])"),
    )
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
fn kill_9_of_the_server_loses_nothing_acknowledged() {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    let runs = if full { 50 } else { 4 };
    println!("MAINSTAY_SEED={seed}, {runs} runs");
    let entropy = SeededEntropy::new(seed);
    let catalog = quiet_catalog();
    let catalog = catalog.path().display().to_string();
    let mut data = tempfile::tempdir().expect("a directory");
    let since_ms = now_ms() - 60_000;
    let acknowledged = AtomicU64::new(0);
    for run in 0..runs {
        let server = Server::start_with(data, &catalog);
        let (count, newest) = held(&server);
        let wanted = acknowledged.load(Ordering::SeqCst);
        assert!(newest >= wanted, "seed {seed}, run {run}: {newest} of {wanted}");
        assert_eq!(count, newest, "seed {seed}, run {run}: there are gaps");
        let log = server.log();
        assert!(log.contains("samples recovered from the log"), "{log}");
        assert!(!log.contains("damage"), "{log}");
        let kill_at = newest + 1 + entropy.below(100);
        let stop = AtomicBool::new(false);
        data = std::thread::scope(|scope| {
            let address = server.address.clone();
            scope.spawn({
                let (acknowledged, stop) = (&acknowledged, &stop);
                move || {
                    // Until it is gone: it may be killed at any point of a request.
                    for number in newest + 1.. {
                        if stop.load(Ordering::SeqCst) || !try_write(&address, &sent(since_ms, number)) {
                            return;
                        }
                        acknowledged.store(number, Ordering::SeqCst);
                    }
                }
            });
            while acknowledged.load(Ordering::SeqCst) < kill_at {
                std::hint::spin_loop();
                std::thread::yield_now();
            }
            let data = server.kill();
            stop.store(true, Ordering::SeqCst);
            data
        });
    }
    let server = Server::start_with(data, &catalog);
    let wanted = acknowledged.load(Ordering::SeqCst);
    let (count, newest) = held(&server);
    assert!(
        newest >= wanted && count == newest && wanted > 0,
        "{count}, {newest} of {wanted}"
    );
}

/// Whether a request was acknowledged; the server may be gone at any point of it.
fn try_write(address: &str, message: &[u8]) -> bool {
    let body = snap::raw::Encoder::new()
        .compress_vec(message)
        .expect("it is packed");
    let authority = address.trim_start_matches("http://");
    let sent = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: {authority}\r\n{PROTOBUF}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), &body].concat())?;
        std::io::read_to_string(stream)
    };
    sent().is_ok_and(|answer| answer.starts_with("HTTP/1.1 204"))
}

/// A server whose data is on a file system of its own of so many MiB; `None` where such may not be mounted.
fn on_a_small_disk(catalog: &Path, mib: u32) -> Option<Server> {
    let may = Command::new("unshare")
        .args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("not run: unshare -Urm may not mount here");
        return None;
    }
    let data = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("unshare");
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
    command
        .args(["-Urm", "sh", "-c", &mount])
        .arg(data.path())
        .arg(env!("CARGO_BIN_EXE_mainstay"))
        .args(SERVE)
        .arg("--catalog")
        .arg(catalog)
        .arg("--data")
        .arg(data.path())
        .current_dir(crate::root())
        .env("NO_COLOR", "1");
    Some(Server::running(command, data))
}

/// Fills the disk to its last byte.
fn fill(path: &Path) {
    let mut ballast = fs::File::create(path).expect("there is room");
    let mut piece = vec![0; 1 << 20];
    while !piece.is_empty() {
        if let Err(error) = ballast.write_all(&piece) {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            piece.truncate(piece.len() / 2);
        }
    }
}

/// Shorter than the lease of who leads: a journal that cannot renew it ends the process, and says so.
#[test]
fn a_full_disk_refuses_writes_answers_queries_and_is_got_over() {
    let catalog = quiet_catalog();
    let Some(server) = on_a_small_disk(catalog.path(), 16) else {
        return;
    };
    let since_ms = now_ms() - 60_000;
    let mut next = 1;
    let mut sent_until = |expected: u16, at_most: u64| {
        for _ in 0..at_most {
            let status = write(&server, PROTOBUF, &sent(since_ms, next));
            if status == 204 {
                next += 1;
            }
            if status == expected {
                return next - 1;
            }
            assert_eq!(status, 204);
        }
        panic!("never answered {expected}");
    };
    for _ in 0..20 {
        sent_until(204, 1);
    }
    let ballast = server.its_path(&server.data.path().join("ballast"));
    fill(&ballast);
    // The last page of the log may take some more.
    let acknowledged = sent_until(503, 2_000);
    assert!(acknowledged >= 20);
    assert_eq!(sent_until(503, 1), acknowledged, "nothing of it is acknowledged");
    assert_eq!(
        held(&server),
        (acknowledged, acknowledged),
        "queries are answered"
    );
    fs::remove_file(&ballast).expect("removed");
    assert_eq!(sent_until(204, 1), acknowledged + 1, "there is room again");
    assert_eq!(held(&server), (acknowledged + 1, acknowledged + 1));
}
